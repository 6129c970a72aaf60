"""Whether HAProxy and the hosts of examples/haproxy can be had here."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from typing import Final

from tests.support.waiting import SOON

PROGRAMS: Final = ("haproxy", "ip", "unshare")
_ENTER: Final = [
    "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
]  # fmt: skip
_HOSTS: Final = """
    mount -t tmpfs none /run && ip netns add host && ip link add lan type bridge &&
    ip link add port type veth peer name eth0 netns host
"""
"""What examples/haproxy/cluster.sh begins with: a container may allow namespaces and forbid a /proc of their own,
and a kernel may have no bridges."""


def path() -> str:
    """PATH with the folders of system programs, which not every user has in it."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@cache
def missing() -> bool:
    """Whether something that they need is."""
    if not all(shutil.which(program, path=path()) for program in PROGRAMS):
        return True
    tried = subprocess.run(
        [*_ENTER, "sh", "-c", _HOSTS], env=os.environ | {"PATH": path()}, capture_output=True, timeout=6 * SOON,
        check=False,
    )  # fmt: skip
    return tried.returncode != 0
