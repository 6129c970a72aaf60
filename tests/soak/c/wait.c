/* kn_epoll.h and kn_time.h from many threads: some wait, each with a batch of its own, while others change the set,
 * raise the wake descriptor and set the timer.  Each edge goes to exactly one waiter. */
#include "kn_epoll.h"
#include "kn_time.h"
#include "rooms.h"

#include <fcntl.h>
#include <string.h>

enum { WAITERS = 4, CHANGERS = 2, TICKS = 20000, PIPES = 32, BATCH = 16 };

static int ep, wake, timer;
static int pipes[PIPES][2];
static _Atomic int over, seen, running;
static _Atomic int turns[PIPES]; /* 1 while an edge of the pipe is under way */

static void *waiter(void *argument)
{
    kn_hit hits[BATCH];
    (void)argument;
    while (!atomic_load(&over)) {
        int n = kn_epoll_wait(ep, hits, BATCH, 2000000);
        CHECK(n >= 0 || n == -EINTR);
        for (int i = 0; i < n; i++) {
            uint64_t token = kn_hit_token(hits, i);
            CHECK(kn_hit_mask(hits, i) != 0);
            if (token < PIPES) {
                char byte;
                int fd = pipes[token][0];
                CHECK(read(fd, &byte, 1) == 1);
                CHECK(atomic_exchange(&turns[token], 0) == 1); /* by nobody else */
                atomic_fetch_add(&seen, 1);
            } else if (token == 1000) {
                CHECK(kn_wake_lower(wake) == 0);
            } else {
                CHECK(token == 1001);
                CHECK(kn_timer_set(timer, -1) == 0);
            }
        }
    }
    return NULL;
}

static void *changer(void *argument)
{
    unsigned state = (unsigned)(long)argument * 104729u + 1;
    for (int tick = 0; tick < TICKS; tick++) {
        unsigned at = soak_random(&state) % PIPES;
        int free = 0;
        switch (soak_random(&state) % 4) {
        case 0:
            CHECK(kn_wake_raise(wake) == 0);
            break;
        case 1:
            CHECK(kn_timer_set(timer, kn_now(CLOCK_MONOTONIC) + soak_random(&state) % 50000) == 0);
            break;
        default:
            if (atomic_compare_exchange_strong(&turns[at], &free, 1))
                CHECK(write(pipes[at][1], "x", 1) == 1);
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Its own descriptors in the common set: batches of changes that fail in the middle, and repair an EEXIST. */
static void *churner(void *argument)
{
    (void)argument;
    while (atomic_load(&running)) {
        int fds[2], error, done;
        CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
        struct kn_ctl changes[] = {
            {.token = 2000, .op = EPOLL_CTL_ADD, .fd = fds[0], .mask = EPOLLIN},
            {.token = 2001, .op = EPOLL_CTL_ADD, .fd = fds[0], .mask = EPOLLIN | EPOLLET},
            {.token = 2000, .op = EPOLL_CTL_MOD, .fd = fds[1], .mask = EPOLLIN},
            {.token = 2000, .op = EPOLL_CTL_ADD, .fd = fds[1], .mask = EPOLLIN},
        };
        done = kn_epoll_ctl_many(ep, changes, 4, &error);
        CHECK(done == 2 && error == -ENOENT);
        CHECK(kn_epoll_ctl(ep, EPOLL_CTL_DEL, fds[0], 0, 0) == 0);
        CHECK(kn_epoll_ctl(ep, EPOLL_CTL_DEL, fds[1], 0, 0) == -ENOENT);
        close(fds[0]);
        close(fds[1]);
        CHECK(kn_epoll_ctl(ep, EPOLL_CTL_DEL, 1 << 20, 0, 0) == -EBADF);
    }
    return NULL;
}

static void *everybody(void *argument)
{
    long number = (long)argument;
    if (number < WAITERS)
        return waiter(argument);
    if (number < WAITERS + CHANGERS)
        changer(argument);
    else
        churner(argument);
    if (number == WAITERS + CHANGERS) {
        /* All changers are done: what is under way must still come. */
        for (int i = 0; i < PIPES; i++)
            while (atomic_load(&turns[i]))
                usleep(100);
        atomic_store(&over, 1);
    }
    return NULL;
}

int main(void)
{
    int64_t start = kn_now(CLOCK_MONOTONIC);
    kn_hit hits[1];

    CHECK((ep = kn_epoll_create()) >= 0);
    CHECK((wake = kn_wake_create()) >= 0);
    CHECK((timer = kn_timer_create(CLOCK_MONOTONIC)) >= 0);
    CHECK(kn_epoll_wait(ep, hits, 1, 3000001) == 0);
    CHECK(kn_now(CLOCK_MONOTONIC) - start >= 3000001); /* never early */
    CHECK(kn_epoll_ctl(ep, EPOLL_CTL_ADD, wake, EPOLLIN, 1000) == 0);
    CHECK(kn_epoll_ctl(ep, EPOLL_CTL_ADD, timer, EPOLLIN, 1001) == 0);
    for (int i = 0; i < PIPES; i++) {
        CHECK(pipe2(pipes[i], O_NONBLOCK | O_CLOEXEC) == 0);
        CHECK(kn_epoll_ctl(ep, EPOLL_CTL_ADD, pipes[i][0], EPOLLIN | EPOLLET, (uint64_t)i) == 0);
    }
    atomic_store(&running, CHANGERS);
    soak_run(everybody, WAITERS + CHANGERS + 1);
    printf("wait: %d edges, each to one of %d waiters\n", atomic_load(&seen), WAITERS);
    return 0;
}
