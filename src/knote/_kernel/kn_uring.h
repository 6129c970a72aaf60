/* io_uring(7) by its three system calls.  All return n or -errno.
 *
 * The submission queue belongs to whoever holds the kqueue's lock; the kernel takes from it only inside
 * io_uring_enter(2), since no ring of knote's has a kernel thread that polls (IORING_SETUP_SQPOLL).  The completion
 * queue is filled by the kernel at any time, on any core. */
#ifndef KN_URING_H
#define KN_URING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7) /* Linux 5.18 */
#endif

#define KN_SQ_TASKRUN (1U << 2) /* IORING_SQ_TASKRUN, Linux 5.19 */

/* One mapping for both queues and completions that are kept, not dropped, when their queue is full: both are older
 * than 5.10, and without them the rest of this file would be wrong. */
#define KN_RING_NEEDS (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP)

struct kn_landed {
    uint64_t token;
    int32_t result;
    uint32_t flags;
};

struct kn_ring {
    int fd;
    uint32_t sq_mask, cq_mask, sq_entries, cq_entries;
    uint32_t setup; /* the IORING_SETUP_* that the kernel knew */
    uint32_t tail; /* of the submission queue, entries that the kernel has not been told of included */
    uint32_t *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail, *cq_flags;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    void *rings;
    size_t rings_size, sqes_size;
};

static inline void kn_ring_close(struct kn_ring *r)
{
    if (r->sqes)
        munmap(r->sqes, r->sqes_size);
    if (r->rings)
        munmap(r->rings, r->rings_size);
    if (r->fd >= 0)
        close(r->fd);
    memset(r, 0, sizeof *r);
    r->fd = -1;
}

static inline void *kn_ring_map(int fd, size_t size, off_t offset)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    return at == MAP_FAILED ? NULL : at;
}

/* A ring with room for so many submissions and completions.  flags: IORING_SETUP_*; those that the kernel does not
 * know (EINVAL) are left away. */
static inline int kn_ring_open(struct kn_ring *r, uint32_t entries, uint32_t completions, uint32_t flags)
{
    struct io_uring_params p;
    size_t sq_size, cq_size;
    uint32_t *array;
    int rc;

    memset(r, 0, sizeof *r);
    r->fd = -1;
    for (;;) {
        memset(&p, 0, sizeof p);
        p.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
        p.cq_entries = completions;
        r->fd = (int)syscall(SYS_io_uring_setup, entries, &p);
        if (r->fd >= 0 || errno != EINVAL || !flags)
            break;
        flags = 0;
    }
    if (r->fd < 0)
        return -errno;
    if ((p.features & KN_RING_NEEDS) != KN_RING_NEEDS) {
        kn_ring_close(r);
        return -ENOSYS;
    }
    sq_size = p.sq_off.array + p.sq_entries * sizeof(uint32_t);
    cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    r->rings_size = sq_size > cq_size ? sq_size : cq_size;
    r->sqes_size = p.sq_entries * sizeof(struct io_uring_sqe);
    r->rings = kn_ring_map(r->fd, r->rings_size, IORING_OFF_SQ_RING);
    r->sqes = r->rings ? (struct io_uring_sqe *)kn_ring_map(r->fd, r->sqes_size, IORING_OFF_SQES) : NULL;
    if (!r->sqes) {
        rc = -errno;
        kn_ring_close(r);
        return rc;
    }
    r->sq_head = (uint32_t *)((char *)r->rings + p.sq_off.head);
    r->sq_tail = (uint32_t *)((char *)r->rings + p.sq_off.tail);
    r->sq_flags = (uint32_t *)((char *)r->rings + p.sq_off.flags);
    r->cq_head = (uint32_t *)((char *)r->rings + p.cq_off.head);
    r->cq_tail = (uint32_t *)((char *)r->rings + p.cq_off.tail);
    r->cq_flags = (uint32_t *)((char *)r->rings + p.cq_off.flags);
    r->cqes = (struct io_uring_cqe *)((char *)r->rings + p.cq_off.cqes);
    r->setup = p.flags;
    r->sq_mask = p.sq_entries - 1;
    r->cq_mask = p.cq_entries - 1;
    r->sq_entries = p.sq_entries;
    r->cq_entries = p.cq_entries;
    r->tail = *r->sq_tail;
    /* Which entry stands in which place: always its own, so this is written once. */
    array = (uint32_t *)((char *)r->rings + p.sq_off.array);
    for (uint32_t i = 0; i < p.sq_entries; i++)
        array[i] = i;
    return r->fd;
}

