"""What has happened: for a person, for a program, for a command that is run because of it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from knote.apps.legible import plain


class Fact(NamedTuple):
    """One thing that has happened.

    kind: the option that asked for it, without its dashes.  subject: what was given to that option.  words: what
    happened.  data: a number that says more (bytes, a status, how many), or None.  at: when it was told,
    in seconds since 1970.
    """

    kind: str
    subject: str
    words: tuple[str, ...]
    data: int | None
    at: float

    def line(self) -> str:
        """'file notes.txt: write extend'."""
        words = map(plain, self.words)
        return " ".join(filter(None, (self.kind, plain(self.subject)))) + ": " + " ".join(words)

    def record(self) -> str:
        """A line of JSON."""
        import json  # 4 ms that a plain wait need not take

        told: dict[str, Any] = {"event": self.kind, "subject": self.subject, "what": list(self.words)}
        return json.dumps({**told, "data": self.data, "time": round(self.at, 6)})

    def environment(self) -> dict[str, str]:
        """For a command: $KNOTE_EVENT and its companions."""
        return {
            "KNOTE_EVENT": self.kind,
            "KNOTE_EVENT_SUBJECT": self.subject,
            "KNOTE_EVENT_WHAT": " ".join(self.words),
            "KNOTE_EVENT_DATA": "" if self.data is None else str(self.data),
            "KNOTE_EVENT_JSON": self.record(),
        }


def now(kind: str, subject: str, *words: str, data: int | None = None) -> Fact:
    """A fact of this moment."""
    return Fact(kind, subject, words, data, time.time())
