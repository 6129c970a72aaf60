/* kn_fd.h and kn_fork.h: what a descriptor is and how much it holds, asked by many threads of descriptors of their own
 * and of numbers that others close and open at the same time; the answers may be old, and are never nonsense. */
#include "kn_fd.h"
#include "kn_fork.h"
#include "rooms.h"

#include <sys/un.h>
#include <sys/wait.h>

enum { THREADS = 6, ROUNDS = 2000 };

static int shared[2]; /* a pipe that some threads fill and drain while others count */

static void own_pipe(void)
{
    int fds[2], error, counts[2];
    CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    uint64_t identity = kn_describe(fds[0]);
    CHECK((identity & 15) == KN_PIPE && kn_same(fds[0], identity));
    CHECK(write(fds[1], "12345", 5) == 5);
    CHECK(kn_readable(fds[0]) == 5);
    kn_readable_many(fds, counts, 2);
    CHECK(counts[0] == 5 && counts[1] == 5);
    CHECK(kn_pipe_space(fds[1]) == 65536 - 5);
    CHECK(kn_poll(fds[0], POLLIN) == POLLIN);
    CHECK(kn_file_rest(fds[0], &error) == 0 && error == ESPIPE);
    CHECK(kn_unsent(fds[0]) < 0);
    close(fds[1]);
    CHECK(kn_poll(fds[0], POLLIN) == (POLLIN | POLLHUP));
    close(fds[0]);
}

static void own_pair(void)
{
    int fds[2], queue;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    uint64_t identity = kn_describe(fds[0]);
    CHECK((identity & 15) == KN_UNIX_STREAM && kn_same(fds[0], identity) && !kn_same(fds[1], identity));
    CHECK(kn_send_space(fds[0]) > 0);
    CHECK(write(fds[0], "123", 3) == 3);
    CHECK(kn_readable(fds[1]) == 3);
    CHECK(!kn_unix_send_shut(fds[0]));
    CHECK(kn_tcp_state(fds[0], &queue) < 0);
    CHECK(shutdown(fds[0], SHUT_WR) == 0 && kn_unix_send_shut(fds[0]));
    close(fds[0]);
    close(fds[1]);
}

static void own_listener(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof name;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(listener >= 0 && client >= 0);
    CHECK(bind(listener, (struct sockaddr *)&name, sizeof name.sun_family) == 0); /* a name of the kernel's choice */
    CHECK(listen(listener, 4) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&name, &size) == 0);
    CHECK(connect(client, (struct sockaddr *)&name, size) == 0);
    int waiting = kn_unix_accept_queue(listener);
    CHECK(waiting == 1 || waiting == -ENOENT || waiting == -EPROTONOSUPPORT); /* no sock_diag(7) here */
    close(client);
    close(listener);
}

static void shared_pipe(unsigned *state)
{
    char bytes[512];
    int n = kn_readable(shared[0]);
    CHECK(n >= 0 && n <= 65536);
    CHECK(kn_pipe_space(shared[1]) >= 0);
    CHECK((kn_poll(shared[0], POLLIN) & ~POLLIN) == 0);
    if (soak_random(state) % 2)
        CHECK(write(shared[1], bytes, 0) == 0 || errno == EAGAIN);
    if (write(shared[1], "xyz", 3) < 0 || soak_random(state) % 4 == 0)
        CHECK(read(shared[0], bytes, sizeof bytes) >= 0 || errno == EAGAIN);
}

static void no_such(unsigned *state)
{
    int fd = 40 + (int)(soak_random(state) % 40), error, queue; /* others' numbers, open or not */
    uint64_t identity = kn_describe(fd);
    CHECK(identity == 0 || (identity & 15) <= KN_TTY);
    (void)kn_same(fd, identity | 16);
    int open = kn_is_open(fd);
    CHECK(open == 0 || open == -EBADF);
    (void)kn_readable(fd);
    (void)kn_tcp_state(fd, &queue);
    (void)kn_file_rest(fd, &error);
    CHECK(kn_is_open(1 << 20) == -EBADF && kn_describe(1 << 20) == 0 && kn_readable(1 << 20) == -EBADF);
    CHECK(kn_poll(1 << 20, POLLIN) == POLLNVAL);
}

static void *work(void *argument)
{
    unsigned state = (unsigned)(long)argument * 31337u + 1;
    for (int i = 0; i < ROUNDS; i++) {
        own_pipe();
        own_pair();
        if (i % 16 == 0)
            own_listener();
        shared_pipe(&state);
        no_such(&state);
    }
    return NULL;
}

int main(void)
{
    int status;
    CHECK(pipe2(shared, O_NONBLOCK | O_CLOEXEC) == 0);
    soak_run(work, THREADS);

    CHECK(kn_fork_watch() == 0 && kn_fork_count() == 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(kn_fork_count() == 1 ? 0 : 1);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(kn_fork_count() == 0);
    printf("fd: %d rounds in each of %d threads\n", ROUNDS, THREADS);
    return 0;
}
