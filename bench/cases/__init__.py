"""One question per file; CASES is the list of them all."""

from bench.cases import aio, changes, exits, files, idle, serve, solaris, timers, wait_data, wait_nodata, wake
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
)
