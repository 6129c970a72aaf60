/* A mutex that knows its owner (futex(2), "Futexes are tricky", mutex 2).
 *
 * A kqueue's lock is held only while knote's own code runs, but a finalizer may run there all the same
 * (on CPython <= 3.11 any allocation can start the collector) and call control() again.  So the lock can
 * say "it is you who holds me", and the second call puts its changes aside instead of waiting for itself.
 */
#ifndef KN_LOCK_H
#define KN_LOCK_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kn_lock {
    _Atomic uint32_t state;   /* 0 free, 1 held, 2 held and someone waits */
    _Atomic(void *) owner;    /* address of a thread-local of the holder; NULL when free */
};

/* gettid() is a system call; the address of a thread-local is as unique while the thread lives. */
static _Thread_local char kn_lock_self;

/* 1: taken.  0: somebody else has it.  -1: this very thread has it. */
static inline int kn_lock_try(struct kn_lock *l)
{
    uint32_t unlocked = 0;
    if (atomic_compare_exchange_strong_explicit(&l->state, &unlocked, 1, memory_order_acquire,
                                                memory_order_relaxed)) {
        atomic_store_explicit(&l->owner, &kn_lock_self, memory_order_relaxed);
        return 1;
    }
    /* Only this thread can have stored its own address, so a relaxed load cannot be fooled. */
    return atomic_load_explicit(&l->owner, memory_order_relaxed) == (void *)&kn_lock_self ? -1 : 0;
}

/* Block until it is taken.  The caller does not hold the lock and has let go of the GIL: the holder may
 * be in a finalizer and need it. */
static inline void kn_lock_wait(struct kn_lock *l)
{
    while (atomic_exchange_explicit(&l->state, 2, memory_order_acquire) != 0)
        syscall(SYS_futex, (uint32_t *)&l->state, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
    atomic_store_explicit(&l->owner, &kn_lock_self, memory_order_relaxed);
}

static inline void kn_lock_release(struct kn_lock *l)
{
    atomic_store_explicit(&l->owner, NULL, memory_order_relaxed);
    if (atomic_exchange_explicit(&l->state, 0, memory_order_release) == 2)
        syscall(SYS_futex, (uint32_t *)&l->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

#endif
