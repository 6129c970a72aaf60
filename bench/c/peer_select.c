/* select(2): a bit for each number below FD_SETSIZE, 1024. */
#include "peer.h"
#include <sys/select.h>

struct peer {
    struct load *load;
    fd_set wanted;
    int highest;
};

static void gone(struct peer *peer)
{
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->load = load;
    FD_ZERO(&peer->wanted);
    for (int i = 0; i < load->count; i++) {
        if (load->reading[i] >= FD_SETSIZE) {
            free(peer);
            errno = ERANGE;
            return NULL;
        }
        FD_SET(load->reading[i], &peer->wanted);
        if (load->reading[i] > peer->highest)
            peer->highest = load->reading[i];
    }
    return peer;
}

static int turn(struct peer *peer, int block)
{
    fd_set found = peer->wanted;
    struct timeval zero = {0, 0};
    int n = select(peer->highest + 1, &found, NULL, NULL, block ? NULL : &zero), left = n;
    if (n < 0)
        return -errno;
    for (int i = 0; left; i++)
        if (FD_ISSET(peer->load->reading[i], &found)) {
            left--;
            work(peer->load, i);
        }
    return n;
}
