"""--admin: what Prometheus and a balancer are told, of a server on both drivers."""

from __future__ import annotations

import http.client
import os
import re
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from knote.apps.admin import Admin, AdminError
from knote.apps.lag import Lag
from knote.apps.limits import Limits
from knote.apps.numbers import LATE, Report, alone, total
from knote.apps.server import Server
from tests.apps.programs import Serving, beside, dial, exactly, running, serving, to_the_end
from tests.apps.proxy_headers import V4, line
from tests.apps.test_server import reset
from tests.support.waiting import SOON, wait_until

DRIVERS = True


@contextmanager
def administered(service: Any = "echo", **how: Any) -> Iterator[tuple[Server, Admin]]:
    """A server in a thread, with its pages."""
    with Server(service=service, **how) as server:
        admin = Admin(server.kqueue, "127.0.0.1:0", alone(server))
        try:
            with beside(server.run):
                try:
                    yield server, admin
                finally:
                    server.stop()
        finally:
            admin.close()


def ask(admin: Admin, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Status, content type, body."""
    where = http.client.HTTPConnection(*admin.server.address[:2], timeout=SOON)
    try:
        where.request(method, path, headers=headers)
        answer = where.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
    finally:
        where.close()


def metrics(admin: Admin) -> dict[str, float]:
    """What /metrics says, by name and labels, as Prometheus' own parser reads it."""
    status, kind, body = ask(admin, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    return flat(parse(body))


def flat(families: Any) -> dict[str, float]:
    found = {}
    for family in families:
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


def test_connections_and_bytes(engine: str) -> None:
    with administered(engine=engine) as (server, admin):
        before = metrics(admin)
        assert before["knote_connections_accepted_total"] == 0
        with dial(server) as sock, dial(server) as other:
            sock.sendall(b"x" * 1000)
            assert exactly(sock, 1000)
            there = metrics(admin)
            assert there["knote_connections"] == there["knote_worker_connections{worker=0}"] == 2
            assert there["knote_received_bytes_total"] == there["knote_sent_bytes_total"] == 1000
            reset(other)
            wait_until(lambda: len(server) == 1)
        wait_until(lambda: not len(server))
        after = metrics(admin)
        assert after["knote_connections"] == 0
        assert after["knote_connections_accepted_total"] == 2
        assert after["knote_connections_closed_total{reason=client}"] == 1
        assert after["knote_connections_closed_total{reason=reset}"] == 1
        assert after["knote_received_bytes_total"] == after["knote_sent_bytes_total"] == 1000


def test_who_is_refused(engine: str) -> None:
    how: Any = {"limits": Limits(per_address=1), "proxy_from": ["127.0.0.1"], "tell": lambda text: None}
    with administered(engine=engine, **how) as (server, admin):
        with dial(server) as first, dial(server) as second, dial(server) as third:
            first.sendall(line(*V4) + b"x")
            assert exactly(first, 1) == b"x"
            second.sendall(line(*V4) + b"x")
            third.sendall(b"GET /")
            assert to_the_end(second) == to_the_end(third) == b""
        wait_until(lambda: not len(server))
        said = metrics(admin)
    assert said["knote_connections_refused_total{reason=per-address}"] == 1
    assert said["knote_connections_refused_total{reason=proxy}"] == 1
    assert said["knote_connections_closed_total{reason=client}"] == 1


def test_the_process(engine: str) -> None:
    with administered(engine=engine) as (_server, admin):
        said = metrics(admin)
    assert 1 << 20 < said["knote_worker_resident_memory_bytes{worker=0}"] < 1 << 32
    assert 5 < said["knote_worker_open_fds{worker=0}"] < said["knote_worker_max_fds{worker=0}"]
    assert said["knote_worker_cpu_seconds_total{worker=0}"] > 0
    assert said["knote_uptime_seconds"] > 0
    (build,) = [name for name in said if name.startswith("knote_build_info")]
    assert "version=" in build
    assert f"python={sys.version.split()[0]}" in build


def test_it_answers_when_no_descriptor_is_left() -> None:
    """To a client that has its connection; that there is none left is what it has to say."""
    with administered() as (_server, admin), socket.create_connection(admin.server.address, timeout=SOON) as sock:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        asked = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536).endswith(b"alive\n")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            sock.sendall(asked)
            said = b""
            while b'knote_worker_uptime_seconds{worker="0"}' not in said:
                part = sock.recv(65536)
                assert part
                said += part
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert b'knote_worker_open_fds{worker="0"} 1.0\n' in said
    assert b"knote_worker_resident_memory_bytes{" not in said


def test_who_asks_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few may ask at a time, so nobody keeps a place for nothing."""
    from knote.apps import admin as module

    monkeypatch.setattr(module, "_LIMITS", Limits(connections=2, first_byte=0.05, idle=0.1))
    with administered() as (_server, admin):
        with socket.create_connection(admin.server.address, timeout=SOON) as silent:
            assert to_the_end(silent) == b""
        with socket.create_connection(admin.server.address, timeout=SOON) as slow:
            slow.sendall(b"GET /met")
            assert to_the_end(slow) == b""
        wait_until(lambda: not len(admin.server), what="nobody keeps a place")


def test_open_metrics_when_asked_for() -> None:
    with administered() as (_server, admin):
        status, kind, body = ask(admin, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (status, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert flat(parse_openmetrics(body))["knote_connections"] == 0


def test_the_lag_of_a_service_that_takes_its_time(engine: str) -> None:
    """A service that works for 0.6 s holds up an event that was due meanwhile: at least one is late by more than
    0.1 s, since one is due each 0.5 s."""
    import time

    def slow(data: bytes) -> bytes:
        time.sleep(0.6)  # the work of the service
        return data

    with administered(slow, engine=engine) as (server, admin):
        lag = Lag(server.kqueue, server.numbers)
        with dial(server) as sock:
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"
        wait_until(lambda: sum(server.numbers.lag) >= 1)
        said = metrics(admin)
        lag.close()
    assert said["knote_loop_lag_seconds_count"] == said["knote_loop_lag_seconds_bucket{le=+Inf}"] >= 1
    assert said["knote_loop_lag_seconds_sum"] > 0.09


def test_health() -> None:
    with administered() as (_server, admin):
        assert ask(admin, "/healthz")[::2] == (200, "alive\n")
        assert ask(admin, "/readyz")[::2] == (200, "ready\n")
        assert ask(admin, "/readyz?verbose")[0] == 200
        admin.wanted = False
        assert ask(admin, "/readyz")[0] == ask(admin, "/readyz?draining=x")[0] == 503
        assert ask(admin, "/readyz?draining=404")[0] == 404
        assert ask(admin, "/healthz")[0] == 200
        assert metrics(admin)["knote_ready"] == 0


def test_a_master_without_workers_is_not_ready() -> None:
    """Connections would wait in the kernel's queue; 503 even for who asks for another status when it drains."""
    there: list[int] = []
    with running() as server:
        admin = Admin(server.kqueue, "127.0.0.1:0", alone(server), serves=lambda: bool(there))
        assert ask(admin, "/readyz")[0] == ask(admin, "/readyz?draining=404")[0] == 503
        assert metrics(admin)["knote_ready"] == 0
        there.append(1)
        assert ask(admin, "/readyz")[0] == 200
        server.orders.give(admin.close)
        wait_until(lambda: admin.server.kqueue.closed)


def test_a_master_is_ready_while_a_worker_is(tmp_path: Path) -> None:
    """Its worker dies, none can take its place, and then one does."""
    code = tmp_path / "mine.py"
    code.write_text("def echo(data): return data\n")
    words = ["--service", "mine:echo", "--workers", "1", "--admin", "127.0.0.1:0"]
    with serving(*words, cwd=tmp_path, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}) as server:
        where = page_of(server)
        assert fetched(where, "/readyz")[0] == 200
        (pid,) = workers(server.process.pid)
        code.write_text("no code\n")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: fetched(where, "/readyz") == (503, "nobody serves: no worker is ready\n"))
        code.write_text("def echo(data): return data\n")
        wait_until(lambda: fetched(where, "/readyz")[0] == 200, 4 * SOON)
        assert server.stop() == 0


