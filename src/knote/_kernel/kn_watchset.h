/* A set of descriptors that is handed to the kernel at each wait: poll(2) and select(2).  All return n or -errno.
 *
 * Any number of threads may wait while others change the set.  Each waits on a copy, which has one descriptor more:
 * an eventfd that a change raises while somebody waits on what is out of date now.  Who finds it raised takes a new
 * copy; the last of those that had an old one lowers it.
 *
 * Where something else tells of a descriptor (news), it is left out of the copies from when it was found not ready
 * until there is news of it.
 */
#ifndef KN_WATCHSET_H
#define KN_WATCHSET_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kn_batch.h"
#include "kn_time.h"

#define KN_EDGE (1u << 31)

enum { KN_NEWS_NONE = 0, KN_NEWS_SILENT = 1 }; /* nobody tells; told, and there was nothing; from 2 on, the last news */

/* The copy that one wait is about; fds[0] is the set's own. */
struct kn_copy {
    struct kn_copy *next;
    struct pollfd *fds;
    uint64_t *tokens;
    uint32_t *news;
    int capacity;
};

/* Blocks until one of fds has what it asks for, at most timeout long (NULL: for ever), and fills revents in. */
typedef int (*kn_sleep)(struct pollfd *fds, int n, const struct timespec *timeout);

struct kn_watchset {
    pthread_mutex_t lock;
    kn_sleep sleep;
    struct pollfd *fds;     /* in order of registration; fd -1: a gap */
    uint64_t *tokens;
    uint32_t *news;         /* of each; NULL: something tells of none */
    uint32_t latest;
    int selective;
    int n, gaps, capacity;
    int *places;            /* of each number, or -1 */
    int numbers;
    int wake, raised;
    int inside, stale;      /* who waits, and who of them on an old copy */
    unsigned version;
    int from;               /* where the next wait begins to report, so that all have their turn */
    int lost;               /* a number was closed, or became another file */
    struct kn_copy *spare;
};

static inline int kn_watchset_open(struct kn_watchset *s, kn_sleep sleep)
{
    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->sleep = sleep;
    s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return s->wake < 0 ? -errno : s->wake;
}

/* Nobody waits any more. */
static inline void kn_watchset_close(struct kn_watchset *s)
{
    if (s->wake >= 0)
        close(s->wake);
    s->wake = -1;
    while (s->spare) {
        struct kn_copy *copy = s->spare;
        s->spare = copy->next;
        free(copy->fds);
        free(copy->tokens);
        free(copy->news);
        free(copy);
    }
    free(s->fds);
    free(s->tokens);
    free(s->news);
    free(s->places);
    s->fds = NULL;
    s->tokens = NULL;
    s->news = NULL;
    s->places = NULL;
    s->n = s->gaps = s->capacity = s->numbers = 0;
}

static inline int kn_grown(void **what, int n, size_t size)
{
    void *grown = realloc(*what, (size_t)n * size);
    if (!grown)
        return -ENOMEM;
    *what = grown;
    return 0;
}

