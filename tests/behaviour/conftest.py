"""Many short tests, each looked at for leaks, which collects garbage twice."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """What pytest and the modules hold by now stays, so no collection need walk through it again:
    that took nine tenths of the time of these tests."""
    gc.collect()
    gc.freeze()
