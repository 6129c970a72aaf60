/* What one descriptor is, and how much it holds.  All return n or -errno, change nothing and never block. */
#ifndef KN_FD_H
#define KN_FD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "kn_identity.h"

/* Bytes that can be read: all of a stream's, the first datagram's of the others (spec S-409). */
static inline int kn_readable(int fd)
{
    int n = 0;
    return ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}

/* The same for many descriptors.  Nothing but system calls in this loop: with knote's own bookkeeping between
 * them each cost 70 ns more than both apart. */
static inline void kn_readable_many(const int *fds, int *counts, int n)
{
    for (int i = 0; i < n; i++)
        counts[i] = kn_readable(fds[i]);
}

/* Bytes that a recv(2) on a TCP socket would give, or -errno.  MSG_TRUNC copies nothing, MSG_PEEK consumes nothing.
 * At an urgent byte the kernel says EAGAIN to a thread for which there is a signal, or work of io_uring's, though there
 * is something behind it (tcp_recvmsg()): when the call ends that is dealt with, so it is asked again. */
static inline int kn_peekable(int fd)
{
    ssize_t n = -1;
    for (int tries = 4; n < 0 && tries > 0; tries--) {
        n = recv(fd, NULL, 1 << 30, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return -errno;
    }
    return n < 0 ? 0 : (int)n;
}

/* Bytes that were written and not yet taken: TCP exact, UNIX by true size (spec S-410). */
static inline int kn_unsent(int fd)
{
    int n = 0;
    return ioctl(fd, SIOCOUTQ, &n) < 0 ? -errno : n;
}

static inline int kn_pipe_space(int fd)
{
    int size = fcntl(fd, F_GETPIPE_SZ), used = 0;
    if (size < 0)
        return -errno;
    if (ioctl(fd, FIONREAD, &used) < 0)
        return -errno;
    return size > used ? size - used : 0;
}

static inline int kn_send_space(int fd)
{
    int size = kn_socket_option(fd, SOL_SOCKET, SO_SNDBUF), used;
    if (size < 0)
        return size;
    used = kn_unsent(fd);
    if (used < 0)
        return used;
    return size > used ? size - used : 0;
}

/* poll(2) says EINVAL when RLIMIT_NOFILE is 0, as a program that has given up its rights may have it; select(2) does
 * not look at it, and tells no end of file from data. */
static inline int kn_select(int fd, int events)
{
    struct timeval now = {0, 0};
    size_t words = (size_t)fd / (8 * sizeof(unsigned long)) + 1;
    unsigned long bit = 1ul << (size_t)fd % (8 * sizeof(unsigned long)), *sets;
    int found = 0;
    if (fcntl(fd, F_GETFD) < 0)
        return POLLNVAL;
    sets = calloc(3 * words, sizeof *sets);
    if (!sets)
        return events & ~POLLRDHUP;
    sets[words - 1] = events & POLLIN ? bit : 0;
    sets[2 * words - 1] = events & POLLOUT ? bit : 0;
    sets[3 * words - 1] = events & POLLPRI ? bit : 0;
    if (select(fd + 1, (fd_set *)sets, (fd_set *)(sets + words), (fd_set *)(sets + 2 * words), &now) > 0)
        found = (sets[words - 1] & bit ? POLLIN : 0) | (sets[2 * words - 1] & bit ? POLLOUT : 0)
            | (sets[3 * words - 1] & bit ? POLLPRI : 0);
    free(sets);
    return found;
}

static inline int kn_poll(int fd, int events)
{
    struct pollfd p = {.fd = fd, .events = (short)events};
    int n = poll(&p, 1, 0);
    if (n < 0)
        return kn_select(fd, events);
    return n == 0 ? 0 : (unsigned short)p.revents;
}

/* TCP's state (TCP_ESTABLISHED 1 ... TCP_LISTEN 10), and in LISTEN the length of the accept queue. */
static inline int kn_tcp_state(int fd, int *accept_queue)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return -errno;
    *accept_queue = (int)info.tcpi_unacked;
    return info.tcpi_state;
}

/* Bytes that the peer has acknowledged since the connection was made, and ms since something was last sent; -errno.
 * By place: glibc's struct tcp_info ends before tcpi_bytes_acked, and the kernel's header does not go with glibc's. */
static inline int64_t kn_tcp_acked(int fd, uint32_t *idle_ms)
{
    union {
        uint64_t wide[16];
        uint32_t narrow[32];
    } info;
    socklen_t size = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return -errno;
    *idle_ms = info.narrow[11];
    return (int64_t)info.wide[15];
}

/* A UNIX stream socket whose own sending side is shut says EPIPE to an empty send(2), which sends nothing
 * and consumes nothing; poll(2) shows no such thing (spec S-405). */
