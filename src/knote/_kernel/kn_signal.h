/* Counting signals without taking them from anybody.
 *
 * signalfd(2) sees blocked signals only, and a read from it steals them (spec S-457, S-458).  So a handler is put in
 * front of what the program has there: it counts, rings the bells of whoever listens, and calls what was there with
 * the same three arguments.  Flags and mask of the program's handler are kept, so its other system calls are
 * interrupted or restarted as before.
 *
 * The handler uses atomics, write(2), and for stop signals sigaction(2) and its like; no lock, no allocation, no
 * thread-local that is not there from the start.  Everything else here is called under one lock of the caller's,
 * but for what its comment says otherwise.  All return n or -errno. */
#ifndef KN_SIGNAL_H
#define KN_SIGNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KN_SIGNALS 65
#define KN_SIGNAL_BIT(number) ((uint64_t)1 << ((number) - 1))

typedef void (*kn_signal_action)(int, siginfo_t *, void *);

/* An eventfd of somebody who listens.  Bells are never freed, since a handler may walk the list at any time; one that
 * was given back is used again. */
struct kn_bell {
    struct kn_bell *next;
    _Atomic uint64_t signals; /* bit n - 1: ring for signal n */
    _Atomic int ringing;      /* handlers that may be about to write to fd */
    _Atomic int raised;       /* fd is readable: a storm of signals costs one write(2) per look */
    _Atomic int used;
    int fd;
};

/* Who took our place may have kept our handler as the one before his: to call it after his own, or to put it back when
 * he goes.  So what comes next is known by the handler that is called: each of these has its own, and one that follows
 * another handler than the last one did is another one of them. */
#define KN_SIGNAL_ENTRIES 4

static struct {
    _Atomic uint64_t count[KN_SIGNALS];
    _Atomic(kn_signal_action) chain[KN_SIGNAL_ENTRIES][KN_SIGNALS]; /* SIG_DFL, SIG_IGN or a handler */
    _Atomic(struct kn_bell *) bells;
    struct sigaction was[KN_SIGNAL_ENTRIES][KN_SIGNALS];            /* what an entry was put in place of */
    int last[KN_SIGNALS];                                           /* the entry that was used last */
    uint64_t taken;                                                 /* signals in whose place one was put */
} kn_signals;

/* Signals of whose chain each entry is in the middle, on this thread.  initial-exec: the ordinary way to a
 * thread-local of a loaded module may allocate at the first access, which a handler must not. */
static _Thread_local uint64_t kn_signal_inside[KN_SIGNAL_ENTRIES] __attribute__((tls_model("initial-exec")));

static inline kn_signal_action kn_signal_word(const struct sigaction *action)
{
    return action->sa_flags & SA_SIGINFO ? action->sa_sigaction : (kn_signal_action)(void *)action->sa_handler;
}

#define KN_SIG_DFL ((kn_signal_action)(void *)SIG_DFL)
#define KN_SIG_IGN ((kn_signal_action)(void *)SIG_IGN)

static inline void kn_bells_ring(uint64_t bit)
{
    for (struct kn_bell *b = atomic_load(&kn_signals.bells); b; b = b->next) {
        /* In this order: whoever closes fd first clears signals, then waits for ringing to be 0. */
        atomic_fetch_add(&b->ringing, 1);
        if (atomic_load(&b->signals) & bit && !atomic_exchange(&b->raised, 1)) {
            uint64_t one = 1;
            ssize_t ignored = write(b->fd, &one, sizeof one); /* EAGAIN: readable already */
            (void)ignored;
        }
        atomic_fetch_sub(&b->ringing, 1);
    }
}

