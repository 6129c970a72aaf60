"""A worker's place: who serves there, who is to, and what to do when nobody can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knote.apps.staffing import Backoff

if TYPE_CHECKING:
    from knote.apps.master import Master
    from knote.apps.member import Member


class Slot:
    """current: who serves; next: who is started to do so; keeper: who accepts from its doors while nobody is
    there."""

    def __init__(self, master: Master, number: int) -> None:
        self._master: Any = master
        self.number = number
        self.current: Member | None = None
        self.next: Member | None = None
        self.keeper: Member | None = None
        self._backoff = Backoff()
        self._retry = master.alarm(self.start)
        self._old = master.alarm(lambda: self.replace("has served for its time"))
        self.late = master.alarm(self._too_late)

    # ---- somebody begins ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process, or try again later."""
        if self.next is None:
            try:
                self.begin()
            except OSError as error:
                self.again(f"no process can be started for worker {self.number}: {error.strerror}")

    def begin(self) -> Member:
        """Start a process.  Raises OSError."""
        self._retry.clear()
        self.next = self._master.hire(self)
        self.late.set(self._master.staffing.begin)
        return self.next

    def replace(self, why: str) -> None:
        """Start one that takes the place of who serves, when it is ready."""
        if self.current is not None and self.next is None:
            self._master.tell(
                f"worker {self.number} (pid {self.current.pid}) {why}; another one takes its place"
            )
            self.start()

    def take_over(self) -> None:
        """Who was started serves from now on; who served keeps its connections until they end."""
        old, self.current, self.next = self.current, self.next, None
        self.late.clear()
        self._retry.clear()
        assert self.current is not None
        master = self._master
        self.current.accept([*master.doors.of(self.number), *master.doors.common()])
        if self.keeper is not None:
            self.keeper.rest(master.doors.of(self.number))
            self.keeper = None
        if old is not None:
            master.leaving.add(old)
            old.drain(master.staffing.retire, float("inf"), [])
            self._hand_over(old)
        for slot in master.slots:
            if slot.current is None:
                slot.find_keeper()
        if master.staffing.lifetime:
            self._old.set(master.staffing.life())

    # ---- somebody is missing -----------------------------------------------------------------------------------

    def let_go(self) -> None:
        """Who served does no more: another worker accepts meanwhile."""
        old, self.current = self.current, None
        self._old.clear()
        if old is not None and not self._master.stopping:
            self.find_keeper()
            self._hand_over(old)
            common = self._master.doors.common()
            for slot in self._master.slots if common else ():
                if slot.current is not None:
                    slot.current.accept(common)  # which looks who waits: the kernel may have told him alone

    def find_keeper(self) -> None:
        """The one who has the fewest doors looks after these."""
        if self.keeper is None:
            there = [slot.current for slot in self._master.slots if slot.current is not None]
            doors = self._master.doors.of(self.number)
            if there and doors:
                self.keeper = min(there, key=lambda member: len(member.accepting))
                self.keeper.accept(doors)

    def _hand_over(self, old: Member) -> None:
        for slot in self._master.slots:
            if slot.keeper is old:
                slot.keeper = None
                slot.find_keeper()

    def died(self, member: Member) -> None:
        """A process has ended that nobody told to: another one, at once or later."""
        said = f"worker {self.number} (pid {member.pid}) {member.how()}"
        self.again(f"{said}: {member.why}" if member.why else said, member.served())

    def again(self, said: str = "", served: float = 0.0) -> None:
        """Try it, now or later; said: what has happened."""
        delay = self._backoff.next(served)
        if said:
            then = "another one starts" if not delay else f"the next one starts in {delay:g} s"
            self._master.tell(f"{said}; {then}")
        if delay:
            self._retry.set(delay)
        else:
            self.start()

    def _too_late(self) -> None:
        if self.next is not None:
            self.next.why = f"it was not ready within {self._master.staffing.begin:g} s"
            self.next.kill()

    def abandon(self) -> None:
        """What was started is wanted no more; what was to be tried, is not."""
        self._retry.clear()
        self.late.clear()
        if self.next is not None:
            self._master.leaving.add(self.next)
            self.next.kill()
            self.next = None
        self._backoff.forget()

    def end(self) -> None:
        """Nobody is to come any more."""
        self._old.clear()
        self.abandon()
