/* What a batch of io_uring's saves, in C: N epoll_ctl(2), or N FIONREAD, by one io_uring_enter(2).  Needs liburing.
 *
 * Timed here, as in loops.c: the nanoseconds taken, or -errno. */
#define _GNU_SOURCE
#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

#define MAX_BATCH 1024
#define CMD_SIOCINQ 0 /* SOCKET_URING_OP_SIOCINQ, Linux 6.7 */

struct batch {
    struct io_uring ring;
    struct epoll_event changes[MAX_BATCH], hits[MAX_BATCH];
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* NULL without memory or with what *error says. */
struct batch *batch_open(int *error)
{
    struct batch *batch = calloc(1, sizeof *batch);
    *error = batch ? 0 : ENOMEM;
    if (!batch)
        return NULL;
    *error = -io_uring_queue_init(MAX_BATCH, &batch->ring, 0);
    if (*error) {
        free(batch);
        return NULL;
    }
    return batch;
}

void batch_close(struct batch *batch)
{
    io_uring_queue_exit(&batch->ring);
    free(batch);
}

/* Hand over what was prepared and take its results; *sum gets theirs.  0, or the first -errno among them. */
static int finish(struct io_uring *ring, unsigned count, int64_t *sum)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    int rc = io_uring_submit_and_wait(ring, count);
    if (rc < 0)
        return rc;
    rc = 0;
    io_uring_for_each_cqe(ring, head, cqe) {
        seen++;
        if (cqe->res < 0)
            rc = cqe->res;
        else
            *sum += cqe->res;
    }
    io_uring_cq_advance(ring, seen);
    return rc ? rc : seen == count ? 0 : -EIO;
}

/* As loop_change_wait(): the changes of a turn by one call, the wait by another. */
int64_t batch_change_wait(struct batch *batch, int ep, const int *fds, int count, uint32_t wide, uint32_t narrow,
                          int ready, int64_t turns)
{
    int64_t start = now_ns(), sum = 0;
    if (count > MAX_BATCH)
        return -EINVAL;
    for (int64_t turn = 0; turn < turns; turn++) {
        int rc;
        for (int i = 0; i < count; i++) {
            struct epoll_event *change = &batch->changes[i];
            change->events = turn & 1 ? narrow : wide;
            change->data.u64 = (uint64_t)fds[i];
            io_uring_prep_epoll_ctl(io_uring_get_sqe(&batch->ring), ep, fds[i], EPOLL_CTL_MOD, change);
        }
        rc = finish(&batch->ring, (unsigned)count, &sum);
        if (rc < 0)
            return rc;
        if (epoll_wait(ep, batch->hits, MAX_BATCH, 0) != ready)
            return -EIO;
    }
    return now_ns() - start;
}

/* As loop_wait_fionread(), of TCP sockets: the bytes of all that epoll_wait(2) reported by one call. */
int64_t batch_wait_readable(struct batch *batch, int ep, int room, int64_t turns, int64_t *bytes)
{
    int64_t sum = 0, start = now_ns();
    if (room > MAX_BATCH)
        return -EINVAL;
    while (turns--) {
        int rc, n = epoll_wait(ep, batch->hits, room, 0);
        if (n < 0)
            return -errno;
        for (int i = 0; i < n; i++) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&batch->ring);
            io_uring_prep_rw(IORING_OP_URING_CMD, sqe, batch->hits[i].data.fd, NULL, 0, CMD_SIOCINQ);
        }
        rc = finish(&batch->ring, (unsigned)n, &sum);
        if (rc < 0)
            return rc;
    }
    *bytes = sum;
    return now_ns() - start;
}
