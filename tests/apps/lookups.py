"""Names and who answers for them, without a network."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import namespaces
from tests.support.links import Links

SILENT = "import posix, sys\nsys.stdin.buffer.read()\nposix._exit(0)\n"
"""In the place of lookup.CHILD: asks nobody and says nothing, for as long as it is wanted."""


def saying(said: Any) -> str:
    """In the place of lookup.CHILD: says so to each question."""
    return (
        "import marshal, sys\n"
        "try:\n"
        "    while True:\n"
        "        marshal.load(sys.stdin.buffer)\n"
        f"        sys.stdout.buffer.write(marshal.dumps({said!r}))\n"
        "        sys.stdout.buffer.flush()\n"
        "except EOFError:\n"
        "    pass\n"
    )


@contextmanager
def name_server(path: Path) -> Iterator[socket.socket]:
    """This process' name server, in namespaces of its own (MOUNT | NET): the socket that all questions come to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        links = Links()
        links.up("lo")
        server.bind(("127.0.0.1", 53))
        for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: dns\n")):
            (path / name).write_text(text)
            _cover(path / name, f"/etc/{name}")
        yield server


def _cover(what: Path, where: str) -> None:
    if not os.path.exists(where):
        return  # then the C library does what these say by itself
    bind = 4096  # MS_BIND
    namespaces.check(namespaces.libc.mount(os.fsencode(what), where.encode(), None, ctypes.c_ulong(bind), None))
