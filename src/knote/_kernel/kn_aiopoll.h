/* Polls of Linux' AIO (io_submit(2), IOCB_CMD_POLL, Linux 4.18).  All return n or -errno.
 *
 * A poll reports once.  So those that reported are put on a list, and the next wait submits all of them by one call;
 * where somebody sleeps already, the one who changes the list does.  What was under way before the wait began may have
 * reported what is over by now: such reports are asked again, all by one poll(2).
 *
 * A file with two wait queues (a terminal, a FIFO that is open for both) is refused with EINVAL: those are in an epoll
 * set, which is polled as a descriptor of its own.
 *
 * A poll that is cancelled still reports, at some later time: a serial number tells whose report it is.  A set that
 * has outgrown its context moves to a bigger one, and from one that stays full to another.
 */
#ifndef KN_AIOPOLL_H
#define KN_AIOPOLL_H

#include "kn_aiohome.h"
#include "kn_watchset.h"

#define KN_AIO_OTHERS (UINT64_MAX - 1) /* the token of the epoll set; no source has it */

/* One number. */
struct kn_aiopoll {
    struct iocb cb; /* stays where it is: io_cancel(2) names a request by it */
    uint64_t token;
    uint32_t mask;  /* 0: not watched */
    uint32_t serial;
    uint32_t turn;  /* of the wait that submitted it; 0: none did */
    char armed, due, other;
};

struct kn_aiopolls {
    pthread_mutex_t lock;
    struct kn_aiohome *home;
    struct kn_aiopoll **chunks; /* of 64 numbers each, NULL where none is watched */
    int numbers, n;
    int *due, first, waiting;   /* numbers to be submitted, each once */
    int wake;                   /* an eventfd that is always up */
    int others;                 /* an epoll set, or -1 */
    uint32_t turn;
    int lost;
    unsigned forks;
};

static inline struct kn_aiopoll *kn_aiopolls_at(struct kn_aiopolls *s, int fd)
{
    struct kn_aiopoll *chunk = fd >= 0 && fd < s->numbers ? s->chunks[fd >> 6] : NULL;
    return chunk ? &chunk[fd & 63] : NULL;
}

/* 0, or why there is none: ENOSYS, EPERM; EAGAIN where fs.aio-max-nr is reached; EINVAL before Linux 4.18. */
static inline int kn_aiopolls_open(struct kn_aiopolls *s, unsigned forks)
{
    int rc;
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->forks = forks;
    s->others = -1;
    s->wake = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
    if (s->wake < 0)
        return -errno;
    rc = kn_aiohome_open(&s->home, KN_AIO_ROOM, forks, s->wake);
    if (rc < 0) {
        close(s->wake);
        s->wake = -1;
    }
    return rc;
}

static inline void kn_aiopoll_cancel(struct kn_aiopolls *s, struct kn_aiohome *home, struct kn_aiopoll *one)
{
    struct io_event unused;
    /* EINPROGRESS: it reports later; EINVAL: it has reported.  Otherwise it holds its file and its room for good. */
    if (one->armed && !home->ended && syscall(SYS_io_cancel, home->ctx, &one->cb, &unused) < 0 && errno != EINPROGRESS &&
        errno != EINVAL)
        home->stuck = 1;
    if (one->other)
        epoll_ctl(s->others, EPOLL_CTL_DEL, (int)one->cb.aio_fildes, NULL);
    one->armed = one->other = 0;
}

/* Nobody waits any more.  In a forked child what is under way is the parent's. */
static inline void kn_aiopolls_close(struct kn_aiopolls *s, unsigned forks)
{
    if (s->wake >= 0) {
        close(s->wake);
        if (s->others >= 0)
            close(s->others);
    }
    s->wake = s->others = -1;
    for (int i = 0; i < s->numbers >> 6; i++) {
        for (int j = 0; s->home && s->home->forks == forks && s->chunks[i] && j < 64; j++)
            kn_aiopoll_cancel(s, s->home, &s->chunks[i][j]);
        free(s->chunks[i]);
    }
    if (s->home)
        kn_aiohome_leave(s->home, forks);
    free(s->chunks);
    free(s->due);
    s->home = NULL;
    s->chunks = NULL;
    s->due = NULL;
    s->numbers = s->n = s->first = s->waiting = 0;
}

