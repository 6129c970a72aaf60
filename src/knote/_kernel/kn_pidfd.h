/* pidfd_open(2) and what became of the process behind one.  All return n or -errno. */
#ifndef KN_PIDFD_H
#define KN_PIDFD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#define KN_P_PIDFD 3
#define KN_WALL 0x40000000
#define KN_WAITING (WEXITED | WNOWAIT | WNOHANG | KN_WALL)
#define KN_RESERVE_MOST 256

/* struct pidfd_info as it was first published (64 bytes), and the bit that asks for exit_code: Linux 6.15. */
struct kn_pidfd_info {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t pid, tgid, parent, ids[8];
    int32_t exit_code;
};
#define KN_PIDFD_GET_INFO _IOWR(0xFF, 11, struct kn_pidfd_info)
#define KN_PIDFD_INFO_EXIT 8

static inline int kn_pidfd_open_any(int pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

/* As pidfd_open(2), but the last eighth of the numbers that RLIMIT_NOFILE allows, 256 at most, is left to the
 * program: -EMFILE there.  A process that exists is told from one that does not first (ESRCH). */
static inline int kn_pidfd_open(int pid)
{
    struct rlimit limit;
    int fd = kn_pidfd_open_any(pid);
    if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return fd;
    rlim_t reserve = limit.rlim_cur / 8;
    if (reserve > KN_RESERVE_MOST)
        reserve = KN_RESERVE_MOST;
    if ((rlim_t)fd + reserve < limit.rlim_cur)
        return fd;
    close(fd);
    return -EMFILE;
}

/* siginfo to the status that wait(2) gives, which is FreeBSD's as well: exit code << 8, signal, core flag 0x80. */
static inline int kn_wait_status(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

static inline int kn_wait(int type, int id, int options)
{
    siginfo_t info;
    info.si_pid = 0;
    if (waitid((idtype_t)type, (id_t)id, &info, options) < 0)
        return -errno;
    return info.si_pid ? kn_wait_status(&info) : -EAGAIN;
}

/* The status of a child by its pid, left for whoever waits for it; -EAGAIN while it runs, -ECHILD if it is no child,
 * or was waited for. */
static inline int kn_child_status(int pid) { return kn_wait(P_PID, pid, KN_WAITING); }

/* A field of /proc/PID/stat, counted from 1 as in proc_pid_stat(5), from the third on; the state is its letter.
 * stat is read whole: the name in parentheses may contain anything. */
static inline long long kn_stat_field(int pid, int field)
{
    char path[32], text[1024], *at;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, sizeof text - 1);
    int error = errno;
    close(fd);
    if (n < 0)
        return -error;
    text[n] = 0;
    at = strrchr(text, ')');
    for (int i = 2; at && i < field; i++)
        at = strchr(at + 1, ' ');
    if (!at)
        return -EINVAL;
    return field == 3 ? at[1] : (long long)strtoull(at + 1, NULL, 10);
}

/* Whether the kernel tells us a zombie's exit code in /proc/PID/stat; if not it says 0 (ptrace(2), "access mode"). */
static inline int kn_may_see(int pid)
{
    char path[32];
    struct stat st;
    if (geteuid() == 0)
        return 1;
    snprintf(path, sizeof path, "/proc/%d", pid);
    return stat(path, &st) == 0 && st.st_uid == geteuid();
}

/* Whether a pidfd is that of a process that has ended: its poll(2) bits. */
static inline int kn_pidfd_poll(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

/* The wait status of the process behind a pidfd, taking it from nobody.  pid: its number, for /proc.
 * -EAGAIN: it runs, or is on its way out and the kernel does not know yet; -ESRCH: it is gone and nobody can tell;
 * -EBADF: no pidfd.
 * A child: waitid(2).  Another's, or where that is refused: reaped: PIDFD_GET_INFO, of any process, on Linux 6.15 (S-446).  Another's zombie:
 * /proc/PID/stat, where we may read it (S-447). */
static inline int kn_exit_status(int fd, int pid)
{
    int status = kn_wait(KN_P_PIDFD, fd, KN_WAITING);
    if (status >= 0 || status == -EAGAIN || status == -EBADF)
        return status;
    for (int round = 0; round < 2; round++) {
        struct kn_pidfd_info info;
        memset(&info, 0, sizeof info);
        info.mask = KN_PIDFD_INFO_EXIT;
        if (ioctl(fd, KN_PIDFD_GET_INFO, &info) == 0 && info.mask & KN_PIDFD_INFO_EXIT)
            return info.exit_code & 0xffff;
        int state = kn_pidfd_poll(fd);
        if (state < 0)
            return state;
        if (!(state & POLLIN))
            return -EAGAIN;
        if (state & POLLHUP)
            continue; /* Reaped meanwhile: once more, then nobody knows. */
        if (pid <= 0)
            return -ESRCH; /* Of another pid namespace. */
        long long code = kn_stat_field(pid, 52);
        int seen = kn_may_see(pid);
        /* Still a zombie after that: its number was its own, and what was read is about it. */
        if (kn_pidfd_poll(fd) & POLLHUP)
            continue;
        if (code < 0)
            return -EAGAIN; /* SIGCHLD is ignored, and it is just being let go of. */
        return code || seen ? (int)code & 0xffff : -ESRCH;
    }
    return -ESRCH;
}

/* Whether the process with this number has ended, as a zombie: 1, 0, or -ESRCH, -EMFILE. */
static inline int kn_has_ended(int pid)
{
    int fd = kn_pidfd_open_any(pid);
    if (fd < 0)
        return fd;
    int state = kn_pidfd_poll(fd);
    close(fd);
    return state < 0 ? state : (state & POLLIN) != 0;
}

/* The number of the process behind a pidfd, in our namespace; 0 when it is gone or not in it, -EBADF: no pidfd. */
static inline int kn_pidfd_pid(int fd)
{
    struct kn_pidfd_info info;
    char path[40], text[512], *at;
    memset(&info, 0, sizeof info);
    if (ioctl(fd, KN_PIDFD_GET_INFO, &info) == 0)
        return (int)info.pid;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return errno == EMFILE || errno == ENFILE ? 0 : -EBADF;
    ssize_t n = read(in, text, sizeof text - 1);
    close(in);
    if (n < 0)
        return 0;
    text[n] = 0;
    at = strstr(text, "\nPid:");
    if (!at)
        return -EBADF;
    int pid = atoi(at + 5);
    return pid > 0 ? pid : 0;
}

/* Where the stack of its program begins: another after each execve(2), since it is laid out at random.  0 or 1 where
 * we may not see it. */
static inline long long kn_image(int pid) { return kn_stat_field(pid, 28); }

/* The state letter of the first thread, 'Z' once it has ended. */
static inline int kn_leader_state(int pid) { return (int)kn_stat_field(pid, 3); }

#endif
