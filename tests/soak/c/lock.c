/* kn_lock.h from many threads: nobody is inside together with another, nobody waits for ever, and whoever holds
 * the lock is told so instead of waiting for himself. */
#include "kn_lock.h"
#include "rooms.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

enum { THREADS = 8, TURNS = 60000 };

static struct kn_lock lock;
static long counter;               /* no atomic: the lock is what keeps it whole */
static struct { long a, b; } pair; /* equal whenever nobody is inside */
static _Atomic long interrupted;

static void take(void)
{
    int got = kn_lock_try(&lock);
    CHECK(got != -1);
    if (!got)
        kn_lock_wait(&lock);
}

static void *work(void *argument)
{
    unsigned state = (unsigned)(long)argument * 7919u + 1;
    for (int i = 0; i < TURNS; i++) {
        take();
        CHECK(kn_lock_try(&lock) == -1);
        CHECK(pair.a == pair.b);
        pair.a++;
        if (soak_random(&state) % 64 == 0)
            sched_yield();
        counter++;
        pair.b++;
        kn_lock_release(&lock);
    }
    return NULL;
}

/* A handler comes in anywhere, also between taking the lock and noting its owner. */
static void handler(int number)
{
    (void)number;
    int got = kn_lock_try(&lock);
    if (got == 1)
        kn_lock_release(&lock);
    atomic_fetch_add_explicit(&interrupted, 1, memory_order_relaxed);
}

int main(void)
{
    struct sigaction action;
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};

    soak_run(work, THREADS);
    CHECK(counter == (long)THREADS * TURNS);
    CHECK(pair.a == counter && pair.b == counter);

    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    soak_run(work, THREADS);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(counter == 2L * THREADS * TURNS);
    CHECK(kn_lock_try(&lock) == 1);
    kn_lock_release(&lock);
    printf("lock: %ld turns, %ld interruptions\n", counter, atomic_load(&interrupted));
    return 0;
}
