/* upper_ring: the same server on io_uring, over the C room of knote serve and with the same flags: what is left of a
 * request's cost without Python, and without a server's other duties.  Prints 127.0.0.1:PORT and serves until it is
 * killed.
 *
 * Options, of what was tried: `direct` accepts into a table of the ring's own, without descriptors; `registered` calls
 * the ring by an index; `waits=N` waits for N completions, 50 us at most; `single` receives once per request; `counted`
 * has a completion for each send; `pool=N` has N buffers in turn from the start, instead of 128 and more when none is left.
 *
 * The load has one message of a connection under way, so a reply that a socket does not take whole ends it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>

#include "kn_flow.h"
#include "kn_stream.h"

enum { ACCEPT = 1, RECEIVE, SEND, CLOSE };
enum { SLOTS = 16384, SIZE = 8192, BUFFERS = 2048 };

/* Of kernels newer than the headers that this may be compiled with. */
#define SINGLE_ISSUER_DEFER_TASKRUN (1U << 12 | 1U << 13)
#define REGISTER_RING_FDS 20
#define ENTER_REGISTERED_RING (1U << 4)
#define RSRC_REGISTER_SPARSE 1U
#define FILE_INDEX_ALLOC 0xffffffffU

static struct kn_ring ring;
static struct kn_flow flow;
static int direct, registered, single, counted, waits = 1, pool = 128;
static int ring_number;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static uint64_t token(int op, int fd) { return (uint64_t)op << 56 | (uint32_t)fd; }

static struct io_uring_sqe *last(void) { return &ring.sqes[(ring.tail - 1) & ring.sq_mask]; }

static int turn(void)
{
    struct { int64_t seconds, nanoseconds; } most = {0, 50000};
    struct { uint64_t mask; uint32_t size, pad; uint64_t time; } more = {0, 8, 0, (uint64_t)(uintptr_t)&most};
    uint32_t flags = IORING_ENTER_GETEVENTS | (registered ? ENTER_REGISTERED_RING : 0);
    uint32_t n = kn_ring_pending(&ring);
    long rc;
    __atomic_store_n(ring.sq_tail, ring.tail, __ATOMIC_RELEASE);
    if (waits > 1 && n) /* with nothing under way it waits for the first of them, without a time */
        rc = syscall(SYS_io_uring_enter, ring_number, n, waits, flags | IORING_ENTER_EXT_ARG, &more, sizeof more);
    else
        rc = syscall(SYS_io_uring_enter, ring_number, n, 1, flags, NULL, 0);
    return rc < 0 && errno != EINTR && errno != ETIME && errno != EBUSY ? -errno : 0;
}

static void receive(int fd)
{
    if (kn_flow_receive(&ring, fd, single, token(RECEIVE, fd)) < 0)
        die("the submission queue");
    if (direct)
        last()->flags |= IOSQE_FIXED_FILE;
}

static void hang_up(int fd)
{
    if (!direct) {
        close(fd);
    } else if (kn_flow_next(&ring, IORING_OP_CLOSE, 0, token(CLOSE, fd))) {
        last()->file_index = (uint32_t)fd + 1;
    }
}

static void answer(int fd, uint32_t bid, int size)
{
    char *text = kn_flow_at(&flow, bid);
    kn_stream_upper(text, (size_t)size);
    if (kn_flow_note(&flow, (int32_t)bid) < 0 || kn_flow_send(&ring, fd, text, (size_t)size, 0, token(SEND, fd)) < 0)
        die("the submission queue");
    if (counted)
        last()->flags = 0;
    if (direct)
        last()->flags |= IOSQE_FIXED_FILE;
}

static void landed(const struct kn_landed *it)
{
    int fd = (int)(it->token & 0x7fffffff), more = it->flags & KN_FLOW_MORE;
    switch (it->token >> 56) {
    case ACCEPT:
        if (it->result < 0 || !more)
            die("accept");
        receive(it->result);
        break;
    case SEND:
        if (!counted)
            shutdown(fd, SHUT_RDWR);
        break;
    case RECEIVE:
        if (it->result > 0) {
            answer(fd, it->flags >> KN_FLOW_BUFFER_SHIFT, it->result);
            if (!more)
                receive(fd);
        } else if (it->result == -ENOBUFS) {
            kn_flow_grow(&flow, 2 * flow.made);
            receive(fd);
        } else {
            if (it->flags & KN_FLOW_HAS_BUFFER)
                kn_flow_give(&flow, it->flags >> KN_FLOW_BUFFER_SHIFT);
            if (!more)
                hang_up(fd);
        }
    }
}

static void configure(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        direct |= !strcmp(argv[i], "direct");
        registered |= !strcmp(argv[i], "registered");
        single |= !strcmp(argv[i], "single");
        counted |= !strcmp(argv[i], "counted");
        sscanf(argv[i], "waits=%d", &waits);
        sscanf(argv[i], "pool=%d", &pool);
    }
    if (kn_ring_open(&ring, 4096, 16384, IORING_SETUP_SUBMIT_ALL | SINGLE_ISSUER_DEFER_TASKRUN) < 0 ||
        !(ring.setup & SINGLE_ISSUER_DEFER_TASKRUN))
        die("io_uring_setup");
    ring_number = ring.fd;
    if (registered) {
        struct { uint32_t offset, pad; uint64_t fd; } update = {-1U, 0, (uint64_t)ring.fd};
        if (syscall(SYS_io_uring_register, ring.fd, REGISTER_RING_FDS, &update, 1) < 0)
            die("IORING_REGISTER_RING_FDS");
        ring_number = (int)update.offset;
    }
    if (direct) {
        struct { uint32_t count, flags; uint64_t pad, data, tags; } table = {SLOTS, RSRC_REGISTER_SPARSE, 0, 0, 0};
        if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES2, &table, sizeof table) < 0)
            die("IORING_REGISTER_FILES2");
    }
    if (kn_flow_open(&flow, &ring, BUFFERS, SIZE) < 0)
        die("buffers");
    kn_flow_grow(&flow, (uint32_t)pool);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    signal(SIGPIPE, SIG_IGN);
    configure(argc, argv);
    if (listener < 0 || setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
        bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        die("listen");
    if (kn_flow_accept(&ring, listener, token(ACCEPT, listener)) < 0)
        die("accept");
    if (direct) {
        last()->file_index = FILE_INDEX_ALLOC;
        last()->rw_flags = 0;
    }
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int n;
        if (turn() < 0)
            die("io_uring_enter");
        if (!kn_ring_pending(&ring))
            kn_flow_turn(&flow);
        n = kn_flow_reap(&flow, &ring, 0);
        kn_flow_recycle(&flow);
        for (int i = 0; i < n; i++)
            landed(&flow.landed[i]);
    }
}
