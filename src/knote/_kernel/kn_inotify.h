/* inotify(7).  All return n or -errno. */
#ifndef KN_INOTIFY_H
#define KN_INOTIFY_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define KN_INOTIFY_ROOM 16384

struct kn_file_event {
    int wd;
    uint32_t mask;
    int named;
};

static inline int kn_inotify_create(void)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* Watch the file behind a descriptor: the link in /proc leads to the inode, whatever it is called by now, unlinked
 * or renamed (spec S-422).  Masks add up: one inode has one watch (S-424). */
static inline int kn_inotify_add(int in, int fd, uint32_t mask)
{
    char path[32];
    int wd;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    wd = inotify_add_watch(in, path, mask | IN_MASK_ADD);
    return wd < 0 ? -errno : wd;
}

/* Read what there is into events, at most cap; how many, 0 when nothing is left. */
static inline int kn_inotify_read(int in, char *buffer, struct kn_file_event *events, int cap)
{
    ssize_t n = read(in, buffer, KN_INOTIFY_ROOM);
    int count = 0;
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    for (char *at = buffer; at + sizeof(struct inotify_event) <= buffer + n && count < cap;) {
        struct inotify_event e;
        memcpy(&e, at, sizeof e);
        events[count].wd = e.wd;
        events[count].mask = e.mask;
        events[count].named = e.len > 0;
        count++;
        at += sizeof e + e.len;
    }
    return count;
}

#endif
