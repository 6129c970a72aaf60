/* The C allocator's memory: malloc_trim(3). */
#ifndef KN_HEAP_H
#define KN_HEAP_H

#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Give whole pages that nobody uses back to the system, those between used ones too: 1 if there were any.  free(3) alone
 * gives back the end of the heap and nothing before it.  musl, which has no such call, gives back by itself. */
static inline int kn_heap_trim(void)
{
#ifdef __GLIBC__
    return malloc_trim(0);
#else
    return 0;
#endif
}

#endif
