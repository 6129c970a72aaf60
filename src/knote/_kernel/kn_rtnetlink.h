/* rtnetlink(7), as far as it tells of network interfaces.  All return n or -errno, and never block. */
#ifndef KN_RTNETLINK_H
#define KN_RTNETLINK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KN_RTNETLINK_ROOM 65536

enum kn_link_kind { KN_LINK_IS = 1, KN_LINK_GONE = 2, KN_LINK_LISTED = 3, KN_LINK_REFUSED = 4 };

/* kind: an interface is so; it is gone; the end of a list; a request was refused.
 * flags: IFF_*; of a list 1 if it is torn.  value: carrier changes; of a refusal its errno. */
struct kn_link {
    int kind;
    int index;
    unsigned flags;
    unsigned value;
};

static inline int kn_rtnetlink_open(void)
{
    struct sockaddr_nl here = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

/* Ask for one interface, or with index 0 for all of them. */
static inline int kn_rtnetlink_ask(int fd, int index)
{
    struct {
        struct nlmsghdr head;
        struct ifinfomsg link;
        struct rtattr mask;
        uint32_t bits;
    } request = {
        .head = {
            .nlmsg_len = sizeof request,
            .nlmsg_type = RTM_GETLINK,
            .nlmsg_flags = NLM_F_REQUEST | (index ? 0 : NLM_F_DUMP),
        },
        .link = {.ifi_family = AF_UNSPEC, .ifi_index = index},
        .mask = {.rta_len = RTA_LENGTH(4), .rta_type = IFLA_EXT_MASK},
        .bits = RTEXT_FILTER_SKIP_STATS,
    };
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n = sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return n < 0 ? -errno : 0;
}

static inline unsigned kn_carrier_changes(const struct nlmsghdr *head)
{
    const struct ifinfomsg *link = NLMSG_DATA(head);
    const struct rtattr *attribute = IFLA_RTA(link);
    int left = (int)IFLA_PAYLOAD(head);
    unsigned changes = 0;
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
        if (attribute->rta_type == IFLA_CARRIER_CHANGES && RTA_PAYLOAD(attribute) >= 4)
            memcpy(&changes, RTA_DATA(attribute), 4);
    return changes;
}

/* One message into one record; 0 for what is not about an interface itself: a bridge tells of its ports with the
 * same types, and "gone" then means gone from the bridge. */
static inline int kn_link_of(const struct nlmsghdr *head, struct kn_link *out)
{
    const struct ifinfomsg *link = NLMSG_DATA(head);
    memset(out, 0, sizeof *out);
    switch (head->nlmsg_type) {
    case NLMSG_DONE:
        out->kind = KN_LINK_LISTED;
        out->flags = (head->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        return 1;
    case NLMSG_ERROR:
        if (head->nlmsg_len < NLMSG_LENGTH(4))
            return 0;
        out->kind = KN_LINK_REFUSED;
        out->value = (unsigned)-((const struct nlmsgerr *)NLMSG_DATA(head))->error;
        return out->value != 0;
    case RTM_NEWLINK:
    case RTM_DELLINK:
        if (head->nlmsg_len < NLMSG_LENGTH(sizeof *link) || link->ifi_family != AF_UNSPEC)
            return 0;
        out->kind = head->nlmsg_type == RTM_NEWLINK ? KN_LINK_IS : KN_LINK_GONE;
        out->index = link->ifi_index;
        out->flags = link->ifi_flags;
        out->value = kn_carrier_changes(head);
        return 1;
    default:
        return 0;
    }
}

/* Read one datagram into records, at most cap: how many.  -EAGAIN: nothing is left.  -ENOBUFS: messages were lost,
 * and reading goes on behind them. */
static inline int kn_rtnetlink_read(int fd, char *buffer, struct kn_link *links, int cap)
{
    struct sockaddr_nl from = {.nl_family = AF_NETLINK};
    struct iovec part = {.iov_base = buffer, .iov_len = KN_RTNETLINK_ROOM};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1};
    const struct nlmsghdr *head = (const struct nlmsghdr *)buffer;
    ssize_t n;
    int left, count = 0;
    do
        n = recvmsg(fd, &message, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (message.msg_flags & MSG_TRUNC)
        return -ENOBUFS;
    if (from.nl_pid)
        return 0; /* not the kernel */
    for (left = (int)n; count < cap && NLMSG_OK(head, left); head = NLMSG_NEXT(head, left))
        count += kn_link_of(head, links + count);
    return count;
}

#endif
