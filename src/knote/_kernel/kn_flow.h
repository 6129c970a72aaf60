/* Streams through a ring: multishot accept and recv into provided buffers, sends that do not wait (io_uring_enter(2),
 * io_uring_provided_buffers(7)).  All return n or -errno.
 *
 * Sends are marked IOSQE_CQE_SKIP_SUCCESS and MSG_WAITALL: one that went out whole says nothing, one that was cut short
 * counts as failed and says how far it came.  With MSG_DONTWAIT each is over when the call that submits it returns, so
 * the buffer that it was sent from can be given back after the completions of that call were looked through. */
#ifndef KN_FLOW_H
#define KN_FLOW_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "kn_uring.h"

/* Of kernels newer than the headers that this may be compiled with. */
#define KN_FLOW_REGISTER_BUFFERS 22 /* IORING_REGISTER_PBUF_RING, Linux 5.19 */
#define KN_FLOW_ACCEPT_MULTISHOT (1U << 0)
#define KN_FLOW_RECV_MULTISHOT (1U << 1) /* Linux 6.0 */
#define KN_FLOW_BUFFER_SELECT (1U << 5)
#define KN_FLOW_SKIP_SUCCESS (1U << 6) /* Linux 5.17 */
#define KN_FLOW_CANCEL_ALL (1U << 0)
#define KN_FLOW_CANCEL_ANY (1U << 2) /* Linux 5.19 */
#define KN_FLOW_DEFER_TASKRUN (1U << 13) /* Linux 6.1 */
#define KN_FLOW_BUFFER_SHIFT 16
#define KN_FLOW_HAS_BUFFER 1U
#define KN_FLOW_EAGER 2048
#define KN_FLOW_SERVED 64
#define KN_FLOW_MORE 2U

struct kn_flow_slot { /* struct io_uring_buf; the tail of the ring lies in the first one's resv */
    uint64_t addr;
    uint32_t len;
    uint16_t bid;
    uint16_t resv;
};

struct kn_flow_reg { /* struct io_uring_buf_reg */
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid;
    uint16_t flags;
    uint64_t resv[3];
};

struct kn_flow {
    struct kn_flow_slot *slots;
    char *memory;
    size_t slots_size, memory_size, stride;
    uint32_t entries, size, made; /* so many of the entries have a buffer by now */
    uint32_t held;                /* of these the kernel may receive into so many */
    uint32_t most;                /* were away at once since kn_flow_shrink() was last called */
    uint16_t tail;
    uint32_t *lengths;       /* by buffer: bytes that were received */
    int32_t *now, *before;   /* buffers of the sends that are prepared, and of those that were submitted last */
    uint32_t now_count, before_count, room;
    struct kn_landed *landed;
    uint32_t landed_room;
};

static inline void kn_flow_close(struct kn_flow *f)
{
    if (f->slots)
        munmap(f->slots, f->slots_size);
    if (f->memory)
        munmap(f->memory, f->memory_size);
    free(f->lengths);
    free(f->now);
    free(f->before);
    free(f->landed);
    memset(f, 0, sizeof *f);
}

static inline char *kn_flow_at(const struct kn_flow *f, uint32_t bid) { return f->memory + bid * f->stride; }

/* The kernel may receive into this buffer (again).  Release: it must not see the tail before the slot. */
static inline void kn_flow_give(struct kn_flow *f, uint32_t bid)
{
    struct kn_flow_slot *slot = &f->slots[f->tail & (f->entries - 1)];
    slot->addr = (uint64_t)(uintptr_t)kn_flow_at(f, bid);
    slot->len = f->size;
    slot->bid = (uint16_t)bid;
    f->tail++;
    f->held++;
    __atomic_store_n(&f->slots[0].resv, f->tail, __ATOMIC_RELEASE);
}

/* More buffers, up to so many in all: how many there are. */
static inline uint32_t kn_flow_grow(struct kn_flow *f, uint32_t count)
{
    while (f->made < count && f->made < f->entries)
        kn_flow_give(f, f->made++);
    return f->made;
}

/* Only so many buffers from now on, and the memory of all others back to the system: how many there are.
 *
 * While the kernel may receive into all of them, they are the last `made` slots before the tail.  With
 * IORING_SETUP_DEFER_TASKRUN it takes none outside of our own call, so they may be written anew: fewer, and the tail,
 * which it only ever compares, further down.  In all other cases nothing is done. */
