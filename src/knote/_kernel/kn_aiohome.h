/* Contexts of Linux' AIO (io_setup(2)).  All return n or -errno.
 *
 * io_destroy(2) waits until all processors have passed by (RCU), 40 ms; so a process keeps a few, and the next set of
 * polls takes one over.  Whoever sleeps on one that its set has left is woken, and the last that leaves gives it away.
 * Waking takes a request, which may be refused; what always wakes is the end of the context.
 * After a fork it is the parent's (contexts belong to an address space), and its number means nothing to the child.
 */
#ifndef KN_AIOHOME_H
#define KN_AIOHOME_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IOCB_CMD_POLL
#define IOCB_CMD_POLL 5 /* Linux 4.18 */
#endif

#define KN_AIO_WAKE UINT64_MAX

enum { KN_AIO_ROOM = 64, KN_AIO_KEPT_ROOM = 1024, KN_AIO_KEPT = 4, KN_AIO_BATCH = 64 };

/* A context, with room for so many requests.  The kernel has twice that, for processors keep some to themselves. */
struct kn_aiohome {
    aio_context_t ctx;
    int room, inside;
    uint32_t serial;
    unsigned forks;
    char stuck; /* a request could not be taken back: only io_destroy(2) ends it */
    char ended; /* which it has: io_getevents(2) says EINVAL, and its number may be another's soon */
};

static _Atomic(struct kn_aiohome *) kn_aio_kept[KN_AIO_KEPT];

static inline int kn_aio_enter(long rc) { return rc < 0 ? -errno : (int)rc; }

/* What is under way there ends, and whoever sleeps there wakes. */
static inline void kn_aiohome_end(struct kn_aiohome *home)
{
    if (!home->ended)
        syscall(SYS_io_destroy, home->ctx);
    home->ended = home->stuck = 1;
}

/* Keep it for the next set, or give it back.  Nobody waits there. */
static inline void kn_aiohome_leave(struct kn_aiohome *home, unsigned forks)
{
    if (home->forks != forks) {
        free(home); /* the parent's */
        return;
    }
    for (int i = 0; i < KN_AIO_KEPT && home->room <= KN_AIO_KEPT_ROOM && !home->stuck; i++) {
        struct kn_aiohome *none = NULL;
        if (atomic_compare_exchange_strong(&kn_aio_kept[i], &none, home))
            return;
    }
    kn_aiohome_end(home);
    free(home);
}

/* A report, at once.  1, or -errno. */
static inline int kn_aiohome_wake(struct kn_aiohome *home, int wake)
{
    struct iocb cb, *one = &cb;
    memset(&cb, 0, sizeof cb);
    cb.aio_fildes = (uint32_t)wake;
    cb.aio_lio_opcode = IOCB_CMD_POLL;
    cb.aio_buf = POLLIN;
    cb.aio_data = KN_AIO_WAKE;
    return kn_aio_enter(syscall(SYS_io_submit, home->ctx, 1L, &one));
}

/* Take reports out, of cancelled polls too, for which it waits a little.  How many, or -errno. */
static inline int kn_aiohome_reap(struct kn_aiohome *home, struct io_event events[KN_AIO_BATCH])
{
    struct timespec brief = {0, 10000000};
    return kn_aio_enter(syscall(SYS_io_getevents, home->ctx, 1L, (long)KN_AIO_BATCH, events, &brief));
}

/* The same, where what takes its room is nobody's now. */
static inline int kn_aiohome_press(struct kn_aiohome *home, int wake)
{
    struct io_event unused[KN_AIO_BATCH];
    int rc;
    do
        rc = kn_aiohome_wake(home, wake);
    while (rc == -EAGAIN && kn_aiohome_reap(home, unused) > 0);
    return rc;
}

/* Wake one that sleeps on a context that is not the set's any more, and who wakes the next; or all, by its end. */
static inline void kn_aiohome_rouse(struct kn_aiohome *home, int wake)
{
    if (!home->ended && kn_aiohome_press(home, wake) < 0)
        kn_aiohome_end(home);
}

/* Whether the kernel knows such polls: 1, or -errno.  Nobody waits there. */
static inline int kn_aiohome_try(struct kn_aiohome *home, int wake)
{
    struct io_event unused[KN_AIO_BATCH];
    int rc = kn_aiohome_press(home, wake);
    if (rc == 1)
        kn_aiohome_reap(home, unused);
    return rc;
}

/* One that was kept and has room for so many, or a new one.  One that is full of what the set before left behind, which
 * does not come out, is given back: 40 ms, and not the EAGAIN that is fs.aio-max-nr's.  0, or -errno. */
static inline int kn_aiohome_open(struct kn_aiohome **home, int room, unsigned forks, int wake)
{
    struct kn_aiohome *made;
    int rc;
    for (int i = 0; i < KN_AIO_KEPT; i++) {
        struct kn_aiohome *none = NULL;
        made = atomic_exchange(&kn_aio_kept[i], NULL);
        if (!made)
            continue;
        if (made->forks != forks) {
            free(made); /* the parent's */
            continue;
        }
        if (made->room < room && atomic_compare_exchange_strong(&kn_aio_kept[i], &none, made))
            continue;
        rc = made->room < room ? -EAGAIN : kn_aiohome_try(made, wake);
        if (rc == -EAGAIN) {
            made->stuck = 1;
            kn_aiohome_leave(made, forks);
            continue;
        }
        if (rc < 0)
            kn_aiohome_leave(made, forks);
        else
            *home = made;
        return rc < 0 ? rc : 0;
    }
    made = (struct kn_aiohome *)calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->room = room;
    made->forks = forks;
    rc = kn_aio_enter(syscall(SYS_io_setup, room, &made->ctx));
    if (rc < 0) {
        free(made);
        return rc;
    }
    rc = kn_aiohome_try(made, wake);
    if (rc < 0)
        kn_aiohome_leave(made, forks);
    else
        *home = made;
    return rc < 0 ? rc : 0;
}

#endif