def test_its_clients_are_nobodys_clients(engine: str) -> None:
    """A server that is full, and drains, still says so."""
    with administered(engine=engine, limits=Limits(connections=1)) as (server, admin), dial(server) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"
        assert metrics(admin)["knote_connections"] == 1
        server.drain(quiet=float("inf"))
        wait_until(lambda: server.draining)
        assert metrics(admin)["knote_connections"] == 1
        assert len(server) == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"DELETE /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"HEAD /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"x" * 10_000, 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_requests_of_all_kinds(request_: bytes, status: int) -> None:
    with administered() as (_server, admin), socket.create_connection(admin.server.address, timeout=SOON) as sock:
        sock.sendall(request_)
        sock.shutdown(socket.SHUT_WR)
        said = to_the_end(sock)
        assert said.startswith(b"HTTP/1.1 %d " % status)
        assert said.count(b"HTTP/1.1") == 1
        if request_.startswith(b"HEAD"):
            assert said.endswith(b"\r\n\r\n")


def test_many_requests_of_one_connection() -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with administered() as (_server, admin), socket.create_connection(admin.server.address, timeout=SOON) as sock:
        sock.sendall(one * 2000)
        sock.sendall(one[:20])
        sock.sendall(one[20:])
        sock.shutdown(socket.SHUT_WR)
        assert to_the_end(sock).count(b"\r\n\r\nalive\n") == 2001


