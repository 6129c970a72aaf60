/* What one descriptor is, and how much it holds.  All return n or -errno, change nothing and never block. */
#ifndef KN_FD_H
#define KN_FD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The kinds that filters tell apart.  knote/source.py has the same list. */
enum kn_kind {
    KN_OTHER = 0,
    KN_PIPE = 1,
    KN_FIFO = 2,
    KN_TCP = 3,
    KN_UNIX_STREAM = 4,
    KN_SEQPACKET = 5,
    KN_DATAGRAM = 6,
    KN_FILE = 7,
    KN_DIRECTORY = 8,
    KN_VIRTUAL_FILE = 9,
    KN_TTY = 10,
};

static inline int kn_socket_option(int fd, int level, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, option, &value, &size) < 0 ? -errno : value;
}

static inline int kn_socket_kind(int fd)
{
    int type = kn_socket_option(fd, SOL_SOCKET, SO_TYPE);
    if (type == SOCK_DGRAM || type == SOCK_RAW)
        return KN_DATAGRAM;
    if (type == SOCK_SEQPACKET)
        return KN_SEQPACKET;
    if (kn_socket_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_UNIX)
        return KN_UNIX_STREAM;
    return kn_socket_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP ? KN_TCP : KN_OTHER;
}

/* procfs and its like have sizes that say nothing of their contents (spec S-419). */
static inline int kn_is_virtual(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return 0;
    switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC: case SYSFS_MAGIC: case CGROUP_SUPER_MAGIC: case CGROUP2_SUPER_MAGIC:
    case TRACEFS_MAGIC: case DEBUGFS_MAGIC:
        return 1;
    default:
        return 0;
    }
}

/* Which file the number means now: enough to tell another pipe, socket or file from the one that was
 * registered, with its kind in the low four bits; 0 if the number is closed.  Anonymous inodes (eventfd,
 * epoll ...) all share one; epoll_ctl's ENOENT tells those apart (spec S-401). */
static inline uint64_t kn_identity(const struct stat *st, int kind)
{
    uint64_t mixed = (uint64_t)st->st_ino * 0x9E3779B97F4A7C15u ^ (uint64_t)st->st_dev << 4;
    return ((mixed | 16) & ~(uint64_t)15) | (uint64_t)kind;
}

static inline uint64_t kn_describe(int fd)
{
    struct stat st;
    struct statfs fs;
    int kind = KN_OTHER;
    if (fstat(fd, &st) < 0)
        return 0;
    switch (st.st_mode & S_IFMT) {
    case S_IFSOCK:
        kind = kn_socket_kind(fd);
        break;
    case S_IFIFO:
        kind = fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC ? KN_PIPE : KN_FIFO;
        break;
    case S_IFREG:
        kind = kn_is_virtual(fd) ? KN_VIRTUAL_FILE : KN_FILE;
        break;
    case S_IFDIR:
        kind = KN_DIRECTORY;
        break;
    case S_IFCHR:
        kind = isatty(fd) ? KN_TTY : KN_OTHER;
        break;
    }
    return kn_identity(&st, kind);
}

/* Whether the number still means the file that was described; one fstat(2). */
static inline int kn_same(int fd, uint64_t identity)
{
    struct stat st;
    return fstat(fd, &st) == 0 && kn_identity(&st, (int)(identity & 15)) == identity;
}

static inline int kn_is_open(int fd) { return fcntl(fd, F_GETFD) < 0 ? -errno : 0; }

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

/* Bytes that a recv(2) on a TCP socket would give.  MSG_TRUNC copies nothing, MSG_PEEK consumes nothing. */
static inline int kn_peekable(int fd)
{
    ssize_t n = recv(fd, NULL, 1 << 30, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
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

static inline int kn_poll(int fd, int events)
{
    struct pollfd p = {.fd = fd, .events = (short)events};
    int n = poll(&p, 1, 0);
    /* EINVAL: RLIMIT_NOFILE is 0, as a program that has given up its rights may have it.  Then nobody can ask;
     * what is counted by the number decides. */
    if (n < 0)
        return fcntl(fd, F_GETFD) < 0 ? POLLNVAL : events;
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
