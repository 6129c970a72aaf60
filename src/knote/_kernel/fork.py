"""How often this process image has been forked off.  The compiled twin is fork.pyx over kn_fork.h."""

from __future__ import annotations

import os

_generation = [0]


def _in_child() -> None:
    _generation[0] += 1


os.register_at_fork(after_in_child=_in_child)


def fork_count() -> int:
    """The number of forks between the first process that loaded this module and this one."""
    return _generation[0]
