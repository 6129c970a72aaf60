/* poll(2): the whole list goes in, and comes out, with every call. */
#include "peer.h"
#include <poll.h>

struct peer {
    struct load *load;
    struct pollfd *list;
};

static void gone(struct peer *peer)
{
    free(peer->list);
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->load = load;
    peer->list = calloc((size_t)load->count, sizeof *peer->list);
    if (!peer->list) {
        free(peer);
        return NULL;
    }
    for (int i = 0; i < load->count; i++)
        peer->list[i] = (struct pollfd){.fd = load->reading[i], .events = POLLIN};
    return peer;
}

static int turn(struct peer *peer, int block)
{
    int n = poll(peer->list, (nfds_t)peer->load->count, block ? -1 : 0), left = n;
    if (n < 0)
        return -errno;
    for (int i = 0; left; i++)
        if (peer->list[i].revents) {
            left--;
            work(peer->load, i);
        }
    return n;
}
