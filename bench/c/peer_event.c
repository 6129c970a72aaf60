/* libevent, with the back end that it chooses. */
#include "peer.h"
#include <event2/event.h>
#include <event2/event_struct.h>

struct peer {
    struct load *load;
    struct event_base *base;
    struct event *events;
};

static struct peer *current; /* its callbacks get one pointer, and that is the index */

static void ready(evutil_socket_t fd, short what, void *index)
{
    (void)fd;
    (void)what;
    work(current->load, (int)(intptr_t)index);
}

static void gone(struct peer *peer)
{
    for (int i = 0; i < peer->load->count; i++)
        event_del(&peer->events[i]);
    event_base_free(peer->base);
    free(peer->events);
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->load = load;
    peer->events = calloc((size_t)load->count, sizeof *peer->events);
    peer->base = event_base_new();
    if (!peer->base || !peer->events)
        return NULL; /* of a program that measures and ends */
    for (int i = 0; i < load->count; i++) {
        event_assign(&peer->events[i], peer->base, load->reading[i], EV_READ | EV_PERSIST, ready,
                     (void *)(intptr_t)i);
        event_add(&peer->events[i], NULL);
    }
    return peer;
}

static int turn(struct peer *peer, int block)
{
    current = peer;
    /* NONBLOCK alone goes on for as long as anything is ready. */
    return event_base_loop(peer->base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK)) < 0 ? -EIO : 0;
}

static void late(evutil_socket_t fd, short what, void *nothing)
{
    (void)fd;
    (void)what;
    (void)nothing;
}

/* With so many timers pending, each turn moves one of them an hour ahead. */
int64_t bench_timers(int count, int64_t turns)
{
    struct event_base *base = event_base_new();
    struct event *timers = calloc((size_t)count, sizeof *timers);
    struct timeval hour = {3600, 0};
    int64_t start;
    for (int i = 0; i < count; i++) {
        evtimer_assign(&timers[i], base, late, NULL);
        evtimer_add(&timers[i], &hour);
    }
    start = now_ns();
    for (int64_t k = 0; k < turns; k++)
        evtimer_add(&timers[k % count], &hour);
    start = now_ns() - start;
    for (int i = 0; i < count; i++)
        evtimer_del(&timers[i]);
    event_base_free(base);
    free(timers);
    return start;
}