static inline uint32_t kn_flow_shrink(struct kn_flow *f, const struct kn_ring *r, uint32_t count)
{
    uint16_t head = (uint16_t)(f->tail - f->made);
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from, to;
    f->most = f->made - f->held;
    if (f->held != f->made || count >= f->made || !(r->setup & KN_FLOW_DEFER_TASKRUN))
        return f->made;
    /* A submission on the way, because its queue was full, may have brought completions: theirs are away, and unseen. */
    if (*r->cq_head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) || kn_ring_overflowed(r))
        return f->made;
    f->tail = head;
    f->held = 0;
    for (f->made = 0; f->made < count; f->made++)
        kn_flow_give(f, f->made);
    from = ((uintptr_t)kn_flow_at(f, count) + page - 1) / page * page;
    to = (uintptr_t)f->memory + f->memory_size;
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
    return f->made;
}

/* Register group 0 with room for `entries` buffers (a power of two) of `size` bytes.  Memory is only used once it was
 * received into.  Buffers do not start at multiples of a large power of two: their first lines would all fall into the
 * same few places of the cache. */
static inline int kn_flow_open(struct kn_flow *f, const struct kn_ring *r, uint32_t entries, uint32_t size)
{
    struct kn_flow_reg reg;
    memset(f, 0, sizeof *f);
    f->entries = entries;
    f->size = size;
    f->stride = size + 5 * 64;
    f->slots_size = entries * sizeof *f->slots;
    f->memory_size = entries * f->stride;
    f->slots = (struct kn_flow_slot *)mmap(NULL, f->slots_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (f->slots == MAP_FAILED)
        f->slots = NULL;
    f->memory = (char *)mmap(NULL, f->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (f->memory == MAP_FAILED)
        f->memory = NULL;
    f->landed_room = r->cq_entries;
    f->room = entries;
    f->lengths = (uint32_t *)calloc(entries, sizeof *f->lengths);
    f->now = (int32_t *)calloc(f->room, sizeof *f->now);
    f->before = (int32_t *)calloc(f->room, sizeof *f->before);
    f->landed = (struct kn_landed *)malloc(f->landed_room * sizeof *f->landed);
    if (!f->slots || !f->memory || !f->lengths || !f->now || !f->before || !f->landed) {
        kn_flow_close(f);
        return -ENOMEM;
    }
    memset(&reg, 0, sizeof reg);
    reg.ring_addr = (uint64_t)(uintptr_t)f->slots;
    reg.ring_entries = entries;
    if (syscall(SYS_io_uring_register, r->fd, KN_FLOW_REGISTER_BUFFERS, &reg, 1) < 0) {
        int rc = -errno;
        kn_flow_close(f);
        return rc;
    }
    return 0;
}

/* The next entry, zeroed but for these; NULL when the queue is full even after a submission. */
static inline struct io_uring_sqe *kn_flow_next(struct kn_ring *r, int op, int fd, uint64_t token)
{
    struct io_uring_sqe *sqe;
    if (kn_ring_pending(r) == r->sq_entries) {
        kn_ring_submit(r, 0);
        if (kn_ring_pending(r) == r->sq_entries)
            return NULL;
    }
    sqe = &r->sqes[r->tail & r->sq_mask];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = (uint8_t)op;
    sqe->fd = fd;
    sqe->user_data = token;
    r->tail++;
    return sqe;
}

static inline int kn_flow_accept(struct kn_ring *r, int fd, uint64_t token)
{
    struct io_uring_sqe *sqe = kn_flow_next(r, IORING_OP_ACCEPT, fd, token);
    if (!sqe)
        return -EBUSY;
    sqe->ioprio = KN_FLOW_ACCEPT_MULTISHOT;
    sqe->rw_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    return 0;
}

/* once: into one buffer; else into one after the other, until it is cancelled. */
static inline int kn_flow_receive(struct kn_ring *r, int fd, int once, uint64_t token)
{
    struct io_uring_sqe *sqe = kn_flow_next(r, IORING_OP_RECV, fd, token);
    if (!sqe)
        return -EBUSY;
    sqe->ioprio = once ? 0 : KN_FLOW_RECV_MULTISHOT;
    sqe->flags = KN_FLOW_BUFFER_SELECT;
    return 0;
}

/* wait: for room, and say how much was taken, whatever that is. */
static inline int kn_flow_send(struct kn_ring *r, int fd, const char *data, size_t size, int wait, uint64_t token)
{
    struct io_uring_sqe *sqe = kn_flow_next(r, IORING_OP_SEND, fd, token);
    if (!sqe)
        return -EBUSY;
    sqe->addr = (uint64_t)(uintptr_t)data;
    sqe->len = (uint32_t)size;
    sqe->rw_flags = wait ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;
    sqe->flags = wait ? 0 : KN_FLOW_SKIP_SUCCESS;
    return 0;
}

static inline int kn_flow_poll(struct kn_ring *r, int fd, uint64_t token)
{
    struct io_uring_sqe *sqe = kn_flow_next(r, IORING_OP_POLL_ADD, fd, token);
    if (!sqe)
        return -EBUSY;
    sqe->poll32_events = POLLIN;
    return 0;
}

/* Cancel what has the token `target`; with all, everything. */
static inline int kn_flow_cancel(struct kn_ring *r, uint64_t target, int all, uint64_t token)
{
    struct io_uring_sqe *sqe = kn_flow_next(r, IORING_OP_ASYNC_CANCEL, -1, token);
    if (!sqe)
        return -EBUSY;
    sqe->addr = target;
    sqe->rw_flags = all ? KN_FLOW_CANCEL_ALL | KN_FLOW_CANCEL_ANY : 0;
    sqe->flags = KN_FLOW_SKIP_SUCCESS;
    return 0;
}

/* All completions that there are, those that found their queue full included: how many, or -errno.
 *
 * Of what has happened one call makes no more than 20 completions, or as many as it waits for (io_run_local_work(),
 * Linux 6.13), in order: who asks when a thousand have ended would be heard after 50 turns.  eager: as many calls as it
 * takes, until there are KN_FLOW_EAGER completions, or so many that brought something that KN_FLOW_SERVED of them are
 * enough for a turn. */
static inline int kn_flow_reap(struct kn_flow *f, struct kn_ring *r, int eager)
{
    uint32_t n = 0, filled = 0;
    for (;;) {
        uint32_t before = n, had = f->held;
        int over;
        n += (uint32_t)kn_ring_reap(r, f->landed + n, (int)(f->landed_room - n));
        for (; before < n; before++)
            f->held -= f->landed[before].flags & KN_FLOW_HAS_BUFFER;
        filled += had - f->held;
        if (f->most < f->made - f->held)
            f->most = f->made - f->held;
        over = kn_ring_overflowed(r);
        if (!over && (!eager || n >= KN_FLOW_EAGER || filled >= KN_FLOW_SERVED || !kn_ring_landed(r)))
            return (int)n;
        if (over && f->landed_room - n < r->cq_entries) {
            uint32_t room = f->landed_room * 2;
            struct kn_landed *grown = (struct kn_landed *)realloc(f->landed, room * sizeof *grown);
            if (!grown)
                return n ? (int)n : -ENOMEM;
            f->landed = grown;
            f->landed_room = room;
        }
        kn_ring_submit(r, 0);
    }
}

/* Note that a send is prepared from this buffer (or, below zero, from what its owner knows): its number. */
static inline int kn_flow_note(struct kn_flow *f, int32_t from)
{
    if (f->now_count == f->room) {
        uint32_t room = f->room * 2;
        int32_t *now = (int32_t *)realloc(f->now, room * sizeof *now), *before;
        if (!now)
            return -ENOMEM;
        f->now = now;
        before = (int32_t *)realloc(f->before, room * sizeof *before);
        if (!before)
            return -ENOMEM;
        f->before = before;
        f->room = room;
    }
    f->now[f->now_count] = from;
    return (int)f->now_count++;
}

/* What is prepared has been submitted. */
static inline void kn_flow_turn(struct kn_flow *f)
{
    int32_t *now = f->now;
    f->now = f->before;
    f->before = now;
    f->before_count = f->now_count;
    f->now_count = 0;
}

/* The completions of what was submitted have been looked through: give its buffers back. */
static inline void kn_flow_recycle(struct kn_flow *f)
{
    for (uint32_t i = 0; i < f->before_count; i++)
        if (f->before[i] >= 0)
            kn_flow_give(f, (uint32_t)f->before[i]);
    f->before_count = 0;
}

#endif