/* Whether the kernel knows an operation; -errno where it cannot be asked. */
static inline int kn_ring_knows(const struct kn_ring *r, int op)
{
    enum { OPS = 256 };
    struct {
        struct io_uring_probe head;
        struct io_uring_probe_op ops[OPS];
    } probe;
    memset(&probe, 0, sizeof probe);
    if (syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_PROBE, &probe, OPS) < 0)
        return -errno;
    return op < probe.head.ops_len && probe.ops[op].flags & IO_URING_OP_SUPPORTED;
}

/* How many entries the kernel has not taken yet. */
static inline uint32_t kn_ring_pending(const struct kn_ring *r)
{
    return r->tail - __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE);
}

/* Write the next entry.  The flags of all operations share one place, and so do the offset and the second address.
 * -EBUSY: the queue is full until the next submission. */
static inline int kn_ring_prepare(struct kn_ring *r, int op, int fd, uint64_t addr, uint32_t len, uint64_t offset,
                                  uint32_t flags, uint64_t token)
{
    struct io_uring_sqe *sqe;
    if (kn_ring_pending(r) == r->sq_entries)
        return -EBUSY;
    sqe = &r->sqes[r->tail & r->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = (uint8_t)op;
    sqe->fd = fd;
    sqe->addr = addr;
    sqe->len = len;
    sqe->off = offset;
    sqe->rw_flags = (int)flags;
    sqe->user_data = token;
    r->tail++;
    return 0;
}

/* Hand what was prepared to the kernel, and wait for so many completions (0: do not wait).  How many entries it took.
 * Release pairs with the kernel's acquire of the tail: it must not read an entry before that was written
 * (io_uring(7), "Memory ordering"). */
static inline int kn_ring_submit(struct kn_ring *r, uint32_t wait)
{
    uint32_t n = kn_ring_pending(r);
    /* Only a call that asks for completions moves those that found their queue full (IORING_SQ_CQ_OVERFLOW), and those
     * that a ring with IORING_SETUP_DEFER_TASKRUN puts off until then (IORING_SQ_TASKRUN). */
    uint32_t flags = wait || __atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & (IORING_SQ_CQ_OVERFLOW | KN_SQ_TASKRUN)
                         ? IORING_ENTER_GETEVENTS
                         : 0;
    long rc;
    __atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
    if (!n && !flags)
        return 0;
    rc = syscall(SYS_io_uring_enter, r->fd, n, wait, flags, NULL, (size_t)(_NSIG / 8));
    return rc < 0 ? -errno : (int)rc;
}

/* Raise an eventfd whenever there are completions, or work that is put off until they are asked for; a poll(2) on the
 * ring itself is not woken by the latter. */
static inline int kn_ring_notify(struct kn_ring *r, int eventfd)
{
    return syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_EVENTFD, &eventfd, 1) < 0 ? -errno : 0;
}

/* As kn_ring_submit(r, 0), without raising the eventfd for the completions that this brings, and until all that was put
 * off is done: the kernel does 20 of it a call (IO_LOCAL_TW_DEFAULT_MAX).  1 if there is more all the same, for which
 * the eventfd may not have been raised. */