/* Room for more descriptors, and for the place of this number. */
static inline int kn_watchset_reserve(struct kn_watchset *s, int more, int fd)
{
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    if (s->n + more > s->capacity) {
        int wanted = s->capacity ? s->capacity * 2 : 64;
        while (wanted < s->n + more)
            wanted *= 2;
        rc = kn_grown((void **)&s->fds, wanted, sizeof *s->fds);
        if (rc == 0)
            rc = kn_grown((void **)&s->tokens, wanted, sizeof *s->tokens);
        if (rc == 0 && s->selective)
            rc = kn_grown((void **)&s->news, wanted, sizeof *s->news);
        if (rc == 0)
            s->capacity = wanted;
    }
    if (rc == 0 && fd >= s->numbers) {
        int wanted = s->numbers ? s->numbers * 2 : 64;
        while (wanted <= fd)
            wanted *= 2;
        rc = kn_grown((void **)&s->places, wanted, sizeof *s->places);
        if (rc == 0) {
            for (int i = s->numbers; i < wanted; i++)
                s->places[i] = -1;
            s->numbers = wanted;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Whoever waits does so on an old set from now on.  -errno: he could not be told, and sleeps on. */
static inline int kn_watchset_changed(struct kn_watchset *s)
{
    int rc;
    s->version++;
    s->stale = s->inside;
    if (s->stale && !s->raised) {
        rc = kn_wake_raise(s->wake);
        if (rc < 0)
            return rc;
        s->raised = 1;
    }
    return 0;
}

static inline void kn_watchset_drop(struct kn_watchset *s, int place)
{
    s->places[s->fds[place].fd] = -1;
    s->fds[place].fd = -1;
    s->gaps++;
    if (s->gaps > 32 && s->gaps > s->n / 2) {
        int kept = 0;
        for (int i = 0; i < s->n; i++) {
            if (s->fds[i].fd < 0)
                continue;
            s->fds[kept] = s->fds[i];
            s->tokens[kept] = s->tokens[i];
            if (s->news)
                s->news[kept] = s->news[i];
            s->places[s->fds[kept].fd] = kept;
            kept++;
        }
        s->n = kept;
        s->gaps = s->from = 0;
    }
}

/* Watch fd for mask under token; 0 for no longer.  -errno: no memory, or no way to tell those who sleep, who could miss
 * it; that they look at one too many does no harm. */
static inline int kn_watchset_put(struct kn_watchset *s, int fd, uint32_t mask, uint64_t token)
{
    int place, rc = mask ? kn_watchset_reserve(s, 1, fd) : 0;
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    place = fd < s->numbers ? s->places[fd] : -1;
    if (mask || place >= 0)
        rc = kn_watchset_changed(s);
    if (rc < 0 && mask) {
        pthread_mutex_unlock(&s->lock);
        return rc;
    }
    if (!mask) {
        if (place >= 0)
            kn_watchset_drop(s, place);
    } else {
        if (place < 0) {
            place = s->n++;
            s->places[fd] = place;
        } else if (s->tokens[place] != token)
            s->lost = 1; /* the number had another life, which nobody ended */
        s->fds[place].fd = fd;
        s->fds[place].events = (short)(mask & 0x7FFF);
        s->fds[place].revents = 0;
        s->tokens[place] = token;
        if (s->news)
            s->news[place] = KN_NEWS_NONE;
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static inline void kn_watchset_clear(struct kn_watchset *s)
{
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->numbers; i++)
        s->places[i] = -1;
    s->n = s->gaps = s->from = s->lost = 0;
    kn_watchset_changed(s);
    pthread_mutex_unlock(&s->lock);
}

/* A copy of the set, how long it is in *n; NULL without memory.  The lock is held. */
static inline struct kn_copy *kn_watchset_copy(struct kn_watchset *s, int *n)
{
    struct kn_copy *copy = s->spare;
    if (copy)
        s->spare = copy->next;
    else if (!(copy = calloc(1, sizeof *copy)))
        return NULL;
    if (copy->capacity < s->n + 1) {
        int wanted = s->capacity + 1;
        if (kn_grown((void **)&copy->fds, wanted, sizeof *copy->fds) < 0 ||
            kn_grown((void **)&copy->tokens, wanted, sizeof *copy->tokens) < 0 ||
            (s->news && kn_grown((void **)&copy->news, wanted, sizeof *copy->news) < 0)) {
            copy->next = s->spare;
            s->spare = copy;
            return NULL;
        }
        copy->capacity = wanted;
    }
    copy->fds[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
    *n = 1;
    if (s->from >= s->n)
        s->from = 0;
    for (int i = 0; i < s->n; i++) {
        int place = s->from + i < s->n ? s->from + i : s->from + i - s->n;
        if (s->fds[place].fd < 0 || (s->news && s->news[place] == KN_NEWS_SILENT))
            continue;
        copy->fds[*n] = s->fds[place];
        copy->tokens[*n] = s->tokens[place];
        if (s->news)
            copy->news[*n] = s->news[place];
        ++*n;
    }
    return copy;
}

static inline int64_t kn_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* There is news of the descriptor in this place. */
static inline void kn_watchset_news(struct kn_watchset *s, int place)
{
    int asleep = s->news[place] == KN_NEWS_SILENT;
    if (++s->latest <= KN_NEWS_SILENT)
        s->latest = KN_NEWS_SILENT + 1;
    s->news[place] = s->latest;
    if (asleep)
        kn_watchset_changed(s);
}

/* What was not ready, and of which there was no news meanwhile, is left out from now on.  The lock is held. */
static inline void kn_watchset_silence(struct kn_watchset *s, const struct kn_copy *copy, int n)
{
    for (int i = 1; i < n; i++) {
        int fd = copy->fds[i].fd, place = fd < s->numbers ? s->places[fd] : -1;
        if (!copy->fds[i].revents && copy->news[i] > KN_NEWS_SILENT && place >= 0 &&
            s->tokens[place] == copy->tokens[i] && s->news[place] == copy->news[i])
            s->news[place] = KN_NEWS_SILENT;
    }
}

/* Take out who is closed, and note where the next wait goes on when there was no room for all.  The lock is held. */
static inline int kn_watchset_harvest(struct kn_watchset *s, struct kn_copy *copy, int n, kn_hit *hits, int capacity)
{
    int found = 0, i;
    for (i = 1; i < n && found < capacity; i++) {
        const struct pollfd *one = &copy->fds[i];
        if (!one->revents)
            continue;
        if (one->revents & POLLNVAL) {
            int place = one->fd < s->numbers ? s->places[one->fd] : -1;
            if (place >= 0 && s->tokens[place] == copy->tokens[i]) {
                kn_watchset_drop(s, place);
                s->lost = 1;
            }
            continue;
        }
        hits[found].data.u64 = copy->tokens[i];
        hits[found].events = (uint32_t)(unsigned short)one->revents;
        found++;
    }
    /* All that are ready were reported: in order of registration again. */
    s->from = 0;
    if (found == capacity && i < n) {
        int place = copy->fds[i].fd < s->numbers ? s->places[copy->fds[i].fd] : -1;
        s->from = place < 0 ? 0 : place;
    }
    return found;
}

/* timeout_ns: 0 not at all, -1 for ever.  0 comes early when a number was found closed. */
static inline int kn_watchset_wait(struct kn_watchset *s, kn_hit *hits, int capacity, int64_t timeout_ns)
{
    int64_t due = timeout_ns > 0 ? kn_monotonic_ns() + timeout_ns : timeout_ns;
    for (;;) {
        struct timespec left = {0, 0};
        struct kn_copy *copy;
        unsigned version;
        int n, rc, found = 0, blocks, lost;
        if (due > 0) {
            int64_t ns = due - kn_monotonic_ns();
            if (ns > 0)
                left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        }
        blocks = due < 0 || left.tv_sec || left.tv_nsec;
        pthread_mutex_lock(&s->lock);
        copy = kn_watchset_copy(s, &n);
        if (!copy) {
            pthread_mutex_unlock(&s->lock);
            return -ENOMEM;
        }
        version = s->version;
        lost = s->lost;
        s->inside += blocks;
        pthread_mutex_unlock(&s->lock);
        rc = s->sleep(copy->fds, n, due < 0 ? NULL : &left);
        pthread_mutex_lock(&s->lock);
        s->inside -= blocks;
        s->stale -= blocks && version != s->version;
        if (blocks && s->raised && !s->stale)
            s->raised = kn_wake_lower(s->wake) < 0;
        if (rc >= 0 && s->news)
            kn_watchset_silence(s, copy, n);
        if (rc > 0)
            found = kn_watchset_harvest(s, copy, n, hits, capacity);
        lost = s->lost && !lost;
        copy->next = s->spare;
        s->spare = copy;
        pthread_mutex_unlock(&s->lock);
        if (rc < 0 || found || !blocks || lost)
            return rc < 0 ? rc : found;
        /* The set has changed, or time is up, which the next look finds out. */
    }
}

#endif
