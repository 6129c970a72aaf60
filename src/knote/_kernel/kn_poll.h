/* poll(2) over a set that is copied for each wait.  See kn_watchset.h. */
#ifndef KN_POLL_H
#define KN_POLL_H

#include "kn_watchset.h"

static inline int kn_poll_sleep(struct pollfd *fds, int n, const struct timespec *timeout)
{
    int rc = ppoll(fds, (nfds_t)n, timeout, NULL);
    return rc < 0 ? -errno : rc;
}

#endif
