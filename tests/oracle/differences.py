"""The one table of scenarios in which knote does not answer what FreeBSD answered.

A row names every step whose answer differs and the answer that knote gives instead; a step that is
not named must match, a row whose scenario matches FreeBSD altogether fails as stale.  The table in
docs/differences.md is made of these rows: ``python -m tests.oracle --docs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RULES: Final[Mapping[int, str]] = {
    1: "EVFILT_USER",
    2: "Stale readiness",
    3: "Overflow",
    4: "What is refused",
    5: "What Linux cannot see",
    6: "What Python or Linux cannot express",
}
"""The decisions of the profile by title, as docs/differences.md tells them.  What comes under none
of them is a defect."""


@dataclass(frozen=True)
class Difference:
    """One scenario that ends differently, and how."""

    scenario: str
    rule: int
    instead: Mapping[int, str]
    """Step (from 1, as play.py prints it) → knote's answer."""
    why: str
    """One sentence, for the reader of docs/differences.md."""
    engines: tuple[str, ...] = ()
    """The engines that the row is about; empty means all of them."""

    def covers(self, engine: str) -> bool:
        """The row speaks about *engine*."""
        return not self.engines or engine in self.engines


LISTED: Final = ("poll", "select")
_UNORDERED = "Such an engine looks at its descriptors one by one, and does not know which became true first."

