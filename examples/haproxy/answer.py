"""The service of the example: which host answers and for whom, then each line again in upper case."""

from __future__ import annotations

import os
from typing import Any


class Answer:
    """One connection."""

    def connected(self, connection: Any) -> None:
        """Say who speaks."""
        self.connection, self.rest = connection, b""
        connection.write(f"{os.environ['HOST']} serves {connection.peer}\n".encode())

    def data(self, data: bytes) -> None:
        """Answer each line; the rest waits for its end."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.connection.write(line.upper() + b"\n")