static inline void kn_aiopolls_defer(struct kn_aiopolls *s, int fd, struct kn_aiopoll *one)
{
    if (one->due)
        return;
    one->due = 1;
    if (s->first + s->waiting == s->numbers) {
        memmove(s->due, s->due + s->first, (size_t)s->waiting * sizeof *s->due);
        s->first = 0;
    }
    s->due[s->first + s->waiting++] = fd;
}

/* Into another context, with all that is watched.  Those who sleep in the old one follow.  The lock is held. */
static inline void kn_aiopolls_into(struct kn_aiopolls *s, struct kn_aiohome *home)
{
    struct kn_aiohome *old = s->home;
    for (int i = 0; i < s->numbers >> 6; i++)
        for (int j = 0; s->chunks[i] && j < 64; j++) {
            struct kn_aiopoll *one = &s->chunks[i][j];
            if (!one->armed)
                continue;
            kn_aiopoll_cancel(s, old, one);
            kn_aiopolls_defer(s, i << 6 | j, one);
        }
    s->home = home;
    if (old->inside)
        kn_aiohome_rouse(old, s->wake);
    else
        kn_aiohome_leave(old, s->forks);
}

/* Into a context with room for so many.  The lock is held. */
static inline int kn_aiopolls_move(struct kn_aiopolls *s, int needed)
{
    struct kn_aiohome *home;
    int room = s->home->room, extra = 3 * room, least = needed + KN_AIO_ROOM - 1 - room, rc;
    if (extra < least)
        extra = least;
    rc = kn_aiohome_open(&home, room + extra, s->forks, s->wake);
    while (rc == -EAGAIN && extra > least) { /* fs.aio-max-nr is near */
        extra = extra / 2 > least ? extra / 2 : least;
        rc = kn_aiohome_open(&home, room + extra, s->forks, s->wake);
    }
    if (rc == 0)
        kn_aiopolls_into(s, home);
    return rc;
}

/* Into one like it: this one has no room that would come back, or holds a file that it should not.  The lock is
 * held. */
static inline int kn_aiopolls_renew(struct kn_aiopolls *s)
{
    struct kn_aiohome *home;
    int rc = kn_aiohome_open(&home, s->home->room, s->forks, s->wake);
    if (rc == 0)
        kn_aiopolls_into(s, home);
    return rc;
}

/* Room for more descriptors, and for this number.  -EAGAIN: fs.aio-max-nr. */
static inline int kn_aiopolls_reserve_locked(struct kn_aiopolls *s, int more, int fd)
{
    if (fd >= s->numbers) {
        int wanted = s->numbers ? s->numbers * 2 : 64;
        while (wanted <= fd)
            wanted *= 2;
        if (kn_grown((void **)&s->chunks, wanted >> 6, sizeof *s->chunks) < 0 ||
            kn_grown((void **)&s->due, wanted, sizeof *s->due) < 0)
            return -ENOMEM;
        for (int i = s->numbers >> 6; i < wanted >> 6; i++)
            s->chunks[i] = NULL;
        s->numbers = wanted;
    }
    if (!s->chunks[fd >> 6]) {
        s->chunks[fd >> 6] = (struct kn_aiopoll *)calloc(64, sizeof **s->chunks);
        if (!s->chunks[fd >> 6])
            return -ENOMEM;
    }
    return s->n + more > s->home->room ? kn_aiopolls_move(s, s->n + more) : 0;
}

