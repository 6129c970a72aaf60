/* kn_signal.h while signals storm: each queued one is counted once, bells come and go under the handlers' feet and no
 * write goes astray, the program's handler is called each time and replaced in between. */
#include "kn_signal.h"
#include "rooms.h"

enum { SENDERS = 4, SENDS = 20000, BELLS = 2, CYCLES = 4000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* what signals.py's is */
static _Atomic long sent, called, senders;
static int number;

static void handler(int n)
{
    CHECK(n == number);
    atomic_fetch_add(&called, 1);
}

static void other_handler(int n) { handler(n); }

/* Thread-directed, and queued: one that finds no room says so. */
static void *send(void *argument)
{
    (void)argument;
    for (int i = 0; i < SENDS; i++) {
        while (pthread_kill(pthread_self(), number) == EAGAIN)
            sched_yield();
        atomic_fetch_add(&sent, 1);
    }
    atomic_fetch_sub(&senders, 1);
    return NULL;
}

/* A queue that comes and goes: its number is another file's as soon as it has gone. */
static void *listen(void *argument)
{
    (void)argument;
    for (int i = 0; i < CYCLES; i++) {
        struct kn_bell *bell = kn_bell_open();
        int ends[2];
        char byte;
        CHECK(bell);
        kn_bell_listen(bell, number);
        kn_bell_lower(bell);
        kn_bell_close(bell);
        CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
        sched_yield();
        CHECK(read(ends[0], &byte, 1) < 0 && errno == EAGAIN); /* nobody wrote to our number */
        close(ends[0]);
        close(ends[1]);
    }
    return NULL;
}

/* A program that exchanges its handler. */
static void *replace(void *argument)
{
    struct sigaction mine;
    (void)argument;
    memset(&mine, 0, sizeof mine);
    for (int i = 0; atomic_load(&senders); i++) {
        pthread_mutex_lock(&lock);
        CHECK(kn_signal_settled(number));
        CHECK(kn_signal_give_back(number) == 0);
        mine.sa_handler = i & 1 ? handler : other_handler;
        CHECK(sigaction(number, &mine, NULL) == 0);
        CHECK(kn_signal_take(number, 0) == 0);
        pthread_mutex_unlock(&lock);
        sched_yield();
    }
    return NULL;
}

/* A queue that is there all the time: what it was told adds up to what was sent. */
static long collect(struct kn_bell *bell, int64_t *told)
{
    int64_t total;
    kn_bell_lower(bell);
    total = kn_signal_count(number);
    CHECK(total >= *told);
    *told = total;
    return (long)total;
}

static void storm(int with_replacing)
{
    pthread_t threads[SENDERS + BELLS + 1];
    struct kn_bell *bell = kn_bell_open();
    int64_t before = kn_signal_count(number), told = before;
    int n = 0;

    CHECK(bell);
    kn_bell_listen(bell, number);
    atomic_store(&sent, 0);
    atomic_store(&called, 0);
    atomic_store(&senders, SENDERS);
    for (int i = 0; i < SENDERS; i++)
        CHECK(pthread_create(&threads[n++], NULL, send, NULL) == 0);
    for (int i = 0; i < BELLS; i++)
        CHECK(pthread_create(&threads[n++], NULL, listen, NULL) == 0);
    if (with_replacing)
        CHECK(pthread_create(&threads[n++], NULL, replace, NULL) == 0);
    while (atomic_load(&senders))
        collect(bell, &told);
    for (int i = 0; i < n; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    collect(bell, &told);
    CHECK(atomic_load(&called) == atomic_load(&sent));
    if (with_replacing) /* in between, the program's handler stood alone */
        CHECK(told - before <= atomic_load(&sent));
    else
        CHECK(told - before == atomic_load(&sent));
    kn_bell_close(bell);
}

int main(void)
{
    struct sigaction mine, after;
    number = SIGRTMIN + 3;
    memset(&mine, 0, sizeof mine);
    mine.sa_handler = handler;
    mine.sa_flags = SA_RESTART;
    sigaddset(&mine.sa_mask, SIGUSR2);
    CHECK(sigaction(number, &mine, NULL) == 0);

    CHECK(kn_signal_take(number, 0) == 0);
    storm(0);
    CHECK(kn_signal_give_back(number) == 0);
    CHECK(sigaction(number, NULL, &after) == 0);
    CHECK(after.sa_handler == handler && after.sa_flags & SA_RESTART && sigismember(&after.sa_mask, SIGUSR2) == 1);

    CHECK(kn_signal_take(number, 0) == 0);
    storm(1);
    CHECK(kn_signal_give_back(number) == 0);
    printf("signal: %d counted, twice; %d bells came and went\n", SENDERS * SENDS, 2 * BELLS * CYCLES);
    return 0;
}
