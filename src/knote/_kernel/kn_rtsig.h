/* Signals that tell of descriptors (fcntl(2), F_SETSIG and O_ASYNC).  All return n or -errno.
 *
 * Such a signal would end a program that does not expect it, and interrupt the calls of whichever thread gets it.  So
 * a thread of the set's own is the owner of each descriptor (F_SETOWN_EX, F_OWNER_TID): it blocks every signal and takes
 * its own by sigwaitinfo(2); no other thread gets one, no handler is installed, no mask is changed.  It marks the
 * descriptor in the watch set, and whoever waits polls it: what was told is not what is.
 *
 * A full queue (RLIMIT_SIGPENDING, of all processes of a user) is told by SIGIO: then every descriptor is marked.
 *
 * sigwaitinfo(2) takes signals to the whole process as well, which some other thread has blocked: what somebody sent
 * is sent again.
 */
#ifndef KN_RTSIG_H
#define KN_RTSIG_H

#include "kn_poll.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What a descriptor was before it was taken over. */
struct kn_owned {
    int taken, signo;
    struct f_owner_ex owner;
};

struct kn_rtsigs {
    struct kn_watchset *set;
    struct kn_owned *owned; /* by number */
    int numbers, signo;
    pthread_t thread;
    pid_t tid;
    int running;
    _Atomic int ends;
    pthread_cond_t started;
    unsigned forks;
};

static inline void kn_rtsigs_heard(struct kn_rtsigs *s, int fd)
{
    pthread_mutex_lock(&s->set->lock);
    int place = fd >= 0 && fd < s->set->numbers ? s->set->places[fd] : -1;
    if (place >= 0 && s->set->news[place] != KN_NEWS_NONE)
        kn_watchset_news(s->set, place);
    pthread_mutex_unlock(&s->set->lock);
}

/* Signals were lost: any may have been about any. */
static inline void kn_rtsigs_resync(struct kn_rtsigs *s)
{
    pthread_mutex_lock(&s->set->lock);
    for (int i = 0; i < s->set->n; i++)
        if (s->set->fds[i].fd >= 0 && s->set->news[i] != KN_NEWS_NONE)
            kn_watchset_news(s->set, i);
    pthread_mutex_unlock(&s->set->lock);
}

static inline void kn_rtsigs_take(struct kn_rtsigs *s, siginfo_t *info)
{
    struct timespec brief = {0, 10000000};
    if (info->si_signo == s->signo && info->si_code >= POLL_IN && info->si_code <= POLL_HUP)
        kn_rtsigs_heard(s, info->si_fd);
    else if (info->si_signo == SIGIO && (info->si_code == SI_KERNEL || (info->si_code == SI_USER && !info->si_pid)))
        kn_rtsigs_resync(s); /* without memory for the words, it seems to come from process 0 */
    else {
        /* Only a process' first thread may repeat kill(2)'s words, SI_USER; of any other that is EPERM, and the signal
         * would be lost.  As SI_QUEUE it keeps its sender.  kernel/signal.c, do_rt_sigqueueinfo(). */
        if (info->si_code >= 0 || info->si_code == SI_TKILL)
            info->si_code = SI_QUEUE;
        syscall(SYS_rt_sigqueueinfo, getpid(), info->si_signo, info);
        nanosleep(&brief, NULL); /* it is whoever waits for it who shall get it */
    }
}

static void *kn_rtsigs_listen(void *arg)
{
    struct kn_rtsigs *s = (struct kn_rtsigs *)arg;
    siginfo_t info;
    sigset_t ours;
    pthread_mutex_lock(&s->set->lock);
    s->tid = (pid_t)syscall(SYS_gettid);
    pthread_cond_signal(&s->started);
    pthread_mutex_unlock(&s->set->lock);
    sigemptyset(&ours);
    sigaddset(&ours, s->signo);
    sigaddset(&ours, SIGIO);
    for (;;) {
        int got = sigwaitinfo(&ours, &info);
        if (atomic_load(&s->ends))
            return NULL;
        if (got > 0)
            kn_rtsigs_take(s, &info);
    }
}

/* The highest that nobody handles. */
static inline int kn_rtsigs_signal(void)
{
    struct sigaction now;
    for (int signo = SIGRTMAX; signo > SIGRTMIN; signo--)
        if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            return signo;
    return SIGRTMAX;
}

/* 0 or -errno; EAGAIN: no thread is to be had. */
static inline int kn_rtsigs_open(struct kn_rtsigs *s, struct kn_watchset *set, unsigned forks)
{
    sigset_t all, before;
    int rc;
    memset(s, 0, sizeof *s);
    s->set = set;
    s->forks = forks;
    s->signo = kn_rtsigs_signal();
    pthread_cond_init(&s->started, NULL);
    rc = kn_watchset_open(s->set, kn_poll_sleep);
    if (rc < 0)
        return rc;
    s->set->selective = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&s->thread, NULL, kn_rtsigs_listen, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        kn_watchset_close(s->set);
        return -rc;
    }
    s->running = 1;
    pthread_mutex_lock(&s->set->lock);
    while (!s->tid)
        pthread_cond_wait(&s->started, &s->set->lock);
    pthread_mutex_unlock(&s->set->lock);
    return 0;
}

