/* libuv: uv_poll_t, which is what it has for descriptors that are the program's. */
#include "peer.h"
#include <uv.h>

struct peer {
    struct load *load;
    uv_loop_t loop;
    uv_poll_t *handles;
};

static void ready(uv_poll_t *handle, int status, int events)
{
    struct peer *peer = handle->data;
    (void)status;
    (void)events;
    work(peer->load, (int)(handle - peer->handles));
}

static void gone(struct peer *peer)
{
    for (int i = 0; i < peer->load->count; i++)
        uv_close((uv_handle_t *)&peer->handles[i], NULL);
    uv_run(&peer->loop, UV_RUN_DEFAULT);
    uv_loop_close(&peer->loop);
    free(peer->handles);
    free(peer);
}

static struct peer *made(struct load *load)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->load = load;
    peer->handles = calloc((size_t)load->count, sizeof *peer->handles);
    if (!peer->handles || uv_loop_init(&peer->loop) < 0)
        return NULL; /* of a program that measures and ends */
    for (int i = 0; i < load->count; i++) {
        uv_poll_init(&peer->loop, &peer->handles[i], load->reading[i]);
        peer->handles[i].data = peer;
        uv_poll_start(&peer->handles[i], UV_READABLE, ready);
    }
    uv_run(&peer->loop, UV_RUN_NOWAIT); /* only now it tells the kernel */
    return peer;
}

static int turn(struct peer *peer, int block)
{
    uv_run(&peer->loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    return 0;
}

static void late(uv_timer_t *timer)
{
    (void)timer;
}

/* With so many timers pending, each turn moves one of them an hour ahead. */
int64_t bench_timers(int count, int64_t turns)
{
    uv_loop_t loop;
    uv_timer_t *timers = calloc((size_t)count, sizeof *timers);
    int64_t start;
    uv_loop_init(&loop);
    for (int i = 0; i < count; i++) {
        uv_timer_init(&loop, &timers[i]);
        uv_timer_start(&timers[i], late, 3600000, 3600000);
    }
    start = now_ns();
    for (int64_t k = 0; k < turns; k++)
        uv_timer_again(&timers[k % count]);
    start = now_ns() - start;
    for (int i = 0; i < count; i++)
        uv_close((uv_handle_t *)&timers[i], NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    free(timers);
    return start;
}
