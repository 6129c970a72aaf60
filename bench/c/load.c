/* load PORT CONNECTIONS SIZE SECONDS PID...: requests to an upper-case server, each reply checked.
 *
 * One thread.  Every connection has one message of SIZE lower-case letters under way, and sends the next
 * when the whole reply has come and is that message in upper case.  The text differs from connection to
 * connection and from message to message, so that a reply to somebody else's, or an old one, is seen.
 *
 * After a quarter of SECONDS unmeasured it counts for SECONDS, and prints one line:
 *   REQUESTS NANOSECONDS SERVER_NANOSECONDS
 * where the last is the time on CPU of all threads of each process PID (/proc/PID/task/T/schedstat).
 * Exit status: 1 after a wrong reply or a lost connection, 2 when it cannot start. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LETTERS 26
#define EVENTS 1024
#define PATIENCE_MS 5000

struct connection {
    int fd;
    unsigned phase;  /* which letter the message under way begins with */
    size_t received; /* bytes of its reply that have come */
};

static char *lower, *upper, *reply;
static size_t size;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t on_cpu_ns(const char *pid)
{
    char path[512];
    int64_t sum = 0;
    struct dirent *entry;
    DIR *tasks;
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    if (!(tasks = opendir(path)))
        die(path);
    while ((entry = readdir(tasks))) {
        long long ns;
        FILE *stat;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%s/task/%s/schedstat", pid, entry->d_name);
        if (!(stat = fopen(path, "r")))
            continue; /* the thread has ended */
        if (fscanf(stat, "%lld", &ns) == 1)
            sum += ns;
        fclose(stat);
    }
    closedir(tasks);
    return sum;
}

static int64_t all_on_cpu_ns(char **pids)
{
    int64_t sum = 0;
    while (*pids)
        sum += on_cpu_ns(*pids++);
    return sum;
}

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    /* Closed by a reset: thousands of runs leave no TIME_WAIT behind. */
    struct linger abort_it = {1, 0};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    return fd;
}

static void ask(struct connection *c)
{
    c->phase = (c->phase + 1) % LETTERS;
    c->received = 0;
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(c->fd, lower + c->phase + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0)
            die("send");
        sent += (size_t)n;
    }
}

/* Whether the reply is complete. */
static int take(struct connection *c)
{
    ssize_t n = recv(c->fd, reply, size, MSG_DONTWAIT);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return 0;
        fprintf(stderr, "load: the server closed a connection\n");
        exit(1);
    }
    if (c->received + (size_t)n > size || memcmp(reply, upper + c->phase + c->received, (size_t)n)) {
        fprintf(stderr, "load: a wrong reply\n");
        exit(1);
    }
    c->received += (size_t)n;
    return c->received == size;
}

int main(int argc, char **argv)
{
    struct epoll_event hits[EVENTS];
    struct connection *all;
    int64_t start, counted = 0, since = 0, cpu = 0, now, span;
    int ep, count, counting = 0;
    if (argc < 6) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SIZE SECONDS PID...\n");
        return 2;
    }
    count = atoi(argv[2]);
    size = (size_t)atol(argv[3]);
    span = (int64_t)(atof(argv[4]) * 1e9);
    lower = malloc(size + LETTERS);
    upper = malloc(size + LETTERS);
    reply = malloc(size);
    all = calloc((size_t)count, sizeof *all);
    if (!lower || !upper || !reply || !all || (ep = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("start");
    for (size_t i = 0; i < size + LETTERS; i++) {
        lower[i] = (char)('a' + i % LETTERS);
        upper[i] = (char)('A' + i % LETTERS);
    }
    for (int i = 0; i < count; i++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.ptr = &all[i]};
        all[i].fd = dial(atoi(argv[1]));
        all[i].phase = (unsigned)i % LETTERS;
        if (epoll_ctl(ep, EPOLL_CTL_ADD, all[i].fd, &interest) < 0)
            die("epoll_ctl");
        ask(&all[i]);
    }
    for (start = now_ns();;) {
        int n = epoll_wait(ep, hits, EVENTS, PATIENCE_MS);
        if (n <= 0) {
            fprintf(stderr, "load: no reply within %d ms\n", PATIENCE_MS);
            return 1;
        }
        now = now_ns();
        if (counted && now - since >= span)
            break;
        if (!counting && now - start >= span / 4) {
            counting = 1;
            cpu = all_on_cpu_ns(argv + 5);
            since = now_ns();
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = hits[i].data.ptr;
            if (take(c)) {
                counted += counting;
                ask(c);
            }
        }
    }
    cpu = all_on_cpu_ns(argv + 5) - cpu;
    printf("%lld %lld %lld\n", (long long)counted, (long long)(now - since), (long long)cpu);
    return 0;
}
