"""A child process for a test's body: its limits, filters and descriptors are its own, and end with it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def apart(body: Callable[[], None]) -> None:
    """Run body() in a forked child; AssertionError if it raised, which the child has printed."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
