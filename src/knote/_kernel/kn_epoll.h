/* epoll(7).  All return n or -errno. */
#ifndef KN_EPOLL_H
#define KN_EPOLL_H

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kn_batch.h"

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static inline int kn_epoll_create(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static inline int kn_epoll_ctl(int ep, int op, int fd, uint32_t mask, uint64_t token)
{
    struct epoll_event e = {.events = mask, .data.u64 = token};
    return epoll_ctl(ep, op, fd, &e) < 0 ? -errno : 0;
}

struct kn_ctl {
    uint64_t token;
    int op, fd;
    uint32_t mask, old;
    int result; /* of a batch, see kn_ringcalls.h */
};

/* Make changes in order until one fails: how many were made, and that one's -errno in *error (0 if none).
 * Nothing but system calls in this loop: with knote's own bookkeeping between them, each change cost 80 ns
 * more than both apart (the branch predictor forgets across a system call). */
static inline int kn_epoll_ctl_many(int ep, const struct kn_ctl *changes, int n, int *error)
{
    int done = 0;
    *error = 0;
    while (done < n) {
        const struct kn_ctl *c = &changes[done];
        int rc = kn_epoll_ctl(ep, c->op, c->fd, c->mask, c->token);
        if (rc == -EEXIST && c->op == EPOLL_CTL_ADD)
            rc = kn_epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, c->mask, c->token);
        if (rc < 0) {
            *error = rc;
            break;
        }
        done++;
    }
    return done;
}

/* epoll_wait(2) counts milliseconds; epoll_pwait2(2) nanoseconds, since Linux 5.11.  Where it is missing
 * (ENOSYS; a seccomp filter may say EPERM) milliseconds are rounded up: a wait is never too short. */
static inline int kn_epoll_wait(int ep, kn_hit *hits, int capacity, int64_t timeout_ns)
{
    static _Atomic int coarse;
    int n;
    if (timeout_ns <= 0)
        n = epoll_wait(ep, hits, capacity, timeout_ns < 0 ? -1 : 0);
    else {
        n = -1;
        if (!atomic_load_explicit(&coarse, memory_order_relaxed)) {
            struct timespec ts = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
            n = (int)syscall(SYS_epoll_pwait2, ep, hits, capacity, &ts, NULL, 0);
            if (n < 0 && (errno == ENOSYS || errno == EPERM))
                atomic_store_explicit(&coarse, 1, memory_order_relaxed);
        }
        if (atomic_load_explicit(&coarse, memory_order_relaxed)) {
            int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
            n = epoll_wait(ep, hits, capacity, ms > INT_MAX ? INT_MAX : (int)ms);
        }
    }
    return n < 0 ? -errno : n;
}

#endif