def test_an_answer_that_takes_its_time() -> None:
    """As that of a master does, which asks its workers: the client waits, one that leaves does no harm."""
    waiting: list[Any] = []
    both = b"".join(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"metrics", b"healthz"))
    with Server(service="echo") as server:
        admin = Admin(server.kqueue, "127.0.0.1:0", waiting.append)
        with beside(server.run), socket.create_connection(admin.server.address, timeout=SOON) as sock:
            with socket.create_connection(admin.server.address, timeout=SOON) as other:
                for each in (sock, other):
                    each.sendall(both)
                wait_until(lambda: len(waiting) == 2)
                reset(other)
            wait_until(lambda: len(admin.server) == 1)
            reports = {"1": Report(accepted=2, closed={"idle": 1}), "2": Report(accepted=3, closed={"idle": 4})}
            for done in waiting:
                server.orders.give(lambda done=done: done(reports, Report(accepted=5, closed={"reset": 1})))
            said = b""
            while not said.endswith(b"alive\n"):
                said += sock.recv(65536)
            assert b"knote_connections_accepted_total 10.0\n" in said
            assert b'knote_connections_closed_total{reason="idle"} 5.0\n' in said
            assert b'knote_connections_closed_total{reason="reset"} 1.0\n' in said
            server.stop()
        admin.close()


def test_sums_and_what_stays() -> None:
    one = Report(2, 1, 10, 20, {"proxy": 1}, {"client": 1}, [1] * (len(LATE) + 1), 0.5, 100, 7, 99, 1.5, 8.0)
    both = total([one, one])
    assert (both.accepted, both.open, both.sent, both.rss, both.uptime) == (4, 2, 40, 200, 8.0)
    assert (both.refused, both.closed, both.lag) == ({"proxy": 2}, {"client": 2}, [2] * (len(LATE) + 1))
    assert Report(**one.json()) == one
    stays = one.lasting()
    assert (stays.accepted, stays.open, stays.rss, stays.cpu, stays.uptime) == (2, 0, 0, 0.0, 0.0)


