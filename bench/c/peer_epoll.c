/* epoll(7), level-triggered unless EDGES says otherwise: what everything on Linux is measured by. */
#include "peer.h"
#include <sys/epoll.h>

#define ROOM 4096
#ifndef EDGES
#define EDGES 0
#endif

struct peer {
    struct load *load;
    int ep;
    struct epoll_event hits[ROOM];
};

static void gone(struct peer *peer)
{
    close(peer->ep);
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->load = load;
    peer->ep = epoll_create1(EPOLL_CLOEXEC);
    if (peer->ep < 0) {
        free(peer);
        return NULL;
    }
    for (int i = 0; i < load->count; i++) {
        struct epoll_event interest = {.events = EPOLLIN | EDGES, .data.u32 = (uint32_t)i};
        if (epoll_ctl(peer->ep, EPOLL_CTL_ADD, load->reading[i], &interest) < 0) {
            int saved = errno;
            gone(peer);
            errno = saved;
            return NULL;
        }
    }
    return peer;
}

static int turn(struct peer *peer, int block)
{
    int n = epoll_wait(peer->ep, peer->hits, ROOM, block ? -1 : 0);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        work(peer->load, (int)peer->hits[i].data.u32);
    return n;
}
