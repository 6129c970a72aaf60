/* What epoll_ctl(2) and ioctl(2) do to many descriptors, by one io_uring_enter(2).
 *
 * A batch costs one system call and some 80 ns an operation, each call by itself its entry and its way out.  Which is
 * dearer is the processor's: with the return thunks of AMD's SRSO every return inside the kernel is mispredicted, and
 * an operation of io_uring has nine more of them than a system call. */
#ifndef KN_RINGCALLS_H
#define KN_RINGCALLS_H

#include "kn_fd.h" /* first: it asks for GNU extensions */

#include <sched.h>

#include "kn_epoll.h"
#include "kn_uring.h"

enum { KN_OP_URING_CMD = 46, KN_CMD_SIOCINQ = 0 };

/* Results that the operation does not give. */
#define KN_NOT_DONE 1
#define KN_NOT_COUNTED INT_MIN

/* Hand over what was prepared and wait until all that the kernel took is done: an operation that met a lock goes on in
 * a thread of the kernel's.  The result of token i goes to the i-th of the results, which are `stride` bytes apart; what
 * the kernel did not take keeps what it had there. */
static inline void kn_ring_finish(struct kn_ring *r, int *results, size_t stride)
{
    struct kn_landed landed[64];
    int left = kn_ring_submit(r, kn_ring_pending(r));
    kn_ring_retract(r, landed, 64);
    while (left > 0) {
        int n = kn_ring_reap(r, landed, 64);
        for (int i = 0; i < n; i++)
            *(int *)((char *)results + landed[i].token * stride) = landed[i].result;
        left -= n;
        if (left > 0 && n == 0 && kn_ring_submit(r, (uint32_t)left) < 0) {
            if (errno == EBADF)
                return; /* closed under us: what it had taken is made again, which does no harm */
            sched_yield();
        }
    }
}

/* Make what a change did undone. */
static inline void kn_ctl_undo(int ep, const struct kn_ctl *c)
{
    int op = !c->old ? EPOLL_CTL_DEL : c->mask ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    /* A deletion gave back just the memory and the number in the user's limit that this takes. */
    kn_epoll_ctl(ep, op, c->fd, c->old, c->token);
}

/* As kn_epoll_ctl_many(), each descriptor named once.  The operations of a batch are all made, whatever became of those
 * before them (IOSQE_IO_LINK, which would stop, costs more than the calls): what was made behind the first failure is
 * undone. */
static inline int kn_ring_ctl_many(struct kn_ring *r, int ep, struct kn_ctl *changes, int n)
{
    struct epoll_event events[64];
    int done = 0;
    while (done < n) {
        struct kn_ctl *batch = changes + done;
        int size = n - done < 64 ? n - done : 64, i, failed;
        for (i = 0; i < size; i++) {
            struct kn_ctl *c = &batch[i];
            c->result = KN_NOT_DONE;
            events[i].events = c->mask;
            events[i].data.u64 = c->token;
            if (kn_ring_prepare(r, IORING_OP_EPOLL_CTL, ep, (uint64_t)(uintptr_t)&events[i], (uint32_t)c->op,
                                (uint64_t)c->fd, 0, (uint64_t)i) < 0)
                break;
        }
        for (; i < size; i++)
            batch[i].result = KN_NOT_DONE;
        kn_ring_finish(r, &batch->result, sizeof *batch);
        for (i = 0, failed = 0; i < size && !failed; i++) {
            struct kn_ctl *c = &batch[i];
            if (c->result == KN_NOT_DONE)
                c->result = kn_epoll_ctl(ep, c->op, c->fd, c->mask, c->token);
            if (c->result == -EEXIST && c->op == EPOLL_CTL_ADD)
                c->result = kn_epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, c->mask, c->token);
            failed = c->result < 0;
        }
        if (failed) {
            done += i - 1;
            for (; i < size; i++)
                if (batch[i].result == 0)
                    kn_ctl_undo(ep, &batch[i]);
            return done;
        }
        done += size;
    }
    return done;
}

/* As kn_readable_many(), of TCP sockets.  1 if the kernel knows no such operation (before Linux 6.7), and all was done
 * one by one. */
static inline int kn_ring_readable_many(struct kn_ring *r, const int *fds, int *counts, int n)
{
    int missing = 0;
    for (int done = 0; done < n;) {
        int size = n - done < 64 ? n - done : 64, i;
        for (i = 0; i < size; i++) {
            counts[done + i] = KN_NOT_COUNTED;
            if (kn_ring_prepare(r, KN_OP_URING_CMD, fds[done + i], 0, 0, KN_CMD_SIOCINQ, 0, (uint64_t)i) < 0)
                break;
        }
        for (; i < size; i++)
            counts[done + i] = KN_NOT_COUNTED;
        kn_ring_finish(r, counts + done, sizeof *counts);
        for (i = done; i < done + size; i++) {
            missing |= counts[i] == -EOPNOTSUPP;
            if (counts[i] < 0 && counts[i] != -EBADF)
                counts[i] = kn_readable(fds[i]);
        }
        done += size;
    }
    return missing;
}

#endif