DIFFERENCES: Final[tuple[Difference, ...]] = (
    # Rule 1: EVFILT_USER.
    Difference(
        "user_add_trigger",
        1,
        {2: "1 USER CLEAR ff=0x5 d=0"},
        "A program that creates and triggers in one change waits for that event.",
    ),
    Difference(
        "user_data",
        1,
        {4: "1 USER CLEAR d=33"},
        "EV_CLEAR in the same change does not eat the trigger.",
    ),
    Difference(
        "user_udata_trigger",
        1,
        {5: "1 USER CLEAR d=0 u=4"},
        "EV_CLEAR in the same change does not eat the trigger.",
    ),
    Difference(
        "user_clear_trigger_same",
        1,
        {3: "1 USER CLEAR d=0"},
        "EV_CLEAR in the same change does not eat the trigger.",
    ),
    Difference(
        "user_ffnop",
        1,
        {3: "1 USER ff=0xff d=0"},
        "The control bits of the creating EV_ADD are an order, not a part of the notes.",
    ),
    # Rule 2: the truth instead of stale readiness.
    Difference(
        "kq_poll",
        2,
        {10: "0"},
        "The data has been read, so a collect would find nothing, and poll(2) says so at once.",
    ),
    Difference(
        "pipe_oneshot_drained",
        2,
        {6: "0", 8: "r READ ONESHOT d=2"},
        "The data was read before the collect, so nothing is readable, and the one report is "
        "kept for the next data.",
    ),
    # Rule 4: what is always ready.
    Difference(
        "dev_null",
        4,
        {
            3: "n READ d=0",
            4: "n READ d=0; n WRITE d=*",
            5: "n READ d=0; n WRITE d=*",
        },
        "A device that never blocks is ready, as poll(2) says of it.",
    ),
    Difference(
        "dev_zero",
        4,
        {3: "n READ d=0", 4: "n READ d=0"},
        "A device that never blocks is ready, as poll(2) says of it.",
    ),
    # Rule 5: what Linux cannot see.
    Difference(
        "pipe_clear_basic",
        5,
        {11: "0"},
        "Linux wakes nobody when a part of a pipe's data is read.",
    ),
    Difference(
        "pipe_clear_prefilled",
        5,
        {7: "0"},
        "Linux wakes nobody when a part of a pipe's data is read.",
    ),
    Difference(
        "pipe_clear_eof",
        5,
        {10: "0"},
        "Linux wakes nobody when the rest of a pipe's data is read after its end was reported.",
    ),
    Difference(
        "pipe_clear_write",
        5,
        {6: "0", 8: "0"},
        "Linux wakes the writers of a pipe only if it was full.",
    ),
    Difference(
        "pipe_write_thresholds",
        5,
        {10: "0", 12: "0"},
        "A pipe of Linux takes data by pages, and is writable again when a page of it is free.",
    ),
    Difference(
        "ss_clear_write",
        5,
        {12: "0"},
        "Linux frees room by whole buffers, so one byte read from a full socket makes none.",
    ),
    Difference(
        "ss_write_full",
        5,
        {6: "0"},
        "Linux frees room by whole buffers, so one byte read from a full socket makes none.",
    ),
    Difference(
        "ss_dgram",
        5,
        {6: "a READ d=10"},
        "Linux tells the size of the first datagram, not of all that wait.",
    ),
    Difference(
        "udp_data",
        5,
        {10: "u READ d=10"},
        "Linux tells the size of the first datagram, not of all that wait.",
    ),
    Difference(
        "sig_blocked",
        5,
        {6: "SIGUSR2 SIGNAL CLEAR d=1"},
        "Linux forgets how often a standard signal was sent while it is blocked.",
    ),
    # Rule 6: what Python or Linux cannot express.
    Difference(
        "bad_timeout",
        6,
        {7: "r READ d=1"},
        "A timeout is a number of seconds, and a billion nanoseconds is one second.",
    ),
    Difference(
        "bad_timeout_changes_applied",
        6,
        {5: "0"},
        "A negative timeout is refused by control() before anything is applied, as by CPython's.",
    ),
    Difference(
        "kqueue_rw",
        6,
        {2: "-1 EINVAL", 3: "-1 EINVAL"},
        "The queue's descriptor is an epoll descriptor, and those answer read and write so.",
    ),
    Difference(
        "pipe_both_filters_write_end",
        6,
        {4: "-1 EBADF", 5: "w WRITE d=*", 6: "w WRITE d=*"},
        "A pipe of Linux goes one way.",
    ),
    Difference(
        "ss_shut_rdwr",
        6,
        {5: "a WRITE EOF d=*; b WRITE EOF d=*; a READ EOF d=0; b READ EOF d=0"},
        "On Linux shutting down one end for reading ends the writing of the other.",
    ),
    Difference(
        "tcp_connect_refused",
        6,
        {
            5: "-1 EINPROGRESS",
            7: "c READ EOF ff=ECONNREFUSED d=0; c WRITE EOF ff=ECONNREFUSED d=*",
            8: "c READ EOF ff=ECONNREFUSED d=0; c WRITE EOF ff=ECONNREFUSED d=*",
        },
        "Linux refuses later than connect(2) returns, so the error is still there to be told.",
    ),
    Difference(
        "tcp_close_unread_rst",
        6,
        {
            12: "c WRITE EOF ff=ECONNRESET d=*; c READ EOF ff=ECONNRESET d=0",
            13: "c WRITE EOF ff=ECONNRESET d=*; c READ EOF ff=ECONNRESET d=0",
        },
        "Linux resets a connection that is closed with unread data, where FreeBSD's ended it.",
    ),
    Difference(
        "tcp_write_after_peer_close",
        6,
        {14: "0", 15: "c WRITE EOF ff=ECONNRESET d=*; c READ EOF ff=ECONNRESET d=0"},
        "After a FIN read(2) goes on to answer the end of file, so the error of the reset stays.",
    ),
    Difference(
        "vn_truncate_grow",
        6,
        {6: "f VNODE CLEAR ff=WRITE|EXTEND d=0"},
        "inotify tells the growth of a file, not whether write(2) or ftruncate(2) made it grow.",
    ),
    Difference(
        "order_activation",
        6,
        {
            11: "r1 READ d=1; r2 READ d=1; r3 READ d=1; r4 READ d=1",
            12: "r1 READ d=1; r2 READ d=1; r3 READ d=1; r4 READ d=1",
        },
        _UNORDERED,
        LISTED,
    ),
    Difference(
        "order_mixed_filters",
        6,
        {7: "1 USER CLEAR d=0; r READ d=1; 2 TIMER ONESHOT|CLEAR d=1"},
        _UNORDERED,
        LISTED,
    ),
    Difference(
        "order_rewrite",
        6,
        {10: "r1 READ d=1; r2 READ d=6"},
        _UNORDERED,
        LISTED,
    ),
    Difference(
        "rotation_new_arrival",
        6,
        {
            12: "r3 READ d=1",
            14: "r4 READ d=1; r1 READ d=1; r2 READ d=1; r3 READ d=1",
            15: "r1 READ d=1; r2 READ d=1; r3 READ d=1; r4 READ d=1",
        },
        _UNORDERED,
        LISTED,
    ),
    Difference(
        "rotation_new_arrival",
        6,
        {
            12: "r3 READ d=1",
            14: "r1 READ d=1; r2 READ d=1; r3 READ d=1; r4 READ d=1",
            15: "r1 READ d=1; r2 READ d=1; r3 READ d=1; r4 READ d=1",
        },
        "Such an engine asks again about what it has reported, and so behind what came meanwhile.",
        ("aio",),
    ),
)


def find(scenario: str, engine: str) -> Difference | None:
    """The row for one scenario on one engine."""
    return next(
        (row for row in DIFFERENCES if row.scenario == scenario and row.covers(engine)), None
    )
