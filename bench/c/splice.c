/* What `knote cat` is compared with: `splice FILE...` moves each file to standard output, `splice` standard input,
 * with pipes of a megabyte on both sides; `splice -d` moves standard input to /dev/null, for the other end.
 * `splice -r FILE...` reads and writes 128 KiB at a time, as cat(1) does. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB (1 << 20)

static int by_splice(int in, int out)
{
    ssize_t n;
    while ((n = splice(in, NULL, out, NULL, MIB, SPLICE_F_MOVE)) > 0)
        ;
    return n < 0;
}

static int by_hand(int in, int out)
{
    static char buffer[128 * 1024];
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, (size_t)n) != n)
            return 1;
    return n < 0;
}

int main(int count, char **words)
{
    int (*move)(int, int) = by_splice;
    int out = STDOUT_FILENO, first = 1;
    if (count > 1 && !strcmp(words[1], "-d"))
        out = open("/dev/null", O_WRONLY), first++;
    else if (count > 1 && !strcmp(words[1], "-r"))
        move = by_hand, first++;
    /* Refused for what is no pipe, which is as well. */
    fcntl(STDIN_FILENO, F_SETPIPE_SZ, MIB);
    fcntl(out, F_SETPIPE_SZ, MIB);
    if (first == count && move(STDIN_FILENO, out))
        return perror("splice"), 1;
    for (int i = first; i < count; i++) {
        int in = open(words[i], O_RDONLY);
        if (in < 0 || move(in, out))
            return perror(words[i]), 1;
        close(in);
    }
    return 0;
}
