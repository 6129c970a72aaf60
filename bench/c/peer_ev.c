/* libev, with the back end that it chooses. */
#include "peer.h"
#include <ev.h>

struct peer {
    struct load *load;
    struct ev_loop *loop;
    ev_io *watchers;
};

static void ready(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct peer *peer = watcher->data;
    (void)loop;
    (void)events;
    work(peer->load, (int)(watcher - peer->watchers));
}

static void gone(struct peer *peer)
{
    for (int i = 0; i < peer->load->count; i++)
        ev_io_stop(peer->loop, &peer->watchers[i]);
    ev_loop_destroy(peer->loop);
    free(peer->watchers);
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->load = load;
    peer->watchers = calloc((size_t)load->count, sizeof *peer->watchers);
    peer->loop = ev_loop_new(EVFLAG_AUTO);
    if (!peer->loop || !peer->watchers)
        return NULL; /* of a program that measures and ends */
    for (int i = 0; i < load->count; i++) {
        ev_io_init(&peer->watchers[i], ready, load->reading[i], EV_READ);
        peer->watchers[i].data = peer;
        ev_io_start(peer->loop, &peer->watchers[i]);
    }
    ev_run(peer->loop, EVRUN_NOWAIT); /* only now it tells the kernel */
    return peer;
}

static int turn(struct peer *peer, int block)
{
    ev_run(peer->loop, block ? EVRUN_ONCE : EVRUN_NOWAIT);
    return 0;
}

static void late(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
}

/* With so many timers pending, each turn moves one of them an hour ahead. */
int64_t bench_timers(int count, int64_t turns)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer *timers = calloc((size_t)count, sizeof *timers);
    int64_t start;
    for (int i = 0; i < count; i++) {
        ev_timer_init(&timers[i], late, 0., 3600.);
        ev_timer_again(loop, &timers[i]);
    }
    start = now_ns();
    for (int64_t k = 0; k < turns; k++)
        ev_timer_again(loop, &timers[k % count]);
    start = now_ns() - start;
    for (int i = 0; i < count; i++)
        ev_timer_stop(loop, &timers[i]);
    ev_loop_destroy(loop);
    free(timers);
    return start;
}
