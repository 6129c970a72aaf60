"""A small model of kqueue(2), written from the specification and docs/differences.md, not from knote's sources.

It knows no engine, no list and no order: only which knotes there are, what each would answer now, and for EV_CLEAR
whether something happened since it was last returned.  `python -m tests.soak.model` plays random steps on it and
on knote at the same time; see player.py for what is compared.
"""

from __future__ import annotations

import errno
from typing import Final, NamedTuple

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_EOF,
    EV_ERROR,
    EV_FORCEONESHOT,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_WRITE,
    NOTE_ABSTIME,
    NOTE_FFAND,
    NOTE_FFCOPY,
    NOTE_FFCTRLMASK,
    NOTE_FFLAGSMASK,
    NOTE_FFOR,
    NOTE_LOWAT,
    NOTE_MSECONDS,
    NOTE_NODATA,
    NOTE_NSECONDS,
    NOTE_SECONDS,
    NOTE_TRIGGER,
    NOTE_USECONDS,
)
from tests.soak.world import PAGES, PIPE_SIZE, READING, End, World

STICKY: Final = EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT
OF_DESCRIPTORS: Final = (EVFILT_READ, EVFILT_WRITE)
UNITS: Final = (0, NOTE_SECONDS, NOTE_MSECONDS, NOTE_USECONDS, NOTE_NSECONDS)
ANY: Final = None
"""A value that the model does not know, and that is not compared."""


class Change(NamedTuple):
    """One kevent of a change list, its ident a number already."""

    ident: int
    filter: int
    flags: int
    fflags: int
    data: int
    udata: int


class Event(NamedTuple):
    """One kevent that comes back; None is any value."""

    ident: int
    filter: int
    flags: int | None
    fflags: int | None
    data: int | None
    udata: int

    def allows(self, got: Event) -> bool:
        """Whether got is this event."""
        return all(want is ANY or want == have for want, have in zip(self, got, strict=True))


class Knote:
    """One registration."""

    def __init__(self, change: Change) -> None:
        self.ident = change.ident
        self.filter = change.filter
        self.flags = change.flags & STICKY
        self.notes = change.fflags
        self.data = change.data
        self.udata = change.udata
        self.disabled = bool(change.flags & EV_DISABLE)
        self.forced = False
        self.edge = True
        """EV_CLEAR: something happened since it was returned; a new knote is looked at once."""
        self.looked = True
        """EV_CLEAR: it was made or changed since it was returned."""
        self.perhaps = False
        """EV_CLEAR: something happened that may or may not be seen."""
        self.triggered = False
        self.user = 0
        """USER: the notes that are kept."""
        self.timer = "never"
        """TIMER: 'never', 'due' (true until taken), 'spent', or 'often' (nobody counts how often)."""
        self.passed = 0
        """How many events went out since this one could have."""


class Answer(NamedTuple):
    """What a filter says of a knote."""

    fflags: int | None
    data: int | None
    flags: int | None = 0


