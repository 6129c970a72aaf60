/* Which file a descriptor number means, and of what kind it is.  Nothing here changes anything or blocks. */
#ifndef KN_IDENTITY_H
#define KN_IDENTITY_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
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
    KN_EVENTFD = 11,
    KN_TIMERFD = 12,
    KN_MQUEUE = 13,
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

#define KN_MQUEUE_MAGIC 0x19800202

/* -errno where the kernel does not tell: procfs and its like have sizes that say nothing of their contents (spec S-419); a message queue is a regular
 * file only by its mode (S-138). */
static inline int kn_file_kind(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    switch ((unsigned long)fs.f_type) {
    case PROC_SUPER_MAGIC: case SYSFS_MAGIC: case CGROUP_SUPER_MAGIC: case CGROUP2_SUPER_MAGIC:
    case TRACEFS_MAGIC: case DEBUGFS_MAGIC:
        return KN_VIRTUAL_FILE;
    case KN_MQUEUE_MAGIC:
        return KN_MQUEUE;
    default:
        return KN_FILE;
    }
}

/* Files that are nothing but a descriptor have no type in their mode: only the name of what the number links to
 * tells an eventfd from a pidfd. */
static inline int kn_anonymous_kind(int fd)
{
    char path[32], name[32];
    ssize_t n;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n = readlink(path, name, sizeof name - 1);
    if (n < 0)
        return KN_OTHER;
    name[n] = 0;
    if (strcmp(name, "anon_inode:[eventfd]") == 0)
        return KN_EVENTFD;
    return strcmp(name, "anon_inode:[timerfd]") == 0 ? KN_TIMERFD : KN_OTHER;
}

/* Only EBADF says that a number is closed.  What else a call fails with (ESTALE of a file of another machine, EINTR, what a
 * sandbox answers) says nothing of the number, and no knote goes for it. */
static inline int kn_passes(int error) { return error == EINTR || error == ENOMEM || error == EAGAIN; }

static inline uint64_t kn_mix(uint64_t sum, uint64_t part) { return (sum ^ part) * 0x9E3779B97F4A7C15u; }

/* A file's inode number is free for the next file when it is unlinked and closed.  The file's handle
 * (name_to_handle_at(2)) has the inode's generation; where the file system has none, there is the time of birth, by
 * the clock's tick.  0, or -errno with *birth 0. */
static inline int kn_birth(int fd, int by_handle, uint64_t *birth)
{
    struct {
        struct file_handle head;
        unsigned char room[MAX_HANDLE_SZ];
    } handle;
    struct statx born;
    uint64_t part;
    int mount;
    *birth = 0;
    if (!by_handle) {
        if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &born) < 0)
            return -errno;
        if (born.stx_mask & STATX_BTIME)
            *birth = kn_mix((uint64_t)born.stx_btime.tv_sec, born.stx_btime.tv_nsec);
        return 0;
    }
    memset(&handle, 0, sizeof handle);
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(fd, "", &handle.head, &mount, AT_EMPTY_PATH) < 0)
        return -errno;
    for (unsigned at = 0; at < handle.head.handle_bytes; at += sizeof part) {
        memcpy(&part, handle.room + at, sizeof part);
        *birth = kn_mix(*birth, part);
    }
    return 0;
}

static inline int kn_has_birth(int kind) { return kind == KN_FILE || kind == KN_DIRECTORY || kind == KN_FIFO; }

/* The bit that every identity has, and the one of those with a handle's part. */
#define KN_IDENTITY 16
#define KN_BY_HANDLE 32

/* 0, with errno, if the kernel does not tell. */
static inline uint64_t kn_identity(int fd, const struct stat *st, int kind, int by_handle, uint64_t birth)
{
    uint64_t mixed = (uint64_t)st->st_ino * 0x9E3779B97F4A7C15u ^ (uint64_t)st->st_dev << 4 ^ birth;
    if (kind == KN_PIPE || kind == KN_FIFO) { /* both ends have one inode */
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0)
            return 0;
        mixed ^= kn_mix(1, (uint64_t)flags & O_ACCMODE);
    }
    mixed &= ~(uint64_t)63;
    return mixed | KN_IDENTITY | (by_handle ? KN_BY_HANDLE : 0) | (uint64_t)kind;
}

/* Which file the number means now: enough to tell another pipe, socket or file from the one that was
 * registered, with its kind in the low four bits and KN_IDENTITY above.  Anonymous inodes (eventfd, epoll ...) all
 * share one; epoll_ctl's ENOENT tells those apart (spec S-401).  Without KN_IDENTITY it is the errno with which the
 * kernel would not tell, 5 bits up. */
static inline uint64_t kn_describe(int fd)
{
    struct stat st;
    struct statfs fs;
    uint64_t birth = 0, identity;
    int kind = KN_OTHER, by_handle = 0;
    errno = 0;
    if (fstat(fd, &st) < 0)
        return (uint64_t)errno << 5;
    switch (st.st_mode & S_IFMT) {
    case S_IFSOCK:
        kind = kn_socket_kind(fd);
        break;
    case S_IFIFO:
        kind = fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC ? KN_PIPE : KN_FIFO;
        break;
    case S_IFREG:
        kind = kn_file_kind(fd);
        break;
    case S_IFDIR:
        kind = KN_DIRECTORY;
        break;
    case S_IFCHR:
        kind = isatty(fd) ? KN_TTY : KN_OTHER;
        break;
    case 0:
        kind = kn_anonymous_kind(fd);
        break;
    }
    if (kn_has_birth(kind)) {
        by_handle = kn_birth(fd, 1, &birth) == 0;
        if (!by_handle && !kn_passes(errno))
            kn_birth(fd, 0, &birth);
    }
    if (kind < 0 || kn_passes(errno)) /* it would be guessed, for as long as it is registered */
        return (uint64_t)errno << 5;
    identity = kn_identity(fd, &st, kind, by_handle, birth);
    return identity ? identity : (uint64_t)errno << 5;
}

/* Whether the number still means the file that was described; one fstat(2), and of files and pipes another call. */
static inline int kn_same(int fd, uint64_t identity)
{
    struct stat st;
    int kind = (int)(identity & 15), by_handle = kn_has_birth(kind) && identity & KN_BY_HANDLE;
    uint64_t birth = 0, now;
    if (fstat(fd, &st) < 0)
        return errno != EBADF;
    if (kn_has_birth(kind) && kn_birth(fd, by_handle, &birth) < 0)
        /* A file without a handle is another one. */
        return errno != EBADF && errno != EOPNOTSUPP && errno != EOVERFLOW;
    now = kn_identity(fd, &st, kind, by_handle, birth);
    return now ? now == identity : errno != EBADF;
}

static inline int kn_is_open(int fd) { return fcntl(fd, F_GETFD) < 0 && errno == EBADF ? -EBADF : 0; }

#endif