static inline int kn_aiopolls_reserve(struct kn_aiopolls *s, int more, int fd)
{
    int rc;
    pthread_mutex_lock(&s->lock);
    rc = kn_aiopolls_reserve_locked(s, more, fd);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Whose report it is, or NULL.  It has to be submitted anew to report again.  The lock is held. */
static inline struct kn_aiopoll *kn_aiopolls_reported(struct kn_aiopolls *s, const struct io_event *event)
{
    int fd = (int)(event->data & 0xFFFFFFFF);
    struct kn_aiopoll *one = event->data == KN_AIO_WAKE ? NULL : kn_aiopolls_at(s, fd);
    if (!one || !one->armed || one->serial != event->data >> 32)
        return NULL;
    one->armed = 0;
    kn_aiopolls_defer(s, fd, one);
    return one;
}

/* Make room in the context by taking reports out: those of cancelled polls, for which it waits, and others, which
 * come again when they are submitted again.  The lock is held. */
static inline int kn_aiopolls_drain(struct kn_aiopolls *s)
{
    struct io_event events[KN_AIO_BATCH];
    int n = kn_aiohome_reap(s->home, events);
    for (int i = 0; i < n; i++)
        kn_aiopolls_reported(s, &events[i]);
    return n;
}

/* Into the epoll set with one that cannot be polled here.  EPERM: nobody can. */
static inline int kn_aiopolls_other(struct kn_aiopolls *s, int fd, struct kn_aiopoll *one)
{
    struct epoll_event event;
    kn_hit_put(&event, 0, one->token, one->mask);
    if (one->token == KN_AIO_OTHERS)
        return -EINVAL;
    if (s->others < 0) {
        struct kn_aiopoll *set;
        int rc, number = epoll_create1(EPOLL_CLOEXEC);
        if (number < 0)
            return -errno;
        rc = kn_aiopolls_reserve_locked(s, 1, number);
        if (rc < 0) {
            close(number);
            return rc;
        }
        s->others = number;
        s->n++;
        set = kn_aiopolls_at(s, number);
        set->mask = POLLIN;
        set->token = KN_AIO_OTHERS;
        kn_aiopolls_defer(s, number, set);
    }
    if (epoll_ctl(s->others, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST)
        return -errno;
    one->other = 1;
    return 0;
}

/* Submit what is due, for the wait of this turn; 0 or -errno, and what was not submitted is due still.
 * The lock is held. */
static inline int kn_aiopolls_arm(struct kn_aiopolls *s, uint32_t turn)
{
    int renewed = 0;
    if (s->home->stuck) {
        int rc = kn_aiopolls_renew(s);
        if (rc < 0 && s->home->ended)
            return rc;
        renewed = rc == 0;
    }
    while (s->waiting) {
        struct iocb *batch[KN_AIO_BATCH];
        int n = 0, rc, fd;
        struct kn_aiopoll *one;
        while (s->waiting && n < KN_AIO_BATCH && n < s->waiting) {
            fd = s->due[s->first + n];
            one = kn_aiopolls_at(s, fd);
            if (!one->mask || one->armed || one->other) {
                if (n)
                    break;
                one->due = 0;
                s->first++;
                s->waiting--;
                continue;
            }
            one->serial = ++s->home->serial;
            memset(&one->cb, 0, sizeof one->cb);
            one->cb.aio_fildes = (uint32_t)fd;
            one->cb.aio_lio_opcode = IOCB_CMD_POLL;
            one->cb.aio_buf = one->mask & 0xFFFF;
            one->cb.aio_data = (uint32_t)fd | (uint64_t)one->serial << 32;
            batch[n++] = &one->cb;
        }
        if (!n)
            break;
        rc = kn_aio_enter(syscall(SYS_io_submit, s->home->ctx, (long)n, batch));
        if (rc == 0 || rc == -EAGAIN) {
            rc = kn_aiopolls_drain(s);
            if (rc > 0)
                continue;
            /* A signal is the wait's to hear of.  Otherwise cancelled polls report too late: their thread of the
             * kernel's waits for a processor. */
            if (renewed || (rc == -EINTR && turn))
                return rc < 0 ? rc : -EAGAIN;
            rc = kn_aiopolls_renew(s);
            if (rc < 0)
                return rc;
            renewed = 1;
            continue;
        }
        if (rc == -EBADF || rc == -EINVAL) {
            fd = s->due[s->first];
            one = kn_aiopolls_at(s, fd);
            rc = rc == -EINVAL ? kn_aiopolls_other(s, fd, one) : rc;
            if (rc < 0 && rc != -EBADF && rc != -EPERM)
                return rc;
            if (rc < 0) {
                /* Its number was closed, or is a file's that has nothing to wait for. */
                one->mask = 0;
                s->n--;
                s->lost = 1;
            }
            one->due = 0;
            s->first++;
            s->waiting--;
            continue;
        }
        if (rc < 0)
            return rc;
        for (int i = 0; i < rc; i++) {
            one = kn_aiopolls_at(s, s->due[s->first]);
            one->armed = 1;
            one->due = 0;
            one->turn = turn;
            s->first++;
            s->waiting--;
        }
    }
    s->first = 0;
    return 0;
}

/* Those who sleep would not hear of what is due and could not be submitted: they wake, and meet what is in the way
 * themselves.  The lock is held. */
static inline void kn_aiopolls_warn(struct kn_aiopolls *s)
{
    int owed = 0;
    for (int i = s->first; i < s->first + s->waiting; i++) {
        const struct kn_aiopoll *one = kn_aiopolls_at(s, s->due[i]);
        owed |= one->mask && !one->armed && !one->other;
    }
    if (owed && s->home->inside && !s->home->ended && kn_aiohome_wake(s->home, s->wake) < 0)
        kn_aiohome_end(s->home);
}

/* Watch fd for mask under token; 0 for no longer. */
static inline int kn_aiopolls_put(struct kn_aiopolls *s, int fd, uint32_t mask, uint64_t token)
{
    struct kn_aiopoll *one, before;
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    one = kn_aiopolls_at(s, fd);
    if (mask && (!one || !one->mask)) {
        rc = kn_aiopolls_reserve_locked(s, 1, fd);
        one = kn_aiopolls_at(s, fd);
    }
    if (rc < 0 || !one || !(mask | one->mask)) {
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    before = *one;
    if (one->mask && mask && one->token != token)
        s->lost = 1; /* the number had another life, which nobody ended */
    if (mask != one->mask || token != one->token)
        kn_aiopoll_cancel(s, s->home, one);
    if (s->home->stuck)
        kn_aiopolls_renew(s);
    s->n += (mask != 0) - (one->mask != 0);
    one->mask = mask & ~KN_EDGE;
    one->token = token;
    if (mask && !one->armed && !one->other) {
        int failed;
        kn_aiopolls_defer(s, fd, one);
        failed = s->home->inside ? kn_aiopolls_arm(s, 0) : 0;
        if (failed < 0 && !one->armed && !one->other) {
            rc = failed;
            s->n += (before.mask != 0) - (one->mask != 0);
            one->mask = before.mask;
            one->token = before.token;
        } /* else it is another one's trouble, which a wait will meet */
        if (failed < 0)
            kn_aiopolls_warn(s);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static inline void kn_aiopolls_clear(struct kn_aiopolls *s)
{
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->numbers >> 6; i++)
        for (int j = 0; s->chunks[i] && j < 64; j++) {
            kn_aiopoll_cancel(s, s->home, &s->chunks[i][j]);
            s->chunks[i][j].mask = 0;
            s->chunks[i][j].due = 0;
        }
    s->n = s->first = s->waiting = s->lost = 0;
    if (s->home->stuck)
        kn_aiopolls_renew(s);
    if (s->others >= 0)
        close(s->others);
    s->others = -1;
    pthread_mutex_unlock(&s->lock);
}

#endif
