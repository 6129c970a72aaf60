/* io_uring's multishot polls: edges, told without a system call for each.  Needs liburing. */
#define AT_ONCE 4096
#include "peer.h"
#include <liburing.h>
#include <poll.h>

#define ENTRIES 4096

struct peer {
    struct load *load;
    struct io_uring ring;
};

static void gone(struct peer *peer)
{
    io_uring_queue_exit(&peer->ring);
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct io_uring_params params = {.cq_entries = 16 * ENTRIES};
    struct peer *peer = calloc(1, sizeof *peer);
    int rc;
    if (!peer)
        return NULL;
    params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
#ifdef IORING_SETUP_DEFER_TASKRUN
    params.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
#endif
    peer->load = load;
    rc = io_uring_queue_init_params(ENTRIES, &peer->ring, &params);
    if (rc < 0) {
        free(peer);
        errno = -rc;
        return NULL;
    }
    for (int i = 0; i < load->count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&peer->ring);
        if (!sqe) {
            io_uring_submit(&peer->ring);
            sqe = io_uring_get_sqe(&peer->ring);
        }
        io_uring_prep_poll_multishot(sqe, load->reading[i], POLLIN);
        sqe->user_data = (uint64_t)i;
    }
    rc = io_uring_submit(&peer->ring);
    if (rc < 0) {
        gone(peer);
        errno = -rc;
        return NULL;
    }
    return peer;
}

static int turn(struct peer *peer, int block)
{
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    int rc = block ? io_uring_submit_and_wait(&peer->ring, 1) : io_uring_submit(&peer->ring);
    if (rc < 0)
        return rc;
    io_uring_for_each_cqe(&peer->ring, head, cqe) {
        n++;
        if (cqe->res > 0)
            work(peer->load, (int)cqe->user_data);
    }
    io_uring_cq_advance(&peer->ring, n);
    return (int)n;
}
