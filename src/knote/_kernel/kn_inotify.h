/* inotify(7).  All return n or -errno. */
#ifndef KN_INOTIFY_H
#define KN_INOTIFY_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Four thousand events of a file; a quarter of what an instance queues by default. */
#define KN_INOTIFY_ROOM 65536
/* No event is larger, so a read that left this much room has emptied the queue. */
#define KN_INOTIFY_LARGEST ((int)sizeof(struct inotify_event) + 256)

static inline int kn_inotify_create(void)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* Watch the file behind a descriptor: the link in /proc leads to the inode, whatever it is called by now, unlinked
 * or renamed (spec S-422); or, with parent, the directory that holds the directory behind it. */
static inline int kn_inotify_add(int in, int fd, int parent, uint32_t mask)
{
    char path[40];
    int wd;
    snprintf(path, sizeof path, "/proc/self/fd/%d%s", fd, parent ? "/.." : "");
    wd = inotify_add_watch(in, path, mask);
    return wd < 0 ? -errno : wd;
}

static inline int kn_inotify_remove(int in, int wd) { return inotify_rm_watch(in, wd) < 0 ? -errno : 0; }

/* Fill the buffer with events; how many bytes, 0 when none are left. */
static inline int kn_inotify_read(int in, char *buffer)
{
    ssize_t n = read(in, buffer, KN_INOTIFY_ROOM);
    if (n < 0)
        return errno == EAGAIN ? 0 : -errno;
    return (int)n;
}

/* The event at this place of the buffer; the place of the next one. */
static inline int kn_inotify_event(const char *buffer, int at, struct inotify_event *event)
{
    memcpy(event, buffer + at, sizeof *event);
    return at + (int)(sizeof *event + event->len);
}

#endif
