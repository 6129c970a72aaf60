/* Waiting for the polls of Linux' AIO.  See kn_aiopoll.h; all return n or -errno. */
#ifndef KN_AIOWAIT_H
#define KN_AIOWAIT_H

#include "kn_aiopoll.h"

enum { KN_AIO_REPORTS = 256 };

/* The number was closed.  The lock is held. */
static inline void kn_aiopolls_gone(struct kn_aiopolls *s, int fd, uint64_t token)
{
    struct kn_aiopoll *one = kn_aiopolls_at(s, fd);
    if (!one || !one->mask || one->token != token)
        return;
    kn_aiopoll_cancel(s, s->home, one);
    one->mask = 0;
    s->n--;
    s->lost = 1;
}

/* Out of a context, which may be the set's no more.  What was reported may be true for others still, who sleep.
 * The lock is held. */
static inline void kn_aiopolls_leave(struct kn_aiopolls *s, struct kn_aiohome *home)
{
    home->inside--;
    if (home == s->home) {
        if (home->inside && kn_aiopolls_arm(s, 0) < 0)
            kn_aiopolls_warn(s);
    } else if (home->inside)
        kn_aiohome_rouse(home, s->wake);
    else
        kn_aiohome_leave(home, s->forks);
}

/* What io_getevents(2) brought: into hits, unless it is over.  How many, or -errno. */
static inline int kn_aiopolls_sift(struct kn_aiopolls *s, const struct kn_aiohome *home, const struct io_event *events,
                                   int n, uint32_t turn, kn_hit *hits, int capacity)
{
    struct pollfd doubtful[KN_AIO_REPORTS];
    int places[KN_AIO_REPORTS], doubts = 0, found = 0, kept = 0, others = 0;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < n && home == s->home; i++) {
        struct kn_aiopoll *one = kn_aiopolls_reported(s, &events[i]);
        if (!one)
            continue;
        if (one->token == KN_AIO_OTHERS) {
            others = 1;
            continue;
        }
        if (one->turn != turn) {
            doubtful[doubts] = (struct pollfd){.fd = (int)one->cb.aio_fildes, .events = (short)one->mask};
            places[doubts++] = found;
        }
        kn_hit_put(hits, found++, one->token, (uint32_t)events[i].res & (one->mask | POLLERR | POLLHUP));
    }
    pthread_mutex_unlock(&s->lock);
    if (doubts && poll(doubtful, (nfds_t)doubts, 0) < 0)
        return -errno;
    for (int i = 0; i < doubts; i++) {
        uint64_t token = kn_hit_token(hits, places[i]);
        uint32_t mask = (uint32_t)(unsigned short)doubtful[i].revents;
        if (mask & POLLNVAL) {
            pthread_mutex_lock(&s->lock);
            kn_aiopolls_gone(s, doubtful[i].fd, token);
            pthread_mutex_unlock(&s->lock);
            mask = 0;
        }
        kn_hit_put(hits, places[i], token, mask);
    }
    for (int i = 0; i < found; i++)
        if (kn_hit_mask(hits, i))
            kn_hit_put(hits, kept++, kn_hit_token(hits, i), kn_hit_mask(hits, i));
    if (others) {
        pthread_mutex_lock(&s->lock);
        n = s->others < 0 ? 0 : epoll_wait(s->others, hits + kept, capacity - kept, 0);
        pthread_mutex_unlock(&s->lock);
        kept += n > 0 ? n : 0;
    }
    return kept;
}

/* timeout_ns: 0 not at all, -1 for ever.  0 comes early when a number was found closed. */
static inline int kn_aiopolls_wait(struct kn_aiopolls *s, kn_hit *hits, int capacity, int64_t timeout_ns)
{
    int64_t due = timeout_ns > 0 ? kn_monotonic_ns() + timeout_ns : timeout_ns;
    for (;;) {
        struct io_event events[KN_AIO_REPORTS];
        struct timespec left = {0, 0};
        struct kn_aiohome *home;
        int n, most, found = 0, sleeps, blocks, lost;
        uint32_t turn;
        if (due > 0) {
            int64_t ns = due - kn_monotonic_ns();
            if (ns > 0)
                left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        }
        pthread_mutex_lock(&s->lock);
        lost = s->lost;
        turn = ++s->turn ? s->turn : ++s->turn;
        n = kn_aiopolls_arm(s, turn);
        if (n < 0) {
            kn_aiopolls_warn(s);
            pthread_mutex_unlock(&s->lock);
            return n;
        }
        sleeps = due < 0 || left.tv_sec || left.tv_nsec;
        blocks = sleeps && lost == s->lost;
        home = s->home;
        home->inside++;
        pthread_mutex_unlock(&s->lock);
        for (;;) {
            int more;
            most = capacity - found < KN_AIO_REPORTS ? capacity - found : KN_AIO_REPORTS;
            n = kn_aio_enter(syscall(SYS_io_getevents, home->ctx, blocks ? 1L : 0L, (long)most, events,
                                     blocks && due < 0 ? NULL : &left));
            more = n > 0 ? kn_aiopolls_sift(s, home, events, n, turn, hits + found, capacity - found) : n;
            if (more < 0)
                n = more;
            else
                found += more;
            if (n < most || found == capacity)
                break;
            blocks = 0;
            left = (struct timespec){0, 0};
        }
        pthread_mutex_lock(&s->lock);
        if (n == -EINVAL && home->ended)
            n = 0; /* to wake us */
        kn_aiopolls_leave(s, home);
        lost = s->lost && !lost;
        pthread_mutex_unlock(&s->lock);
        if (found || n < 0 || !sleeps || lost)
            return found || n >= 0 ? found : n;
        /* What was reported is over, or time is up, which the next look finds out. */
    }
}

#endif
