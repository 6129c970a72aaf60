"""A call that is to fail does so, and no other, whatever is called before it."""

from __future__ import annotations

import errno
import os

import pytest

from tests.support import kernelcalls
from tests.support.faults import Faults, play


@pytest.mark.needs("calls that fail")
def test_other_calls_do_not_count() -> None:
    (read,) = kernelcalls.of("read")

    def body(faults: Faults) -> None:
        fd = os.eventfd(3, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
        for others in range(3):
            faults.arm(errno.EPERM, number=read, nth=1)
            for _ in range(others):
                os.eventfd_write(fd, 1)
            os.eventfd_read(fd)
            with pytest.raises(PermissionError):
                os.eventfd_read(fd)
            assert faults.hits == 1
            assert len(faults.disarm()) == others + 2

    assert play(body, kernelcalls.of("read", "write")) == {(read, errno.EPERM)}
