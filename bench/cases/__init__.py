"""One question per file; CASES is the list of them all."""

from bench.cases import (
    aio,
    changes,
    curves,
    exits,
    files,
    footprint,
    idle,
    libevent,
    lists,
    nested,
    serve,
    solaris,
    start,
    timeouts,
    timers,
    wait_data,
    wait_nodata,
    wake,
)
from bench.model import Case

CASES: tuple[Case, ...] = (
    wait_nodata.CASE,
    wait_data.CASE,
    changes.CASE,
    idle.CASE,
    serve.CASE,
    wake.CASE,
    timers.CASE,
    exits.CASE,
    files.CASE,
    aio.CASE,
    solaris.CASE,
    curves.CASE,
    lists.CASE,
    libevent.CASE,
    timeouts.CASE,
    nested.CASE,
    footprint.CASE,
    start.CASE,
)
