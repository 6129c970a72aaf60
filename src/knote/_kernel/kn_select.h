/* select(2) over a set that is copied for each wait.  See kn_watchset.h. */
#ifndef KN_SELECT_H
#define KN_SELECT_H

#include "kn_watchset.h"

#include <sys/select.h>

/* select(2) says who is ready, but neither hang-up nor error, and of a closed number only that there is one: what it is
 * about, poll(2) says of those few.  A hang-up for which there is no room to write ends no wait for room: so who waits
 * for nothing else is asked by poll(2) before a sleep and with every answer. */
static inline int kn_select_sleep(struct pollfd *fds, int n, const struct timespec *timeout)
{
    static const struct timespec at_once = {0, 0};
    fd_set in, out, pri;
    int top = -1, rc, writers = 0;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&pri);
    for (int i = 0; i < n; i++) {
        int fd = fds[i].fd;
        if (fd >= FD_SETSIZE)
            return -ERANGE; /* not let in by the engine */
        if (fds[i].events & (POLLIN | POLLRDHUP))
            FD_SET(fd, &in);
        if (fds[i].events & POLLOUT)
            FD_SET(fd, &out);
        if (fds[i].events & POLLPRI)
            FD_SET(fd, &pri);
        writers += fds[i].events == POLLOUT;
        if (fd > top)
            top = fd;
    }
    if (writers && (!timeout || timeout->tv_sec || timeout->tv_nsec)) {
        for (int i = 0; i < n; i++)
            if (fds[i].events != POLLOUT)
                fds[i].fd = ~fds[i].fd; /* poll(2) passes over it */
        if (poll(fds, (nfds_t)n, 0) > 0)
            timeout = &at_once; /* with all others, which have their turn */
        for (int i = 0; i < n; i++)
            if (fds[i].fd < 0)
                fds[i].fd = ~fds[i].fd;
    }
    rc = pselect(top + 1, &in, &out, &pri, timeout, NULL);
    if (rc == 0 && !writers)
        return 0;
    if (rc < 0 && errno != EBADF)
        return -errno;
    if (rc >= 0) {
        for (int i = 0; i < n; i++) {
            int fd = fds[i].fd;
            if (fds[i].events != POLLOUT && (rc == 0 || (!FD_ISSET(fd, &in) && !FD_ISSET(fd, &out) && !FD_ISSET(fd, &pri))))
                fds[i].fd = ~fd;
        }
    }
    rc = poll(fds, (nfds_t)n, 0);
    if (rc < 0)
        rc = -errno;
    for (int i = 0; i < n; i++)
        if (fds[i].fd < 0)
            fds[i].fd = ~fds[i].fd;
    return rc;
}

#endif
