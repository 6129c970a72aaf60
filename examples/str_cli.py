"""The command line that all str_cli_*.py have."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable


def main(str_cli: Callable[[int, socket.socket, int], None], description: str | None) -> None:
    """Connect standard input and output to the server that the command line names."""
    parser = argparse.ArgumentParser(
        description=description, epilog="Lines that you type go to the server; Ctrl-D ends, Ctrl-C breaks off."
    )
    parser.add_argument("host", metavar="HOST", help="a name or an address")
    parser.add_argument("port", metavar="PORT", type=int, help="a number")
    asked = parser.parse_args()
    try:
        with socket.create_connection((asked.host, asked.port)) as connection:
            str_cli(0, connection, 1)
    except (OSError, OverflowError) as error:
        sys.exit(f"str_cli: {asked.host}:{asked.port}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as a shell has it
