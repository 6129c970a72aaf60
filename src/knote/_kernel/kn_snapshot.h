/* What a file was when it was last looked at, and what is different now. */
#ifndef KN_SNAPSHOT_H
#define KN_SNAPSHOT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

/* What compare() says; snapshot.py has the same list. */
enum kn_different {
    KN_GREW = 1,
    KN_SHRANK = 2,
    KN_EMPTY = 4,
    KN_TOUCHED = 8,
    KN_LINKED = 16,
    KN_UNLINKED = 32,
    KN_NAMELESS = 64,
    KN_OWNED = 128,
    KN_CHANGED = 256,
    KN_UNSURE = 512,
    KN_LATER = 1024,
};

/* Which part of it to look at, and to remember anew. */
enum kn_part {
    KN_CONTENTS = 1,
    KN_ATTRIBUTES = 2,
};

struct kn_snapshot {
    dev_t dev;
    ino_t ino;
    off_t size;
    nlink_t nlink;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    struct timespec ctime;
    int64_t floor;  /* the clock of files, from before they were looked at */
};

static inline int64_t kn_ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static inline int64_t kn_file_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return kn_ns(now);
}

/* 0 or -errno; -EINVAL if it is nothing that a file system holds: a socket, an eventfd. */
static inline int kn_snapshot_take(struct kn_snapshot *s, int fd)
{
    struct stat st;
    s->floor = kn_file_clock();
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!(st.st_mode & S_IFMT) || S_ISSOCK(st.st_mode))
        return -EINVAL;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->size = st.st_size;
    s->nlink = st.st_nlink;
    s->mode = st.st_mode;
    s->uid = st.st_uid;
    s->gid = st.st_gid;
    s->mtime = st.st_mtim;
    s->ctime = st.st_ctim;
    return 0;
}

static inline int kn_snapshot_is(const struct kn_snapshot *s, mode_t type) { return (s->mode & S_IFMT) == type; }

/* What is different from what is remembered, or -errno; -ESTALE when the number is another file's by now.  Parts
 * that are not asked for stay as they are remembered: their own events are still to come. */
static inline int kn_snapshot_compare(struct kn_snapshot *s, int fd, int parts)
{
    struct kn_snapshot now = *s;
    int found = kn_snapshot_take(&now, fd);
    if (found < 0)
        return found == -EINVAL ? -ESTALE : found;
    if (now.ino != s->ino || now.dev != s->dev || (now.mode & S_IFMT) != (s->mode & S_IFMT))
        return -ESTALE;
    if (now.nlink == 0)
        found |= KN_NAMELESS;
    if (now.size == 0)
        found |= KN_EMPTY;
    if (kn_ns(now.mtime) != kn_ns(s->mtime))
        found |= KN_TOUCHED;
    if (kn_ns(now.ctime) != kn_ns(now.mtime))
        found |= KN_LATER;
    if (kn_ns(now.ctime) != kn_ns(s->ctime))
        found |= KN_CHANGED;
    else if (kn_ns(s->ctime) >= s->floor)
        /* It was looked at within the tick in which it last changed: if the file system's clock is no finer, it
         * may have changed again within that tick (git-update-index(1), "racy"). */
        found |= KN_UNSURE;
    if (parts & KN_CONTENTS) {
        if (now.size > s->size)
            found |= KN_GREW;
        if (now.size < s->size)
            found |= KN_SHRANK;
        s->size = now.size;
    }
    if (parts & KN_ATTRIBUTES) {
        if (now.nlink > s->nlink)
            found |= KN_LINKED;
        if (now.nlink < s->nlink)
            found |= KN_UNLINKED;
        if (now.mode != s->mode || now.uid != s->uid || now.gid != s->gid)
            found |= KN_OWNED;
        s->nlink = now.nlink;
        s->mode = now.mode;
        s->uid = now.uid;
        s->gid = now.gid;
    }
    s->mtime = now.mtime;
    s->ctime = now.ctime;
    s->floor = now.floor;
    return found;
}

#endif
