/* What a wait reports: (token, mask) pairs, in the layout of struct epoll_event, so that epoll_wait(2)
 * writes them in place; the other engines fill the same fields. */
#ifndef KN_BATCH_H
#define KN_BATCH_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>

typedef struct epoll_event kn_hit;

static inline uint64_t kn_hit_token(const kn_hit *hits, int i) { return hits[i].data.u64; }
static inline uint32_t kn_hit_mask(const kn_hit *hits, int i) { return hits[i].events; }

static inline void kn_hit_put(kn_hit *hits, int i, uint64_t token, uint32_t mask)
{
    hits[i].data.u64 = token;
    hits[i].events = mask;
}

#endif
