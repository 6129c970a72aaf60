/* kn_inotify.h from many threads: each changes a file of its own, and one reads what all of them set off, through a
 * buffer that is full at times.  No event is of a file that nobody has, and none has a length that leads outside. */
#include "kn_inotify.h"
#include "rooms.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>

enum { WRITERS = 6, ROUNDS = 3000, FILES = WRITERS };

static int in, files[FILES], watches[FILES];
static _Atomic int running = WRITERS, churned;
static long seen[FILES], lost, ignored, others;

static void *writer(void *argument)
{
    long number = (long)argument;
    for (int round = 0; round < ROUNDS; round++) {
        char byte = (char)round;
        int mine, wd;
        CHECK(pwrite(files[number], &byte, 1, round % 100) == 1);
        if (round % 100)
            continue;
        /* A watch that comes and goes, on a file that has no name. */
        CHECK((mine = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) >= 0);
        CHECK((wd = kn_inotify_add(in, mine, 0, IN_MODIFY | IN_ATTRIB)) > 0);
        CHECK(write(mine, &byte, 1) == 1);
        CHECK(kn_inotify_remove(in, wd) == 0);
        CHECK(kn_inotify_remove(in, wd) == -EINVAL);
        CHECK(close(mine) == 0);
        atomic_fetch_add(&churned, 1);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void take(const char *buffer, int n)
{
    struct inotify_event event;
    int at = 0, found;
    while (at < n) {
        CHECK(at + (int)sizeof event <= n);
        at = kn_inotify_event(buffer, at, &event);
        CHECK(at <= n);
        if (event.mask & IN_Q_OVERFLOW) {
            CHECK(event.wd == -1);
            lost++;
            continue;
        }
        if (event.mask & IN_IGNORED) {
            ignored++;
            continue;
        }
        found = 0;
        for (int i = 0; i < FILES; i++)
            if (event.wd == watches[i]) {
                CHECK(event.mask & IN_MODIFY);
                seen[i]++;
                found = 1;
            }
        others += !found;
    }
}

static void *reader(void *argument)
{
    char *buffer = malloc(KN_INOTIFY_ROOM);
    int over, n;
    (void)argument;
    CHECK(buffer);
    do {
        over = !atomic_load(&running);
        while ((n = kn_inotify_read(in, buffer)) > 0)
            take(buffer, n);
        CHECK(n == 0);
        if (!over) {
            struct pollfd p = {.fd = in, .events = POLLIN};
            CHECK(poll(&p, 1, 5) >= 0);
        }
    } while (!over);
    free(buffer);
    return NULL;
}

static void *everybody(void *argument)
{
    return (long)argument < WRITERS ? writer(argument) : reader(argument);
}

int main(void)
{
    char name[] = "/tmp/knote-soak-XXXXXX", path[64];
    long sum = 0;
    CHECK((in = kn_inotify_create()) >= 0);
    CHECK(kn_inotify_add(in, 1 << 20, 0, IN_MODIFY) == -ENOENT);
    CHECK(kn_inotify_remove(in, 12345) == -EINVAL);
    CHECK(mkdtemp(name));
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, "%s/%d", name, i);
        CHECK((files[i] = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)) >= 0);
        CHECK((watches[i] = kn_inotify_add(in, files[i], 0, IN_MODIFY)) > 0);
        /* Once more is the same watch; the directory is another one. */
        CHECK(kn_inotify_add(in, files[i], 0, IN_MODIFY) == watches[i]);
        CHECK(unlink(path) == 0);
    }
    CHECK(rmdir(name) == 0);
    soak_run(everybody, WRITERS + 1);
    for (int i = 0; i < FILES; i++) {
        CHECK(seen[i] > 0 && seen[i] <= ROUNDS);
        sum += seen[i];
        CHECK(close(files[i]) == 0);
    }
    CHECK(lost || ignored == atomic_load(&churned));
    printf("inotify: %ld of %d changes (equal ones in a row are one), %ld watches gone, %ld overflows\n", sum,
           WRITERS * ROUNDS, ignored, lost);
    CHECK(close(in) == 0);
    return 0;
}