static inline int kn_rtsigs_is_ours(const struct kn_rtsigs *s, int fd)
{
    struct f_owner_ex owner;
    return fcntl(fd, F_GETSIG) == s->signo && fcntl(fd, F_GETOWN_EX, &owner) == 0 && owner.type == F_OWNER_TID &&
           owner.pid == s->tid;
}

/* Give the number's file back as it was, unless it is another one by now. */
static inline void kn_rtsigs_release(struct kn_rtsigs *s, int fd)
{
    int off = 0;
    if (fd < 0 || fd >= s->numbers || !s->owned[fd].taken)
        return;
    s->owned[fd].taken = 0;
    if (!kn_rtsigs_is_ours(s, fd))
        return;
    ioctl(fd, FIOASYNC, &off);
    fcntl(fd, F_SETSIG, s->owned[fd].signo);
    fcntl(fd, F_SETOWN_EX, &s->owned[fd].owner);
}

/* Nobody waits any more.  A forked child gives nothing back: the files are the parent's as well. */
static inline void kn_rtsigs_close(struct kn_rtsigs *s, unsigned forks)
{
    if (s->running && s->forks == forks) {
        for (int fd = 0; fd < s->numbers; fd++)
            kn_rtsigs_release(s, fd);
        atomic_store(&s->ends, 1);
        pthread_kill(s->thread, SIGIO); /* one that needs no room in a queue */
        pthread_join(s->thread, NULL);
    }
    s->running = 0;
    kn_watchset_close(s->set);
    free(s->owned);
    s->owned = NULL;
    s->numbers = 0;
}

/* Whether signals tell of everything that poll(2) tells of such a file. */
static inline int kn_rtsigs_tells_all(int fd, uint32_t mask)
{
    int domain, type;
    socklen_t size = sizeof domain;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return 0;
    if (S_ISFIFO(st.st_mode))
        return 1;
    if (!S_ISSOCK(st.st_mode) || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
        return 0;
    if (domain == AF_UNIX)
        return !(mask & POLLOUT); /* that the peer reads no more, or has room again, is told by no signal */
    size = sizeof type;
    if ((domain != AF_INET && domain != AF_INET6) || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &type, &size) < 0)
        return 0;
    return type == IPPROTO_TCP || type == IPPROTO_UDP;
}

/* Make the set's thread the owner of the number's file, unless it has one or signals already, of whom it is. */
static inline int kn_rtsigs_own(struct kn_rtsigs *s, int fd)
{
    struct kn_owned *one = &s->owned[fd];
    struct f_owner_ex owner = {F_OWNER_TID, s->tid};
    int flags = fcntl(fd, F_GETFL), on = 1;
    if (one->taken && flags >= 0 && flags & O_ASYNC && kn_rtsigs_is_ours(s, fd))
        return 1;
    one->taken = 0;
    if (flags < 0 || flags & O_ASYNC || fcntl(fd, F_GETOWN_EX, &one->owner) < 0 || one->owner.pid)
        return 0;
    one->signo = fcntl(fd, F_GETSIG);
    if (one->signo < 0 || fcntl(fd, F_SETOWN_EX, &owner) < 0)
        return 0;
    one->taken = 1;
    if (fcntl(fd, F_SETSIG, s->signo) == 0 && ioctl(fd, FIOASYNC, &on) == 0)
        return 1;
    one->taken = 0;
    fcntl(fd, F_SETSIG, one->signo);
    fcntl(fd, F_SETOWN_EX, &one->owner);
    return 0;
}

/* Watch fd for mask under token; 0 for no longer. */
static inline int kn_rtsigs_put(struct kn_rtsigs *s, int fd, uint32_t mask, uint64_t token)
{
    int rc, wanted = s->numbers ? s->numbers : 64;
    while (wanted <= fd)
        wanted *= 2;
    if (wanted > s->numbers) {
        if (kn_grown((void **)&s->owned, wanted, sizeof *s->owned) < 0)
            return -ENOMEM;
        memset(s->owned + s->numbers, 0, (size_t)(wanted - s->numbers) * sizeof *s->owned);
        s->numbers = wanted;
    }
    rc = kn_watchset_put(s->set, fd, mask, token);
    if (rc < 0)
        return rc;
    if (!mask || !kn_rtsigs_tells_all(fd, mask))
        kn_rtsigs_release(s, fd);
    else if (kn_rtsigs_own(s, fd)) {
        /* What was there before is told by nobody. */
        pthread_mutex_lock(&s->set->lock);
        if (s->set->places[fd] >= 0)
            kn_watchset_news(s->set, s->set->places[fd]);
        pthread_mutex_unlock(&s->set->lock);
    }
    return 0;
}

static inline void kn_rtsigs_clear(struct kn_rtsigs *s)
{
    kn_watchset_clear(s->set);
    for (int fd = 0; fd < s->numbers; fd++)
        kn_rtsigs_release(s, fd);
}

#endif
