/* The process connector: every fork, exec and exit of the machine, by netlink(7).  All return n or -errno.
 *
 * It answers only in the initial pid and user namespaces, and elsewhere is silent (S-452); before Linux 6.6 it wants
 * CAP_NET_ADMIN.  Its acknowledgement comes before send(2) returns, so a missing one is an answer. */
#ifndef KN_CONNECTOR_H
#define KN_CONNECTOR_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KN_HEARD_MOST 64 /* messages of one read */
#define KN_NAMED_MOST 32 /* processes that the kernel tells apart for us; of more we hear everything */
#define KN_HEAR_ROOM (8 << 20)
#define KN_MESSAGE 128

struct kn_heard {
    unsigned what; /* PROC_EVENT_FORK, _EXEC, _EXIT */
    int pid;       /* who: the parent of a fork */
    int value;     /* the child of a fork, the wait status of an exit */
};

struct kn_cn_message {
    struct nlmsghdr head;
    struct cn_msg message;
    uint32_t body[(KN_MESSAGE - sizeof(struct nlmsghdr) - sizeof(struct cn_msg)) / 4];
};
#define KN_CN_WORD(field) (sizeof(struct nlmsghdr) + sizeof(struct cn_msg) + offsetof(struct proc_event, field))

static inline int kn_connector_say(int fd, uint32_t operation, uint32_t mark)
{
    struct kn_cn_message m;
    memset(&m, 0, sizeof m);
    m.head.nlmsg_len = sizeof m.head + sizeof m.message + sizeof operation;
    m.head.nlmsg_type = NLMSG_DONE;
    m.message.id.idx = CN_IDX_PROC;
    m.message.id.val = CN_VAL_PROC;
    m.message.ack = mark;
    m.message.len = sizeof operation;
    m.body[0] = operation;
    return send(fd, &m, m.head.nlmsg_len, MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* What a message tells.  Copied out: the event needs 8 bytes of alignment, and stands behind 36 of headers. */
static inline struct proc_event kn_connector_event(const struct kn_cn_message *m)
{
    struct proc_event event;
    _Static_assert(sizeof m->body >= sizeof event, "the room for a message holds an event");
    memcpy(&event, m->body, sizeof event);
    return event;
}

/* A socket that listens; -EOPNOTSUPP, -EPERM, -ECONNREFUSED and others where the kernel or sandbox does not allow it. */
static inline int kn_connector_open(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    socklen_t length = sizeof address;
    int room = KN_HEAR_ROOM, error = EOPNOTSUPP;
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0)
        return -errno;
    /* As much as we may: by default the socket holds 277 messages. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        error = errno;
        close(fd);
        return -error;
    }
    int rc = kn_connector_say(fd, PROC_CN_MCAST_LISTEN, address.nl_pid);
    struct kn_cn_message m;
    ssize_t n = 0;
    while (rc == 0 && ((n = recv(fd, &m, sizeof m, MSG_DONTWAIT)) > 0 || errno == ENOBUFS)) {
        /* Acknowledgements go to everybody who listens: ours bears our mark. */
        struct proc_event event = kn_connector_event(&m);
        if (n > 0 && event.what == PROC_EVENT_NONE && m.message.ack == address.nl_pid + 1) {
            if (event.event_data.ack.err == 0)
                return fd;
            rc = -(int)event.event_data.ack.err;
        }
    }
    if (n < 0 && errno != EAGAIN) /* it may have answered */
        error = errno;
    close(fd);
    return rc < 0 ? rc : -error;
}

/* Let the kernel drop, before it wakes us, what nobody asked for: threads; and where everything is 0, all but the named
 * processes, with exits also everybody's exit.  One program replaces the other at once. */
