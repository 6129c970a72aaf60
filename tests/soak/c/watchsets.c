/* kn_watchset.h, kn_aiowait.h and kn_rtsig.h from many threads: some wait, each with a batch of its own, while others
 * write, take descriptors out and put them in again, and let the set grow.  Every byte is found. */
#include "kn_aiowait.h"
#include "kn_rtsig.h"
#include "rooms.h"

enum { WAITERS = 3, CHANGERS = 2, TICKS = 4000, PIPES = 32, MORE = 200, BATCH = 8 };

struct kind {
    const char *name;
    int (*open)(void);
    int (*put)(int fd, uint32_t mask, uint64_t token);
    int (*wait)(kn_hit *hits, int capacity, int64_t timeout_ns);
    void (*close)(void);
};

static struct kn_watchset set;
static struct kn_rtsigs signals;
static struct kn_aiopolls polls;

static int poll_open(void) { return kn_watchset_open(&set, kn_poll_sleep); }
static int set_put(int fd, uint32_t mask, uint64_t token) { return kn_watchset_put(&set, fd, mask, token); }
static int set_wait(kn_hit *hits, int capacity, int64_t ns) { return kn_watchset_wait(&set, hits, capacity, ns); }
static void set_close(void) { kn_watchset_close(&set); }
static int rtsig_open(void) { return kn_rtsigs_open(&signals, &set, 0); }
static int rtsig_put(int fd, uint32_t mask, uint64_t token) { return kn_rtsigs_put(&signals, fd, mask, token); }
static void rtsig_close(void) { kn_rtsigs_close(&signals, 0); }
static int aio_open(void) { return kn_aiopolls_open(&polls, 0); }
static int aio_put(int fd, uint32_t mask, uint64_t token) { return kn_aiopolls_put(&polls, fd, mask, token); }
static int aio_wait(kn_hit *hits, int capacity, int64_t ns) { return kn_aiopolls_wait(&polls, hits, capacity, ns); }
static void aio_close(void) { kn_aiopolls_close(&polls, 0); }

static const struct kind kinds[] = {
    {"poll", poll_open, set_put, set_wait, set_close},
    {"rtsig", rtsig_open, rtsig_put, set_wait, rtsig_close},
    {"aio", aio_open, aio_put, aio_wait, aio_close},
};

static const struct kind *kind;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the queue's */
static int pipes[PIPES][2];
static _Atomic int over, seen, written, running;

static int put(int fd, uint32_t mask, uint64_t token)
{
    pthread_mutex_lock(&lock);
    int rc = kind->put(fd, mask, token);
    pthread_mutex_unlock(&lock);
    return rc;
}

static void waiter(void)
{
    kn_hit hits[BATCH];
    while (!atomic_load(&over)) {
        int n = kind->wait(hits, BATCH, 20000000);
        CHECK(n >= 0 || n == -EINTR);
        for (int i = 0; i < n; i++) {
            uint64_t token = kn_hit_token(hits, i);
            char bytes[64];
            CHECK(token < PIPES && kn_hit_mask(hits, i) == POLLIN);
            ssize_t got = read(pipes[token][0], bytes, sizeof bytes);
            CHECK(got > 0 || errno == EAGAIN); /* another waiter's, by level */
            if (got > 0)
                atomic_fetch_add(&seen, (int)got);
        }
    }
}

static void changer(unsigned state)
{
    for (int tick = 0; tick < TICKS; tick++) {
        unsigned at = soak_random(&state) % PIPES;
        if (soak_random(&state) % 4) {
            if (write(pipes[at][1], "x", 1) == 1)
                atomic_fetch_add(&written, 1);
        } else {
            CHECK(put(pipes[at][0], 0, at) == 0);
            CHECK(put(pipes[at][0], POLLIN, at) == 0);
        }
        if (tick % 64 == 0)
            usleep(100); /* so that some sleep */
    }
    atomic_fetch_sub(&running, 1);
}

/* Descriptors that never become ready come by the hundred and go. */
static void grower(void)
{
    int fds[MORE];
    while (atomic_load(&running)) {
        for (int i = 0; i < MORE; i++) {
            CHECK((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
            CHECK(put(fds[i], POLLIN, 1000 + (uint64_t)i) == 0);
        }
        for (int i = 0; i < MORE; i++) {
            CHECK(put(fds[i], 0, 1000 + (uint64_t)i) == 0);
            close(fds[i]);
        }
    }
    while (atomic_load(&seen) < atomic_load(&written))
        usleep(100);
    atomic_store(&over, 1);
}

static void *everybody(void *argument)
{
    long number = (long)argument;
    if (number < WAITERS)
        waiter();
    else if (number < WAITERS + CHANGERS)
        changer((unsigned)number * 104729u + 1);
    else
        grower();
    return NULL;
}

int main(void)
{
    for (kind = kinds; kind < kinds + 3; kind++) {
        atomic_store(&over, 0);
        atomic_store(&seen, 0);
        atomic_store(&written, 0);
        CHECK(kind->open() >= 0);
        for (int i = 0; i < PIPES; i++) {
            CHECK(pipe2(pipes[i], O_NONBLOCK | O_CLOEXEC) == 0);
            CHECK(kind->put(pipes[i][0], POLLIN, (uint64_t)i) == 0);
        }
        atomic_store(&running, CHANGERS);
        soak_run(everybody, WAITERS + CHANGERS + 1);
        CHECK(atomic_load(&seen) == atomic_load(&written));
        kind->close();
        for (int i = 0; i < PIPES; i++) {
            close(pipes[i][0]);
            close(pipes[i][1]);
        }
        printf("watchsets: %s, %d bytes found by %d waiters\n", kind->name, atomic_load(&seen), WAITERS);
    }
    return 0;
}
