"""knote serve --admin: who looks after a server from outside, and what he is told when it is to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knote.apps.notice import Notice
from knote.cli.arguments import seconds

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from types import TracebackType

    from knote import kqueue


OF_PAGES = "--admin"
"""What an address that cannot be had begins with, if it is of the pages."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Those that are about it."""
    more = parser.add_argument_group("metrics and health")
    more.add_argument(
        "--admin", metavar="ADDRESS",
        help="/metrics for Prometheus, /healthz and /readyz at HOST:PORT or unix:PATH, by HTTP (default: nowhere)",
    )  # fmt: skip
    more.add_argument(
        "--admin-anywhere", action="store_true",
        help="at an address that other machines reach, too: whoever reaches it can read it",
    )  # fmt: skip
    more.add_argument(
        "--drain-delay", metavar="TIME", type=seconds, default=0.0,
        help="after SIGTERM, how long to go on accepting while /readyz says 503 (default: 0)",
    )  # fmt: skip


def check(asked: argparse.Namespace) -> None:
    """Raises AdminError for what could not be had anywhere."""
    if asked.admin is not None:
        from knote.apps import admin

        admin.pages()
        admin.check(asked.admin, asked.admin_anywhere)


class Desk:
    """The pages of a program's queue, where they were asked for.  Closed with the block.  Raises AdminError and
    OSError when it is made."""

    def __init__(
        self, asked: argparse.Namespace, queue: kqueue, ask: Callable[..., None], tell: Callable[[str], None],
        serves: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._queue = queue
        self._delay: float = asked.drain_delay
        self._admin: Any = None
        if asked.admin is not None:
            from knote.apps.admin import Admin  # and with it h11 and prometheus-client

            try:
                self._admin = Admin(
                    queue, asked.admin, ask, anywhere=asked.admin_anywhere, serves=serves, tell=tell
                )
            except OSError as error:
                if error.filename:
                    error.filename = f"{OF_PAGES} {error.filename}"
                raise

    @property
    def addresses(self) -> list[str]:
        """Where the pages are."""
        return [] if self._admin is None else list(self._admin.addresses)

    def notice(self, first: Callable[[], object], drain: Callable[[], None]) -> Notice:
        """What SIGTERM calls: /readyz says no, then first(), and after --drain-delay drain()."""

        def begin() -> None:
            if self._admin is not None:
                self._admin.wanted = False
            first()

        return Notice(self._queue, self._delay, begin, drain)

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._admin is not None:
            self._admin.close()