static inline int kn_connector_tune(int fd, const int *pids, int count, int everything, int exits)
{
    if (count > KN_NAMED_MOST)
        everything = 1;
    if (everything)
        count = 0;
    struct sock_filter code[22 + KN_NAMED_MOST] = {
        [0] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(what)),
        [1] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_FORK), 3, 0),
        [2] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_EXEC), 9, 0),
        [3] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_EXIT), 10, 0),
        [4] = BPF_STMT(BPF_RET | BPF_K, 0),
        /* The child of a fork belongs to its own process; a new thread to its maker's. */
        [5] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(event_data.fork.child_pid)),
        [6] = BPF_STMT(BPF_MISC | BPF_TAX, 0),
        [7] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(event_data.fork.child_tgid)),
        [8] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
        [9] = BPF_STMT(BPF_RET | BPF_K, 0),
        [10] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(event_data.fork.parent_tgid)),
        [11] = BPF_JUMP(BPF_JMP | BPF_JA, 8, 0, 0),
        [12] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(event_data.exec.process_tgid)),
        [13] = BPF_JUMP(BPF_JMP | BPF_JA, 6, 0, 0),
        /* Of a process with threads, the exit of the first. */
        [14] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(event_data.exit.process_pid)),
        [15] = BPF_STMT(BPF_MISC | BPF_TAX, 0),
        [16] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, KN_CN_WORD(event_data.exit.process_tgid)),
        [17] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
        [18] = BPF_STMT(BPF_RET | BPF_K, 0),
        [19] = BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0),
    };
    const struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, ~0u), none = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = (unsigned short)(22 + count), .filter = code};
    if (exits)
        code[19] = all;
    /* A word is loaded in network order, so what it is compared with must be. */
    for (int i = 0; i < count; i++)
        code[20 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl((uint32_t)pids[i]),
                                                   (uint8_t)(count - i), 0);
    code[20 + count] = everything ? all : none;
    code[21 + count] = all;
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/* Read what there is into heard, which holds KN_HEARD_MOST; how many messages, of which those that say nothing have
 * what 0.  0 when nothing is left; -ENOBUFS: some were lost. */
static inline int kn_connector_read(int fd, struct kn_heard *heard)
{
    struct kn_cn_message m[KN_HEARD_MOST];
    struct sockaddr_nl from[KN_HEARD_MOST];
    struct iovec parts[KN_HEARD_MOST];
    struct mmsghdr many[KN_HEARD_MOST];
    memset(many, 0, sizeof many);
    for (int i = 0; i < KN_HEARD_MOST; i++) {
        parts[i] = (struct iovec){&m[i], sizeof m[i]};
        many[i].msg_hdr.msg_iov = &parts[i];
        many[i].msg_hdr.msg_iovlen = 1;
        many[i].msg_hdr.msg_name = &from[i];
        many[i].msg_hdr.msg_namelen = sizeof from[i];
    }
    int n = recvmmsg(fd, many, KN_HEARD_MOST, MSG_DONTWAIT, NULL);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        struct proc_event event = kn_connector_event(&m[i]);
        struct kn_heard *one = &heard[i];
        memset(one, 0, sizeof *one);
        /* From the kernel, and whole. */
        if (from[i].nl_pid || many[i].msg_len < KN_CN_WORD(event_data.exit.exit_signal) ||
            m[i].message.id.idx != CN_IDX_PROC)
            continue;
        /* Threads once more: what came before the socket was tuned is there all the same. */
        if (event.what == PROC_EVENT_FORK && event.event_data.fork.child_pid == event.event_data.fork.child_tgid) {
            one->what = event.what;
            one->pid = event.event_data.fork.parent_tgid;
            one->value = event.event_data.fork.child_tgid;
        } else if (event.what == PROC_EVENT_EXEC) {
            one->what = event.what;
            one->pid = event.event_data.exec.process_tgid;
        } else if (event.what == PROC_EVENT_EXIT &&
                   event.event_data.exit.process_pid == event.event_data.exit.process_tgid) {
            one->what = event.what;
            one->pid = event.event_data.exit.process_tgid;
            one->value = (int)(event.event_data.exit.exit_code & 0xffff);
        }
    }
    return n;
}

/* Before Linux 6.6 the kernel does not notice that a listener has gone, and goes on talking to nobody. */
static inline void kn_connector_close(int fd, int stop)
{
    if (stop)
        kn_connector_say(fd, PROC_CN_MCAST_IGNORE, 0);
    close(fd);
}

#endif