static inline int kn_unix_send_shut(int fd)
{
    return send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

/* How many connections wait on a listening UNIX socket: only sock_diag(7) tells (spec S-412). */
static inline int kn_unix_accept_queue(int fd)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req request;
    } ask;
    union {
        struct nlmsghdr header;
        char bytes[512];
    } answer;
    struct stat st;
    int sock, n, result = -ENOENT;

    if (fstat(fd, &st) < 0)
        return -errno;
    sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (sock < 0)
        return -errno;
    memset(&ask, 0, sizeof ask);
    ask.header.nlmsg_len = sizeof ask;
    ask.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    ask.header.nlmsg_flags = NLM_F_REQUEST;
    ask.request.sdiag_family = AF_UNIX;
    ask.request.udiag_states = 0xffffffff;
    ask.request.udiag_ino = (uint32_t)st.st_ino;
    ask.request.udiag_show = UDIAG_SHOW_RQLEN;
    ask.request.udiag_cookie[0] = ask.request.udiag_cookie[1] = 0xffffffff;
    if (send(sock, &ask, sizeof ask, 0) < 0 || (n = (int)recv(sock, &answer, sizeof answer, MSG_DONTWAIT)) < 0) {
        result = -errno;
    } else if (NLMSG_OK(&answer.header, (unsigned)n) && answer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY) {
        char *at = (char *)NLMSG_DATA(&answer.header) + NLMSG_ALIGN(sizeof(struct unix_diag_msg));
        char *end = answer.bytes + n;
        while (at + sizeof(struct nlattr) <= end) {
            struct nlattr *attribute = (struct nlattr *)at;
            if (attribute->nla_len < sizeof *attribute)
                break;
            if (attribute->nla_type == UNIX_DIAG_RQLEN) {
                struct unix_diag_rqlen queue;
                memcpy(&queue, at + sizeof *attribute, sizeof queue);
                result = (int)queue.udiag_rqueue;
                break;
            }
            at += NLA_ALIGN(attribute->nla_len);
        }
    }
    close(sock);
    return result;
}

/* The number behind a word of /proc/self/fdinfo/FD, which is how the kernel tells of these without a read(2) that
 * would take it.  6 us of three system calls, where read(2) takes 0.2. */
static inline int64_t kn_fdinfo(int fd, const char *word, int base)
{
    char path[40], text[512], *at;
    int info;
    ssize_t n;
    uint64_t value;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    info = open(path, O_RDONLY | O_CLOEXEC);
    if (info < 0)
        return errno == ENOENT && fcntl(fd, F_GETFD) < 0 ? -EBADF : -errno;
    n = read(info, text, sizeof text - 1);
    if (n < 0)
        n = -errno;
    close(info);
    if (n < 0)
        return n;
    text[n] = 0;
    at = strstr(text, word);
    if (!at)
        return -ENOENT;
    value = strtoull(at + strlen(word), NULL, base);
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* What a read(2) of an eventfd would give, or -errno (spec S-135, S-416). */
static inline int64_t kn_eventfd_count(int fd) { return kn_fdinfo(fd, "eventfd-count:", 16); }

/* What a read(2) of a timerfd would give, or -errno.  The kernel counts one expiration and then stands still until
 * somebody looks; timerfd_gettime(2) is such a look, after which the file tells them all. */
static inline int64_t kn_timerfd_count(int fd)
{
    struct itimerspec now;
    if (timerfd_gettime(fd, &now) < 0)
        return -errno;
    return kn_fdinfo(fd, "ticks:", 10);
}

/* How many messages a message queue holds (or, free, has room for), or -errno.  mq_getattr(3), whose library
 * function would need -lrt on older systems (spec S-138). */
static inline int64_t kn_mqueue_count(int fd, int free)
{
    struct {
        long flags, most, size, now, reserved[4];
    } attributes;
    if (syscall(SYS_mq_getsetattr, fd, NULL, &attributes) < 0)
        return -errno;
    return free ? attributes.most - attributes.now : attributes.now;
}

/* Whether it was opened with O_PATH: a name for open files rather than an open file, EBADF to whoever would read or
 * write it, see open(2).  Sockets, pipes and the like have no name to be opened by, and cost nothing. */
static inline int kn_is_path(int fd, int kind)
{
    int flags;
    if (kind == KN_PIPE || (kind >= KN_TCP && kind <= KN_DATAGRAM) || kind >= KN_EVENTFD)
        return 0;
    flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_PATH) != 0;
}

/* What kn_file_rest's caller says of a descriptor without an offset. */
#define KN_NO_FILE INT64_MIN

/* Bytes from the offset to the end of the file; negative beyond it.  errno in *error, 0 if none. */
static inline int64_t kn_file_rest(int fd, int *error)
{
    struct stat st;
    off_t at;
    *error = 0;
    if (fstat(fd, &st) < 0 || (at = lseek(fd, 0, SEEK_CUR)) < 0) {
        *error = errno;
        return 0;
    }
    return (int64_t)st.st_size - at;
}

#endif