static inline int kn_ring_settle(struct kn_ring *r)
{
    int rc, rounds = 0;
    __atomic_or_fetch(r->cq_flags, IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
    do
        rc = kn_ring_submit(r, 0);
    while (rc >= 0 && __atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & KN_SQ_TASKRUN && ++rounds < 1024);
    __atomic_and_fetch(r->cq_flags, ~IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
    if (rc < 0)
        return rc;
    return (__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & KN_SQ_TASKRUN) != 0;
}

/* Whether there are completions to reap, or work that is put off until they are asked for. */
static inline int kn_ring_landed(const struct kn_ring *r)
{
    return *r->cq_head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE)
        || (__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & KN_SQ_TASKRUN) != 0;
}

/* Carry out what is prepared and has nothing to wait for: the first entries, as far as they are reads of regular files
 * whose pages are in memory.  How many, their results in out.
 *
 * The ring would copy those pages in the submitting thread as well, and adds 50 to 100 ns of its own to each.  Short
 * reads are left to it: RWF_NOWAIT ends at the first page that is not there, as if it were the end of the file.  So
 * is O_DIRECT, whose reads wait for the device in spite of it, and what is no regular file, which has no offset.
 * Asking for both costs two system calls, so less than a handful of entries is not worth it. */
static inline int kn_ring_at_once(struct kn_ring *r, struct kn_landed *out, int cap)
{
    enum { HANDFUL = 4 };
    uint32_t to = __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE), from = to;
    int n = 0, fd = -1;
    if (r->tail - from < HANDFUL)
        return 0;
    for (; from != r->tail && n < cap; from++, n++) {
        const struct io_uring_sqe *sqe = &r->sqes[from & r->sq_mask];
        struct iovec room = {(void *)(uintptr_t)sqe->addr, sqe->len};
        if (sqe->opcode != IORING_OP_READ)
            break;
        if (sqe->fd != fd) {
            struct stat is;
            int flags = fcntl(sqe->fd, F_GETFL);
            if (flags < 0 || flags & O_DIRECT || fstat(sqe->fd, &is) < 0 || !S_ISREG(is.st_mode))
                break;
            fd = sqe->fd;
        }
        if (preadv2(fd, &room, 1, (off_t)sqe->off, RWF_NOWAIT) != (ssize_t)sqe->len)
            break;
        out[n].token = sqe->user_data;
        out[n].result = (int32_t)sqe->len;
        out[n].flags = 0;
    }
    if (n) {
        for (; from != r->tail; from++, to++)
            r->sqes[to & r->sq_mask] = r->sqes[from & r->sq_mask];
        r->tail = to;
    }
    return n;
}

/* Take back what was prepared and the kernel has not taken: how many entries, the last ones, their tokens in out. */
static inline int kn_ring_retract(struct kn_ring *r, struct kn_landed *out, int cap)
{
    uint32_t pending = kn_ring_pending(r);
    int n = pending < (uint32_t)cap ? (int)pending : cap;
    for (int i = 0; i < n; i++) {
        out[i].token = r->sqes[(r->tail - (uint32_t)n + (uint32_t)i) & r->sq_mask].user_data;
        out[i].result = -ECANCELED;
        out[i].flags = 0;
    }
    r->tail -= (uint32_t)n;
    __atomic_store_n(r->sq_tail, r->tail, __ATOMIC_RELEASE);
    return n;
}

static inline int kn_ring_overflowed(const struct kn_ring *r)
{
    return (__atomic_load_n(r->sq_flags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Take up to cap completions out; how many.  No system call.  Acquire pairs with the kernel's release of the tail,
 * release of the head with its acquire: it must not write over what has not been read. */
static inline int kn_ring_reap(struct kn_ring *r, struct kn_landed *out, int cap)
{
    uint32_t head = *r->cq_head, tail = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
    int n = 0;
    for (; head != tail && n < cap; head++, n++) {
        const struct io_uring_cqe *cqe = &r->cqes[head & r->cq_mask];
        out[n].token = cqe->user_data;
        out[n].result = cqe->res;
        out[n].flags = cqe->flags;
    }
    if (n)
        __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    return n;
}

#endif