static inline int kn_signal_stops(int number)
{
    return number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static inline int kn_signal_dies(int number)
{
    return number != SIGCHLD && number != SIGCONT && number != SIGURG && number != SIGWINCH
        && !kn_signal_stops(number);
}

/* The default action of a signal that stops or kills, from inside its handler: take the handler away, send it again,
 * let it in.  A process that was stopped goes on here, and the handler returns to its place if that is still free. */
static inline void kn_signal_default(int number)
{
    struct sigaction plain, ours, now;
    sigset_t only, mask;
    memset(&plain, 0, sizeof plain);
    plain.sa_handler = SIG_DFL;
    sigaction(number, &plain, &ours);
    raise(number);
    sigemptyset(&only);
    sigaddset(&only, number);
    pthread_sigmask(SIG_UNBLOCK, &only, &mask);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (sigaction(number, NULL, &now) == 0 && kn_signal_word(&now) == KN_SIG_DFL)
        sigaction(number, &ours, NULL);
}

static inline void kn_signal_deliver(int entry, int number, siginfo_t *info, void *context)
{
    int saved = errno, again = 0;
    uint64_t bit = KN_SIGNAL_BIT(number);
    kn_signal_action chain = atomic_load(&kn_signals.chain[entry][number]);

    for (int other = 0; other < KN_SIGNAL_ENTRIES; other++)
        again |= other != entry && kn_signal_inside[other] & bit;
    if (!again) { /* not called by a handler that another entry has called */
        /* FreeBSD does not count a SIGCHLD that is ignored (S-226). */
        if (number != SIGCHLD || chain != KN_SIG_IGN)
            atomic_fetch_add(&kn_signals.count[number], 1);
        kn_bells_ring(bit);
    }
    if (chain == KN_SIG_DFL) {
        if (kn_signal_stops(number) || kn_signal_dies(number))
            kn_signal_default(number);
    } else if (chain != KN_SIG_IGN) {
        uint64_t inside = kn_signal_inside[entry];
        kn_signal_inside[entry] = inside | bit;
        errno = saved;
        /* Three arguments for a handler of one: so does the kernel call them. */
        chain(number, info, context);
        kn_signal_inside[entry] = inside;
    }
    errno = saved;
}

static void kn_signal_entry_0(int n, siginfo_t *info, void *context) { kn_signal_deliver(0, n, info, context); }
static void kn_signal_entry_1(int n, siginfo_t *info, void *context) { kn_signal_deliver(1, n, info, context); }
static void kn_signal_entry_2(int n, siginfo_t *info, void *context) { kn_signal_deliver(2, n, info, context); }
static void kn_signal_entry_3(int n, siginfo_t *info, void *context) { kn_signal_deliver(3, n, info, context); }

static const kn_signal_action kn_signal_entries[KN_SIGNAL_ENTRIES] = {
    kn_signal_entry_0, kn_signal_entry_1, kn_signal_entry_2, kn_signal_entry_3,
};

/* Which of ours is in place there; -1: none. */
static inline int kn_signal_entry(const struct sigaction *action)
{
    for (int entry = 0; entry < KN_SIGNAL_ENTRIES; entry++)
        if (action->sa_sigaction == kn_signal_entries[entry])
            return entry;
    return -1;
}

/* Dispositions that are left alone.  Default actions that kill happen by themselves: nobody would be there to count.
 * An ignored SIGCHLD is not counted (S-226).  The kernel asks whether SIGTTIN and SIGTTOU are ignored before it sends
 * them, and would send them for ever to one who only looks as if; a fault that is ignored kills, and with a handler it
 * would come again and again. */
static inline int kn_signal_is_left(int number, const struct sigaction *action, int even_ignored)
{
    kn_signal_action word = kn_signal_word(action);
    if (word == KN_SIG_DFL)
        return kn_signal_dies(number);
    if (word != KN_SIG_IGN)
        return 0;
    switch (number) {
    case SIGCHLD:
        return !even_ignored;
    case SIGTTIN: case SIGTTOU: case SIGSEGV: case SIGBUS: case SIGFPE: case SIGILL: case SIGTRAP: case SIGSYS:
        return 1;
    default:
        return 0;
    }
}

/* Whether there is such a signal: not those that libc keeps for itself.  Needs no lock. */
static inline int kn_signal_exists(int number)
{
    struct sigaction now;
    return number > 0 && number < KN_SIGNALS && (sigaction(number, NULL, &now) == 0 || errno != EINVAL);
}

/* Nothing to do for kn_signal_take().  Needs no lock. */
static inline int kn_signal_settled(int number)
{
    struct sigaction now;
    if (number == SIGKILL || number == SIGSTOP || sigaction(number, NULL, &now) < 0)
        return 1;
    return kn_signal_entry(&now) >= 0 || kn_signal_is_left(number, &now, 0);
}

/* Put the handler in front of what is there, unless it is or has to be left alone.  Called again when the program has
 * put something else there. */
static inline int kn_signal_take(int number, int even_ignored)
{
    struct sigaction ours;
    struct sigaction now;
    kn_signal_action word;
    int entry, tries = 0;

    if (number == SIGKILL || number == SIGSTOP)
        return 0;
    if (sigaction(number, NULL, &now) < 0)
        return -errno;
    if (kn_signal_entry(&now) >= 0)
        return 0;
    if (kn_signal_is_left(number, &now, even_ignored)) {
        kn_signals.taken &= ~KN_SIGNAL_BIT(number);
        return 0;
    }
    word = kn_signal_word(&now);
    entry = kn_signals.last[number];
    while (atomic_load(&kn_signals.chain[entry][number]) != word && ++tries < KN_SIGNAL_ENTRIES)
        entry = (entry + 1) % KN_SIGNAL_ENTRIES;
    if (tries == KN_SIGNAL_ENTRIES) /* not the last one, which may be called by what is there now */
        entry = (kn_signals.last[number] + 1) % KN_SIGNAL_ENTRIES;
    kn_signals.last[number] = entry;
    kn_signals.was[entry][number] = now;
    atomic_store(&kn_signals.chain[entry][number], word);
    kn_signals.taken |= KN_SIGNAL_BIT(number);
    ours = now;
    ours.sa_sigaction = kn_signal_entries[entry];
    ours.sa_flags |= SA_SIGINFO;
    if (word == KN_SIG_DFL || word == KN_SIG_IGN) {
        /* What nobody handles interrupts nobody, as far as Linux lets a handler do that; and it may come to a thread
         * that has a stack of its own for signals because the ordinary one is too small. */
        ours.sa_flags |= SA_RESTART | SA_ONSTACK;
        if (number == SIGCHLD && word == KN_SIG_IGN)
            ours.sa_flags |= SA_NOCLDWAIT; /* children go on being reaped by the kernel */
    }
    return sigaction(number, &ours, NULL) < 0 ? -errno : 0;
}

/* Restore what was there, if ours is still in place. */
static inline int kn_signal_give_back(int number)
{
    struct sigaction now, *was;
    uint64_t bit = KN_SIGNAL_BIT(number);
    kn_signal_action word;
    int entry;

    if (!(kn_signals.taken & bit))
        return 0;
    kn_signals.taken &= ~bit;
    if (sigaction(number, NULL, &now) < 0 || (entry = kn_signal_entry(&now)) < 0)
        return 0;
    was = &kn_signals.was[entry][number];
    word = kn_signal_word(was);
    if (word != KN_SIG_DFL && word != KN_SIG_IGN) /* siginterrupt(3) changed ours, and meant the program's */
        was->sa_flags = (was->sa_flags & ~SA_RESTART) | (now.sa_flags & SA_RESTART);
    return sigaction(number, was, NULL) < 0 ? -errno : 0;
}

/* Whether ours stands where the program has SIG_IGN, which an exec'd child should find there. */
static inline int kn_signal_hides_ignored(void)
{
    struct sigaction now;
    int entry;
    for (int number = 1; number < KN_SIGNALS; number++)
        if (kn_signals.taken & KN_SIGNAL_BIT(number) && sigaction(number, NULL, &now) == 0
            && (entry = kn_signal_entry(&now)) >= 0
            && atomic_load(&kn_signals.chain[entry][number]) == KN_SIG_IGN)
            return 1;
    return 0;
}

/* How often the handler saw it.  Needs no lock. */
static inline int64_t kn_signal_count(int number) { return (int64_t)atomic_load(&kn_signals.count[number]); }

/* Whether it waits for the calling thread to unblock it.  Needs no lock. */
static inline int kn_signal_pending(int number)
{
    sigset_t set;
    return sigpending(&set) == 0 && sigismember(&set, number) == 1;
}

/* -- bells: need no lock ------------------------------------------------------------------------------------------ */

static inline void kn_bell_lower(struct kn_bell *b)
{
    uint64_t count;
    /* In this order: a handler that finds it raised has counted before we look at the counts. */
    ssize_t ignored = read(b->fd, &count, sizeof count);
    (void)ignored;
    atomic_store(&b->raised, 0);
}

static inline struct kn_bell *kn_bell_open(void)
{
    struct kn_bell *b;
    int unused = 0, fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return NULL;
    for (b = atomic_load(&kn_signals.bells); b; b = b->next, unused = 0)
        if (atomic_compare_exchange_strong(&b->used, &unused, 1))
            break;
    if (!b) {
        b = calloc(1, sizeof *b);
        if (!b) {
            close(fd);
            errno = ENOMEM;
            return NULL;
        }
        atomic_store(&b->used, 1);
        b->fd = fd;
        b->next = atomic_load(&kn_signals.bells);
        while (!atomic_compare_exchange_weak(&kn_signals.bells, &b->next, b))
            ;
        return b;
    }
    b->fd = fd;
    atomic_store(&b->raised, 0);
    return b;
}

static inline void kn_bell_listen(struct kn_bell *b, int number) { atomic_fetch_or(&b->signals, KN_SIGNAL_BIT(number)); }

static inline void kn_bell_unlisten(struct kn_bell *b, int number)
{
    atomic_fetch_and(&b->signals, ~KN_SIGNAL_BIT(number));
}

/* A handler on another thread may be on its way to the number, which must not be another file's by then. */
static inline void kn_bell_close(struct kn_bell *b)
{
    atomic_store(&b->signals, 0);
    while (atomic_load(&b->ringing))
        sched_yield();
    close(b->fd);
    b->fd = -1;
    atomic_store(&b->used, 0);
}

/* -- blocked signals: need no lock -------------------------------------------------------------------------------- */

/* A signalfd that is never read, since that would take the signal: watched by edge it tells whenever one of the signals
 * of mask (bit n - 1: n) becomes pending. */
static inline int kn_peek_create(void)
{
    uint64_t none = 0;
    int fd = (int)syscall(SYS_signalfd4, -1, &none, sizeof none, O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static inline int kn_peek_watch(int fd, uint64_t mask)
{
    /* Nobody would hear of a refusal, and of blocked signals neither. */
    for (int tries = 4; tries > 0; tries--)
        if (syscall(SYS_signalfd4, fd, &mask, sizeof mask, 0) >= 0)
            return 0;
    return -errno;
}

/* -- fork --------------------------------------------------------------------------------------------------------- */

/* The child counts for nobody, and what it executes finds ignored signals ignored.  Its bells belong to queues that it
 * has yet to close; a handler of another thread of the parent, caught in the middle, never comes to its end here. */
static void kn_signal_child(void)
{
    for (int number = 1; number < KN_SIGNALS; number++)
        kn_signal_give_back(number);
    for (struct kn_bell *b = atomic_load(&kn_signals.bells); b; b = b->next) {
        atomic_store(&b->signals, 0);
        atomic_store(&b->ringing, 0);
    }
}

static inline int kn_signal_watch_forks(void) { return -pthread_atfork(NULL, NULL, kn_signal_child); }

#endif
