/* Stream sockets of a server: accept4(2), recv(2), send(2), sendmsg(2).  All are made not to wait and return n or
 * -errno. */
#ifndef KN_STREAM_H
#define KN_STREAM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define KN_STREAM_PARTS 64 /* gathered by one call; UIO_MAXIOV is 1024 */

static inline int kn_stream_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static inline ssize_t kn_stream_receive(int fd, char *room, size_t size)
{
    ssize_t n = recv(fd, room, size, MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

static inline ssize_t kn_stream_send(int fd, const char *data, size_t size)
{
    ssize_t n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

/* writev(2) has no flags: a peer that is gone would raise SIGPIPE. */
static inline ssize_t kn_stream_gather(int fd, struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

/* Whether there is something to receive; the end is nothing. */
static inline int kn_stream_is_readable(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* close(2) is to reset the connection.  Without it a peer whose data fills our window may wait for minutes: after a
 * shutdown(2) its probes, which carry nothing new, are not answered (RFC 9293, 3.6.1, wants a reset for data only). */
static inline int kn_stream_reset(int fd)
{
    struct linger none = {1, 0};
    return setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) < 0 ? -errno : 0;
}

static inline int kn_stream_shut(int fd, int how) { return shutdown(fd, how) < 0 ? -errno : 0; }

/* ASCII, as bytes.upper().  Sixteen at a time: byte by byte, 4 KiB cost as much as the send that follows. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("tree-vectorize", "vect-cost-model=dynamic")))
#endif
static inline void kn_stream_upper(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        text[i] = (char)(c - ((unsigned char)(c - 'a') < 26 ? 32 : 0));
    }
}

#endif
