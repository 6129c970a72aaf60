"""A server's numbers as Prometheus reads them, by prometheus-client (the extra `metrics`)."""

from __future__ import annotations

import platform
from functools import cache
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.exposition import choose_encoder

from knote.apps.numbers import LATE, Report, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOTALS = (
    ("knote_connections_accepted", "accepted", "Connections that were accepted."),
    ("knote_received_bytes", "received", "Bytes received from clients, TLS and PROXY headers included."),
    ("knote_sent_bytes", "sent", "Bytes sent to clients, TLS included."),
)
_REASONS = (
    ("knote_connections_closed", "closed", "Connections that were served and have ended, by reason."),
    ("knote_connections_refused", "refused", "Connections that were closed before they were served, by reason."),
)
_OF_WORKERS = (
    ("knote_worker_connections", "open", "Connections that a worker has."),
    ("knote_worker_resident_memory_bytes", "rss", "Resident memory of a worker's process."),
    ("knote_worker_open_fds", "descriptors", "Descriptors that a worker's process has open."),
    ("knote_worker_max_fds", "most_descriptors", "Descriptors that a worker's process may open (RLIMIT_NOFILE)."),
    ("knote_worker_uptime_seconds", "uptime", "Seconds since a worker's server was made."),
)

_OR_UNKNOWN = ("rss", "descriptors")
"""No process has none: 0 is that it could not be had."""


def text(
    workers: Mapping[str, Report], before: Report, ready: bool, uptime: float, accept: str
) -> tuple[str, bytes]:
    """A content type that `accept` (of HTTP) allows, and the page.

    workers: by name, "0" where there is one process; before: the lasting() numbers of workers that have ended;
    uptime: seconds.
    """
    registry: Any = CollectorRegistry()
    registry.register(_Page(workers, before, ready, uptime))
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)


class _Page:
    def __init__(self, workers: Mapping[str, Report], before: Report, ready: bool, uptime: float) -> None:
        self._workers = workers
        self._all = total([before, *workers.values()])
        self._ready = ready
        self._uptime = uptime

    def describe(self) -> list[Any]:
        """Nothing is known beforehand, and the registry asks for nothing twice."""
        return []

    def collect(self) -> Iterator[Any]:
        """Every family."""
        yield _build()
        yield GaugeMetricFamily("knote_uptime_seconds", "Seconds since the server was started.", self._uptime)
        yield GaugeMetricFamily("knote_ready", "1 while new connections are wanted, as /readyz says.", self._ready)
        yield GaugeMetricFamily("knote_connections", "Connections now.", self._all.open)
        for name, key, words in _TOTALS:
            yield CounterMetricFamily(name, words, getattr(self._all, key))
        for name, key, words in _REASONS:
            family = CounterMetricFamily(name, words, labels=["reason"])
            for why, count in sorted(getattr(self._all, key).items()):
                family.add_metric([why], count)
            yield family
        yield self._lag()
        cpu = CounterMetricFamily("knote_worker_cpu_seconds", "CPU time of a worker's process.", labels=["worker"])
        for worker, one in self._workers.items():
            cpu.add_metric([worker], one.cpu)
        yield cpu
        for name, key, words in _OF_WORKERS:
            gauge = GaugeMetricFamily(name, words, labels=["worker"])
            for worker, one in self._workers.items():
                value = getattr(one, key)
                if value or key not in _OR_UNKNOWN:
                    gauge.add_metric([worker], value)
            yield gauge

    def _lag(self) -> HistogramMetricFamily:
        buckets, below = [], 0
        for most, count in zip([*map(str, LATE), "+Inf"], self._all.lag, strict=True):
            below += count
            buckets.append((most, below))
        words = "How long after its time an event is told of: the length of a turn of the loop."
        return HistogramMetricFamily("knote_loop_lag_seconds", words, buckets, sum_value=self._all.lag_sum)


@cache
def _build() -> InfoMetricFamily:
    """Once: it is looked for in files."""
    import knote

    about = {
        "version": knote.__version__,
        "build": str(knote.build_info()["build"]),
        "python": platform.python_version(),
    }
    return InfoMetricFamily("knote_build", "Which knote serves.", about)
