/* Clocks, timerfd_create(2) and eventfd(2).  All return n or -errno. */
#ifndef KN_TIME_H
#define KN_TIME_H

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static inline int64_t kn_now(int clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Nanoseconds of so many seconds, below 2^62, rounded up. */
static inline int64_t kn_ceil_ns(double seconds)
{
    double exact = seconds * 1e9;
    int64_t whole = (int64_t)exact;
    return whole + ((double)whole < exact);
}

static inline int kn_timer_create(int clock)
{
    int fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* Nobody may hear of a refusal here, and a deadline or a wake-up would be lost: what passes (a signal, no memory) is
 * tried again. */
#define KN_TRIES 4

/* A value of 0 disarms (spec S-465): a deadline at or before the clock's zero becomes its first nanosecond.
 * Setting also takes back an expiration that nobody read, so no read(2) is ever needed. */
static inline int kn_timer_set(int fd, int64_t deadline_ns)
{
    struct itimerspec its = {{0, 0}, {0, 0}};
    if (deadline_ns >= 0) {
        if (deadline_ns == 0)
            deadline_ns = 1;
        its.it_value.tv_sec = deadline_ns / 1000000000;
        its.it_value.tv_nsec = deadline_ns % 1000000000;
    }
    for (int tries = KN_TRIES; tries > 0; tries--)
        if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL) == 0)
            return 0;
    return -errno;
}

static inline int kn_wake_create(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* EAGAIN means that the counter is as high as it goes: it is raised, which is what was asked. */
static inline int kn_wake_raise(int fd)
{
    uint64_t one = 1;
    for (int tries = KN_TRIES; tries > 0; tries--)
        if (write(fd, &one, sizeof one) >= 0 || errno == EAGAIN)
            return 0;
    return -errno;
}

/* EAGAIN means that it was down already. */
static inline int kn_wake_lower(int fd)
{
    uint64_t count;
    for (int tries = KN_TRIES; tries > 0; tries--)
        if (read(fd, &count, sizeof count) >= 0 || errno == EAGAIN)
            return 0;
    return -errno;
}

#endif
