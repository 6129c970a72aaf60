/* The loops that knote's waits and changes are compared with, timed here so that no Python is in the figure.
 * Built as a shared library and called in the process that measures knote: same descriptors, same caches,
 * same round.  Each runs its loop `turns` times and gives the nanoseconds taken, or -errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROOM 4096

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* epoll_wait alone; *events gets how many it reported in all. */
int64_t loop_wait(int ep, int room, int64_t turns, int64_t *events)
{
    static struct epoll_event hits[MAX_ROOM];
    int64_t seen = 0, start = now_ns();
    if (room > MAX_ROOM)
        return -EINVAL;
    while (turns--) {
        int n = epoll_wait(ep, hits, room, 0);
        if (n < 0)
            return -errno;
        seen += n;
    }
    *events = seen;
    return now_ns() - start;
}

/* epoll_wait and FIONREAD on each; the data of each event is its descriptor.  *bytes gets their sum. */
int64_t loop_wait_fionread(int ep, int room, int64_t turns, int64_t *bytes)
{
    static struct epoll_event hits[MAX_ROOM];
    int64_t sum = 0, start = now_ns();
    if (room > MAX_ROOM)
        return -EINVAL;
    while (turns--) {
        int n = epoll_wait(ep, hits, room, 0);
        if (n < 0)
            return -errno;
        for (int i = 0; i < n; i++) {
            int readable;
            if (ioctl(hits[i].data.fd, FIONREAD, &readable) < 0)
                return -errno;
            sum += readable;
        }
    }
    *bytes = sum;
    return now_ns() - start;
}

/* Each turn: `wide` for every descriptor, then `narrow` for every descriptor. */
int64_t loop_modify(int ep, const int *fds, int count, uint32_t wide, uint32_t narrow, int64_t turns)
{
    int64_t start = now_ns();
    while (turns--) {
        for (int pass = 0; pass < 2; pass++) {
            uint32_t mask = pass ? narrow : wide;
            for (int i = 0; i < count; i++) {
                struct epoll_event change = {.events = mask, .data.u64 = (uint64_t)fds[i]};
                if (epoll_ctl(ep, EPOLL_CTL_MOD, fds[i], &change) < 0)
                    return -errno;
            }
        }
    }
    return now_ns() - start;
}

/* Each turn: `wide`, or every other time `narrow`, for every descriptor, and a wait, which must find `ready`. */
int64_t loop_change_wait(int ep, const int *fds, int count, uint32_t wide, uint32_t narrow, int ready,
                         int64_t turns)
{
    static struct epoll_event hits[MAX_ROOM];
    int64_t start = now_ns();
    for (int64_t turn = 0; turn < turns; turn++) {
        for (int i = 0; i < count; i++) {
            struct epoll_event change = {.events = turn & 1 ? narrow : wide, .data.u64 = (uint64_t)fds[i]};
            if (epoll_ctl(ep, EPOLL_CTL_MOD, fds[i], &change) < 0)
                return -errno;
        }
        if (epoll_wait(ep, hits, MAX_ROOM, 0) != ready)
            return -EIO;
    }
    return now_ns() - start;
}

/* A byte into each pipe, or out of it: what comes before and after something that is timed elsewhere.  0 or -errno. */
int64_t loop_fill(const int *writing, int count)
{
    for (int i = 0; i < count; i++)
        if (write(writing[i], "e", 1) != 1)
            return -errno;
    return 0;
}

int64_t loop_drain(const int *reading, int count)
{
    char byte;
    for (int i = 0; i < count; i++)
        if (read(reading[i], &byte, 1) != 1)
            return -errno;
    return 0;
}
