/* Files of /proc that are read as a whole, or written to in one go.  All return n or -errno. */
#ifndef KN_PROCFILE_H
#define KN_PROCFILE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static inline int kn_procfile_open(const char *path, int writable)
{
    int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* The next part of a file that is read from its start: seq_file goes on at an offset only where it stopped. */
static inline long kn_procfile_read(int fd, char *to, size_t room, long at)
{
    ssize_t n;
    do
        n = pread(fd, to, room, at);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static inline int kn_procfile_write(int fd, const char *text, size_t size)
{
    ssize_t n = write(fd, text, size);
    return n < 0 ? -errno : (int)n;
}

#endif