def test_only_this_machine_unless_said(tmp_path: Path) -> None:
    with running() as server:
        with pytest.raises(AdminError, match="say --admin-anywhere"):
            Admin(server.kqueue, "0.0.0.0:0", alone(server))
        for where in ("127.0.0.1:0", f"unix:{tmp_path}/admin"):
            Admin(server.kqueue, where, alone(server)).close()
        Admin(server.kqueue, "0.0.0.0:0", alone(server), anywhere=True).close()
        with pytest.raises(OSError):
            Admin(server.kqueue, "192.0.2.1:1", alone(server), anywhere=True)


@pytest.mark.parametrize("name", ["h11", "prometheus_client"])
def test_without_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("knote.apps.metrics", "knote.apps.page"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    with running() as server, pytest.raises(AdminError, match=r"pip install 'knote\[metrics\]'"):
        Admin(server.kqueue, "127.0.0.1:0", alone(server))


def page_of(server: Serving) -> tuple[str, int]:
    """Where the pages of a command are, which it says."""
    (said,) = [line for line in server.lines if line.startswith("Metrics and health: ")]
    host, _, port = said.removeprefix("Metrics and health: ").partition(",")[0].rpartition(":")
    return host, int(port)


def fetched(where: tuple[str, int], path: str) -> tuple[int, str]:
    """Status and body."""
    connection = http.client.HTTPConnection(*where, timeout=SOON)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("words", [[], ["--workers", "1"]], ids=["alone", "with a worker"])
def test_the_command_says_no_before_it_drains(words: list[str]) -> None:
    """SIGTERM: not ready, and still open; a second one ends the delay."""
    with serving("--admin", "127.0.0.1:0", "--drain-delay", "60", "--drain-quiet", "0", *words) as server:
        where = page_of(server)
        assert fetched(where, "/readyz") == (200, "ready\n")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: fetched(where, "/readyz")[0] == 503)
        assert fetched(where, "/healthz")[0] == 200
        with server.client() as sock:  # from whoever has not heard of it yet
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"X"
        assert flat(parse(fetched(where, "/metrics")[1]))["knote_connections_accepted_total"] == 1
        assert server.stop(signal.SIGTERM) == 0


def workers(master: int) -> list[int]:
    """Its children."""
    return [int(word) for word in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def there(said: dict[str, float]) -> set[str]:
    """Which workers are told of."""
    return set(re.findall(r"knote_worker_connections\{worker=(\w+)\}", " ".join(said)))


def test_a_master_adds_up() -> None:
    """Over its workers, and those that have ended, however they did."""
    with serving("--admin", "127.0.0.1:0", "--workers", "2", "--drain-quiet", "0") as server:
        where = page_of(server)

        def said() -> dict[str, float]:
            return flat(parse(fetched(where, "/metrics")[1]))

        def talk(count: int) -> None:
            for _ in range(count):
                with server.client() as sock:
                    sock.sendall(b"x" * 10)
                    assert exactly(sock, 10) == b"X" * 10

        talk(10)
        # Who does not answer within a second is left out.
        wait_until(lambda: there(said()) == {"0", "1"})
        wait_until(lambda: said().get("knote_connections_closed_total{reason=client}") == 10)
        assert said()["knote_received_bytes_total"] == 100
        before = set(workers(server.process.pid))
        server.process.send_signal(signal.SIGHUP)  # two new ones take over, whose counts begin at nothing
        wait_until(lambda: not before & set(workers(server.process.pid)), 4 * SOON)
        talk(5)
        wait_until(lambda: said().get("knote_connections_closed_total{reason=client}") == 15)
        for pid in workers(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: there(said()) == {"0", "1"}, 4 * SOON)
        after = said()
        assert after["knote_connections_closed_total{reason=client}"] == 15
        assert after["knote_received_bytes_total"] == 150
        assert server.stop() == 0
