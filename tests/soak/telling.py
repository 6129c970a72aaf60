"""A service for tests.soak.serve: it says who serves, then answers lines in upper case."""

from __future__ import annotations

import os
from typing import Any

HELLO = b"%d\n"


class Telling:
    """Its process number first; then what comes, in upper case.  A line that has begun is answered to its end."""

    def connected(self, connection: Any) -> None:
        """Say who serves."""
        self._connection = connection
        self._inside = False
        connection.write(HELLO % os.getpid())

    def data(self, data: bytes) -> None:
        """Answer."""
        self._inside = not data.endswith(b"\n")
        self._connection.write(data.upper())

    def draining(self) -> bool:
        """Whether half a line has come."""
        return self._inside