class Queue:
    """The knotes of one kqueue."""

    def __init__(self, world: World, tells_of_then: bool = False) -> None:
        self.knotes: dict[tuple[int, int], Knote] = {}
        self._world = world
        self._tells_of_then = tells_of_then
        """An edge tells what was so when it came (docs/engines.md, uring-poll): room that is filled by now, an
        error that was read since, with NOTE_NODATA data that was, and no end that it is not about.  So does a
        level that the filter has denied, which waits for an edge."""

    # ---- changes -------------------------------------------------------------------------------------------

    def apply(self, changes: list[Change], room: int) -> tuple[list[Event], int, bool]:
        """Apply the list: the entries for errors and receipts, the errno that had no room, and whether the call
        ends here with nothing (trace receipt_noroom_second)."""
        entries: list[Event] = []
        for change in changes:
            if change.filter == 0:
                continue  # passed over without a word (S-040)
            error, fresh = self._change(change)
            if not error and not change.flags & EV_RECEIPT:
                continue
            if len(entries) == room:
                return entries, error, not error
            fflags = 0 if fresh else change.fflags
            if change.filter == EVFILT_USER and not error:
                fflags &= NOTE_FFLAGSMASK
            entries.append(Event(change.ident, change.filter, EV_ERROR, fflags, error, change.udata))
        return entries, 0, False

    def _change(self, change: Change) -> tuple[int, bool]:
        """The errno, and whether a knote was made or was being made."""
        flags = change.flags
        if change.filter not in (*OF_DESCRIPTORS, EVFILT_USER, EVFILT_TIMER):
            return errno.EINVAL, False
        if flags & EV_ENABLE and flags & EV_DISABLE:
            return errno.EINVAL, False
        if flags & EV_ADD and flags & EV_KEEPUDATA:
            return errno.EINVAL, False  # before anything is looked up (S-051)
        kn = self.knotes.get((change.filter, change.ident))
        end = None
        if change.filter in OF_DESCRIPTORS:
            end = self._world.at(change.ident)
            if end is None:
                return errno.EBADF, False
        if kn is not None and flags & EV_DELETE:
            del self.knotes[change.filter, change.ident]
            return 0, False
        if kn is not None:
            return self._modify(kn, change), False
        if not flags & EV_ADD:
            return errno.ENOENT, False
        kn = Knote(change)
        error = self._attach(kn, end)
        if not error:
            self.knotes[change.filter, change.ident] = kn
        return error, True

    def _attach(self, kn: Knote, end: End | None) -> int:
        if kn.filter == EVFILT_WRITE:
            assert end is not None
            if end.what == "w" and not end.peer.is_open:
                return errno.EPIPE  # trace pipe_write_eof
        elif kn.filter == EVFILT_TIMER:
            return self._schedule(kn, kn.notes, kn.data)
        elif kn.filter == EVFILT_USER:
            # A trigger in the creating EV_ADD fires, and control bits are not notes (differences, rule 1).
            kn.user = kn.notes & NOTE_FFLAGSMASK
            kn.triggered = bool(kn.notes & NOTE_TRIGGER)
        return 0

    @staticmethod
    def _schedule(kn: Knote, notes: int, data: int) -> int:
        absolute = notes & NOTE_ABSTIME
        if notes & ~NOTE_ABSTIME not in UNITS or (data < 0 and not absolute):
            return errno.EINVAL
        kn.notes, kn.data = notes, data
        if absolute:
            # Far ones are said to be so by their size: nobody lives to see 2^32 of any unit but ns go by.
            kn.timer = "never" if data >= 1 << 32 else "due"
        else:
            kn.flags |= EV_CLEAR
            kn.timer = "never" if data else "due" if kn.flags & EV_ONESHOT else "often"
        return 0

    def _modify(self, kn: Knote, change: Change) -> int:
        flags, notes = change.flags, change.fflags
        if kn.filter == EVFILT_TIMER:
            if flags & EV_ADD:
                error = self._schedule(kn, notes, change.data)
                if error:
                    return error
        elif kn.filter == EVFILT_USER:
            how, given = notes & NOTE_FFCTRLMASK, notes & NOTE_FFLAGSMASK
            if how == NOTE_FFAND:
                kn.user &= given
            elif how == NOTE_FFOR:
                kn.user |= given
            elif how == NOTE_FFCOPY:
                kn.user = given
            kn.data = change.data
            if notes & NOTE_TRIGGER:
                kn.triggered = True
            elif flags & EV_CLEAR:
                kn.triggered = False
        else:
            kn.notes, kn.data = notes, change.data
        if not flags & EV_KEEPUDATA:
            kn.udata = change.udata
        if flags & EV_FORCEONESHOT:
            kn.flags |= EV_ONESHOT
            kn.forced = True
        kn.disabled = (kn.disabled or bool(flags & EV_DISABLE)) and not flags & EV_ENABLE
        kn.edge = kn.looked = True  # a change looks at the condition afresh (S-073)
        return 0

    # ---- what happens --------------------------------------------------------------------------------------

    def happened(self, end: End, directions: int, sure: bool) -> None:
        """Something happened to the descriptor."""
        for number in OF_DESCRIPTORS:
            kn = self.knotes.get((number, end.fd))
            if kn is not None and directions & (READING if number == EVFILT_READ else ~READING):
                kn.edge |= sure
                kn.perhaps |= not sure

    def watches(self, fd: int) -> bool:
        """Whether the number has knotes."""
        return any((number, fd) in self.knotes for number in OF_DESCRIPTORS)

    def closed(self, fd: int) -> None:
        """close(2) takes the number's knotes along (S-084)."""
        for number in OF_DESCRIPTORS:
            self.knotes.pop((number, fd), None)

    # ---- events --------------------------------------------------------------------------------------------

    def due(self) -> dict[tuple[int, int], tuple[Event, bool]]:
        """What could be returned now, and whether it must be, given room."""
        found = {}
        for key, kn in self.knotes.items():
            if kn.disabled:
                continue
            answer = self._ask(kn)
            must = True
            if kn.forced and answer is None:
                answer = Answer(ANY, ANY, ANY)
            elif kn.filter in OF_DESCRIPTORS and kn.flags & EV_CLEAR and not kn.forced:
                # What came and was read is no edge any more (differences, rule 2), even where a NOTE_LOWAT of 0
                # makes nothing worth a report.
                must = kn.edge and (kn.looked or answer != Answer(0, 0))
                if not kn.edge and not kn.perhaps:
                    continue
                unasked = kn.filter == EVFILT_WRITE or kn.notes & NOTE_NODATA
                if answer is None and self._tells_of_then and unasked:
                    answer, must = Answer(ANY, ANY, ANY), False
            if answer is not None and self._tells_of_then and kn.filter in OF_DESCRIPTORS:
                answer = answer._replace(fflags=ANY, flags=ANY if kn.notes & NOTE_NODATA else answer.flags)
            if kn.timer == "often":
                must = False
            if answer is not None:
                flags = ANY if answer.flags is ANY else kn.flags | answer.flags
                found[key] = Event(kn.ident, kn.filter, flags, answer.fflags, answer.data, kn.udata), must
        return found

    def _ask(self, kn: Knote) -> Answer | None:
        if kn.filter == EVFILT_USER:
            return Answer(kn.user, kn.data) if kn.triggered else None
        if kn.filter == EVFILT_TIMER:
            if kn.timer == "often":
                return Answer(0, ANY)
            return Answer(0, 1) if kn.timer == "due" else None
        end = self._world.at(kn.ident)
        assert end is not None
        return self._readable(kn, end) if kn.filter == EVFILT_READ else self._writable(kn, end)

    @staticmethod
    def _readable(kn: Knote, end: End) -> Answer | None:
        if end.what == "w":
            return Answer(0, 0, EV_EOF) if end.at_end else None
        n = end.unread
        if end.at_end:
            return Answer(end.error, n, EV_EOF)
        if kn.notes & NOTE_NODATA:
            return Answer(0, 0) if n else None
        mark = kn.data if kn.notes & NOTE_LOWAT and end.what == "s" else 1
        return Answer(0, n) if n >= mark else None

    @staticmethod
    def _writable(kn: Knote, end: End) -> Answer | None:
        if end.what == "r":
            return None
        if end.what == "w":
            space = PIPE_SIZE - end.unread
            if end.at_end:
                return Answer(0, space, EV_EOF | EV_ONESHOT)
            if len(end.pages) == 2 * PAGES:
                return None
            return Answer(0, 0 if kn.notes & NOTE_NODATA else space)
        if end.at_end and end.is_deaf:
            return Answer(end.error, ANY, EV_EOF)
        if not end.room:
            return None  # nor is an own shutdown seen until there is (differences)
        if kn.notes & NOTE_NODATA:
            return Answer(0, 0)
        if kn.notes & NOTE_LOWAT and kn.data > 1 << 30:
            return None
        return Answer(0, ANY, EV_EOF if end.is_deaf else 0)

    def returned(self, key: tuple[int, int], event: Event) -> None:
        """The event was returned: what becomes of its knote."""
        kn = self.knotes[key]
        kn.forced = False
        kn.passed = 0
        assert event.flags is not None
        if event.flags & EV_ONESHOT:
            del self.knotes[key]
            return
        if kn.flags & EV_CLEAR:
            kn.edge = kn.looked = kn.perhaps = kn.triggered = False
            if kn.timer == "due":
                kn.timer = "spent"
        if kn.flags & EV_DISPATCH:
            kn.disabled = True


if __name__ == "__main__":
    from tests.soak import driver

    driver.main()
