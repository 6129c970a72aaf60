/* What the C peers share.  A peer is one file that includes this one, is built as a shared library, and gives
 *
 *   static struct peer *made(struct load *)      watch every descriptor of the load for reading; NULL with errno
 *   static int turn(struct peer *, int block)    one turn of its loop: work() for each that is ready; -errno
 *   static void gone(struct peer *)              let go of everything
 *
 * What is timed is here, so that it is the same for all: waits, edges, and libevent's bench.c in its essence. */
#ifndef KNOTE_BENCH_PEER_H
#define KNOTE_BENCH_PEER_H
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct load {
    const int *reading, *writing;
    int count;
    int consume;    /* read what is there and pass it on; otherwise it stays, and is ready again */
    int writes;     /* still to be made */
    int64_t seen;
};

struct peer;
static struct peer *made(struct load *load);
static int turn(struct peer *peer, int block);
static void gone(struct peer *peer);

/* How many bytes are read at once.  Who tells of edges may tell once of many: what is left would wait for ever. */
#ifndef AT_ONCE
#define AT_ONCE 1
#endif

/* Descriptor i is ready: bench.c's read callback. */
static inline void work(struct load *load, int i)
{
    char bytes[AT_ONCE];
    ssize_t n = 1;
    if (load->consume) {
        n = read(load->reading[i], bytes, sizeof bytes);
        if (n < 0 && errno == EAGAIN && AT_ONCE > 1)
            return; /* read with the edge before */
        if (n < 1)
            abort();
    }
    load->seen += n;
    for (; load->consume && load->writes && n; n--) {
        load->writes--;
        if (write(load->writing[i + 1 < load->count ? i + 1 : 0], "e", 1) != 1)
            abort();
    }
}

struct bench {
    struct load load;
    struct peer *peer;
};

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* The arrays belong to the caller and outlive the bench.  NULL: see bench_errno(). */
static int failed;

int bench_errno(void)
{
    return failed;
}

struct bench *bench_open(const int *reading, const int *writing, int count)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench) {
        failed = ENOMEM;
        return NULL;
    }
    bench->load = (struct load){.reading = reading, .writing = writing, .count = count};
    errno = 0;
    bench->peer = made(&bench->load);
    if (!bench->peer) {
        failed = errno ? errno : EINVAL;
        free(bench);
        return NULL;
    }
    return bench;
}

void bench_close(struct bench *bench)
{
    gone(bench->peer);
    free(bench);
}

/* So many turns that do not block and read nothing; *events: how often work() was called. */
int64_t bench_waits(struct bench *bench, int64_t turns, int64_t *events)
{
    int64_t start;
    bench->load.consume = 0;
    bench->load.seen = 0;
    start = now_ns();
    while (turns--) {
        int rc = turn(bench->peer, 0);
        if (rc < 0)
            return rc;
    }
    *events = bench->load.seen;
    return now_ns() - start;
}

/* So many runs of libevent's bench: `active` bytes are written, and `writes` more as they are read. */
int64_t bench_pipes(struct bench *bench, int active, int writes, int64_t runs)
{
    struct load *load = &bench->load;
    int64_t taken = 0;
    load->consume = 1;
    while (runs--) {
        int64_t start;
        load->seen = 0;
        load->writes = writes;
        for (int i = 0; i < active; i++)
            if (write(load->writing[i * (load->count / active)], "e", 1) != 1)
                return -errno;
        start = now_ns();
        while (load->seen < active + writes) {
            int rc = turn(bench->peer, 1);
            if (rc < 0)
                return rc;
        }
        taken += now_ns() - start;
    }
    return taken;
}

/* So many turns of `active` bytes that are written, told of, and read; timed is only that they are told of. */
int64_t bench_edges(struct bench *bench, int active, int64_t turns)
{
    struct load *load = &bench->load;
    int stride = load->count / active;
    int64_t taken = 0;
    load->consume = 0;
    while (turns--) {
        char byte;
        int64_t start;
        load->seen = 0;
        for (int i = 0; i < active; i++)
            if (write(load->writing[i * stride], "e", 1) != 1)
                return -errno;
        start = now_ns();
        while (load->seen < active) {
            int rc = turn(bench->peer, 1);
            if (rc < 0)
                return rc;
        }
        taken += now_ns() - start;
        for (int i = 0; i < active; i++)
            if (read(load->reading[i * stride], &byte, 1) != 1)
                return -errno;
    }
    return taken;
}
#endif
