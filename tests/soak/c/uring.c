/* kn_uring.h: one ring that threads submit to and reap from in turn, each under a lock as a kqueue's is, while the
 * kernel completes on any core; what overflows is kept, and what was taken back never happens. */
#include "kn_uring.h"
#include "rooms.h"

#include <fcntl.h>

enum { THREADS = 4, ROUNDS = 3000, DEPTH = 32, COUNT = THREADS * ROUNDS * 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kn_ring ring;
static int null;
static char seen[COUNT + 1]; /* each token comes once */
static int submitted, reaped, under_way;

static void reap(void)
{
    struct kn_landed landed[DEPTH];
    int n = kn_ring_reap(&ring, landed, DEPTH);
    for (int i = 0; i < n; i++) {
        CHECK(landed[i].token < COUNT && !seen[landed[i].token]++);
        CHECK(landed[i].result == 1);
    }
    reaped += n;
    under_way -= n;
}

static void *work(void *argument)
{
    unsigned state = (unsigned)(long)argument * 7919u + 1;
    static const char byte = 'x';
    for (int i = 0; i < ROUNDS; i++) {
        unsigned n = soak_random(&state) % 4;
        pthread_mutex_lock(&lock);
        for (unsigned k = 0; k < n; k++) {
            while (kn_ring_prepare(&ring, IORING_OP_WRITE, null, (uint64_t)(uintptr_t)&byte, 1, 0, 0,
                                   (uint64_t)submitted) == -EBUSY)
                CHECK(kn_ring_submit(&ring, 0) >= 0);
            submitted++;
            under_way++;
        }
        CHECK(kn_ring_submit(&ring, 0) >= 0);
        if (soak_random(&state) % 64 == 0)
            while (under_way)
                reap();
        if (kn_ring_overflowed(&ring))
            CHECK(kn_ring_submit(&ring, 0) >= 0);
        reap();
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(void)
{
    int rc = kn_ring_open(&ring, DEPTH, 2 * DEPTH, 1u << 30); /* a flag that no kernel knows */
    struct kn_landed taken[DEPTH];
    if (rc == -ENOSYS || rc == -EPERM) {
        printf("no io_uring here (%d): nothing to see\n", -rc);
        return 0;
    }
    CHECK(rc >= 0 && (null = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0);
    CHECK(kn_ring_knows(&ring, IORING_OP_WRITE) == 1 && kn_ring_knows(&ring, 250) == 0);
    CHECK(kn_ring_prepare(&ring, IORING_OP_WRITE, null, 0, 0, 0, 0, COUNT) == 0);
    CHECK(kn_ring_retract(&ring, taken, DEPTH) == 1 && taken[0].token == COUNT && kn_ring_pending(&ring) == 0);
    soak_run(work, THREADS);
    while (under_way) {
        CHECK(kn_ring_submit(&ring, 1) >= 0);
        reap();
    }
    CHECK(submitted == reaped);
    kn_ring_close(&ring);
    kn_ring_close(&ring);
    close(null);
    return 0;
}
