/* upper: the TCP upper-case server by hand on level-triggered epoll, one thread; what knote serve is
 * compared with.  Prints 127.0.0.1:PORT and serves until it is killed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define EVENTS 1024

/* One per connection.  `rest` is the part of a reply that the socket did not take; while there is one,
 * nothing more is read: a client that does not read its replies costs one chunk. */
struct connection {
    int fd;
    char *rest;
    size_t at, size;
};

static int ep;

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void watch(int op, int fd, uint32_t mask, struct connection *c)
{
    struct epoll_event change = {.events = mask, .data.ptr = c};
    if (epoll_ctl(ep, op, fd, &change) < 0)
        die("epoll_ctl");
}

static void hang_up(struct connection *c)
{
    close(c->fd);
    free(c->rest);
    free(c);
}

static void accept_all(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        watch(EPOLL_CTL_ADD, fd, EPOLLIN, c);
    }
}

static void to_upper(char *text, ssize_t size)
{
    for (ssize_t i = 0; i < size; i++)
        text[i] -= (unsigned char)(text[i] - 'a') < 26 ? 32 : 0;
}

static void answer(struct connection *c)
{
    static char chunk[CHUNK];
    ssize_t got = recv(c->fd, chunk, sizeof chunk, 0), sent;
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            hang_up(c);
        return;
    }
    to_upper(chunk, got);
    sent = send(c->fd, chunk, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        hang_up(c);
        return;
    }
    if (sent < 0)
        sent = 0;
    if (sent < got) {
        c->at = 0;
        c->size = (size_t)(got - sent);
        if (!(c->rest = malloc(c->size)))
            die("malloc");
        memcpy(c->rest, chunk + sent, c->size);
        watch(EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
    }
}

static void send_rest(struct connection *c)
{
    ssize_t sent = send(c->fd, c->rest + c->at, c->size - c->at, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            hang_up(c);
        return;
    }
    c->at += (size_t)sent;
    if (c->at == c->size) {
        free(c->rest);
        c->rest = NULL;
        watch(EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
    }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct epoll_event hits[EVENTS];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    signal(SIGPIPE, SIG_IGN);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) < 0 ||
        listen(listener, SOMAXCONN) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        die("listen");
    if ((ep = epoll_create1(EPOLL_CLOEXEC)) < 0)
        die("epoll_create1");
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, hits, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = hits[i].data.ptr;
            if (!c)
                accept_all(listener);
            else if (c->rest)
                send_rest(c);
            else
                answer(c);
        }
    }
}
