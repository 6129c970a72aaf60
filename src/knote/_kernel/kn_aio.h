/* POSIX AIO, aio(7), whose ends are told by an eventfd.  All return n or -errno.
 *
 * The C library calls kn_aio_ended() in a thread of its own for each request (SIGEV_THREAD): the other way, a signal,
 * would be the whole process's. */
#ifndef KN_AIO_H
#define KN_AIO_H

#include <aio.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* As in knote/verbs.py. */
enum { KN_AIO_READ = 0, KN_AIO_WRITE = 1, KN_AIO_FSYNC = 2, KN_AIO_FDATASYNC = 3 };

struct kn_aio {
    struct aiocb cb;
    uint64_t token;
    struct kn_aios *home;
    struct kn_aio *ahead, *behind; /* among those under way */
    struct kn_aio *next;           /* among those that are over */
};

struct kn_aios {
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t nobody;
    int running; /* of which kn_aio_ended() is still to come, or not through */
    struct kn_aio *under_way, *over;
};

struct kn_aio_result {
    uint64_t token;
    int64_t result;
};

static struct kn_aios *kn_aio_open(int *error)
{
    struct kn_aios *s = (struct kn_aios *)calloc(1, sizeof *s);
    if (!s) {
        *error = -ENOMEM;
        return NULL;
    }
    s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->fd < 0) {
        *error = -errno;
        free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->nobody, NULL);
    *error = s->fd;
    return s;
}

static void kn_aio_ended(union sigval value)
{
    struct kn_aio *a = (struct kn_aio *)value.sival_ptr;
    struct kn_aios *s = a->home;
    uint64_t one = 1;
    pthread_mutex_lock(&s->lock);
    a->next = s->over;
    s->over = a;
    if (write(s->fd, &one, sizeof one) < 0) {
        /* EAGAIN: it counts no higher, and is readable. */
    }
    if (--s->running == 0)
        pthread_cond_signal(&s->nobody);
    pthread_mutex_unlock(&s->lock);
}

static int kn_aio_start(struct kn_aios *s, int op, int fd, uint64_t addr, uint64_t len, int64_t offset, uint64_t token)
{
    struct kn_aio *a = (struct kn_aio *)calloc(1, sizeof *a);
    int rc;
    if (!a)
        return -ENOMEM;
    a->token = token;
    a->home = s;
    a->cb.aio_fildes = fd;
    a->cb.aio_buf = (void *)(uintptr_t)addr;
    a->cb.aio_nbytes = len;
    a->cb.aio_offset = offset;
    a->cb.aio_sigevent.sigev_notify = SIGEV_THREAD;
    a->cb.aio_sigevent.sigev_notify_function = kn_aio_ended;
    a->cb.aio_sigevent.sigev_value.sival_ptr = a;
    pthread_mutex_lock(&s->lock);
    s->running++;
    a->behind = s->under_way;
    if (a->behind)
        a->behind->ahead = a;
    s->under_way = a;
    pthread_mutex_unlock(&s->lock);
    if (op == KN_AIO_READ)
        rc = aio_read(&a->cb);
    else if (op == KN_AIO_WRITE)
        rc = aio_write(&a->cb);
    else
        rc = aio_fsync(op == KN_AIO_FDATASYNC ? O_DSYNC : O_SYNC, &a->cb);
    if (rc == 0)
        return 0;
    rc = -errno;
    pthread_mutex_lock(&s->lock);
    s->running--;
    s->under_way = a->behind;
    if (a->behind)
        a->behind->ahead = NULL;
    pthread_mutex_unlock(&s->lock);
    free(a);
    return rc;
}

/* Take up to cap results out; how many.  Never blocks. */
static int kn_aio_reap(struct kn_aios *s, struct kn_aio_result *out, int cap)
{
    uint64_t count;
    int n = 0;
    pthread_mutex_lock(&s->lock);
    if (s->fd >= 0 && read(s->fd, &count, sizeof count) < 0) {
        /* EAGAIN: it was down. */
    }
    while (s->over && n < cap) {
        struct kn_aio *a = s->over;
        int error = aio_error(&a->cb);
        s->over = a->next;
        if (a->ahead)
            a->ahead->behind = a->behind;
        else
            s->under_way = a->behind;
        if (a->behind)
            a->behind->ahead = a->ahead;
        out[n].token = a->token;
        out[n].result = error ? -error : aio_return(&a->cb);
        free(a);
        n++;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* Ask for it; what came of it is told as any other end.  AIO_CANCELED, AIO_NOTCANCELED or AIO_ALLDONE.
 * Under the lock: the control block must not be freed meanwhile, and glibc calls nobody back from here. */
static int kn_aio_cancel(struct kn_aios *s, uint64_t token)
{
    int rc = AIO_ALLDONE;
    pthread_mutex_lock(&s->lock);
    for (struct kn_aio *a = s->under_way; a; a = a->behind)
        if (a->token == token) {
            rc = aio_cancel(a->cb.aio_fildes, &a->cb);
            break;
        }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Wait until none is under way.  Results can be reaped afterwards; the descriptor is closed. */
static void kn_aio_finish(struct kn_aios *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->running)
        pthread_cond_wait(&s->nobody, &s->lock);
    close(s->fd);
    s->fd = -1;
    pthread_mutex_unlock(&s->lock);
}

#endif
