/* What the programs beside it share: threads, and a check that tells where it failed. */
#ifndef SOAK_ROOMS_H
#define SOAK_ROOMS_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);         \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

typedef void *(*soak_thread)(void *);

/* Run n threads of one kind, each with its number, and wait for all. */
static inline void soak_run(soak_thread work, int n)
{
    pthread_t threads[16];
    CHECK(n <= 16);
    for (long i = 0; i < n; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < n; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* A number from the one before; each thread has its own. */
static inline unsigned soak_random(unsigned *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
