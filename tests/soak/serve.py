"""`knote serve` for minutes: `python -m tests.soak.serve [--minutes 10] [--engine ring|epoll] [--json FILE]`.

Clients ask all the time and check every byte, while every 5 seconds something is done to the server: a worker is
killed by SIGKILL, SIGHUP brings new ones, or a worker is told to drain by SIGTERM.  A killed worker may lose its
own connections, nothing else may lose anything.  At the end all memory and every descriptor must be back.

A line every 10 seconds, a report at the end, and status 1 if something was lost or stays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.soak.asking import Load

MIB = 1 << 20
SERVICE = "tests.soak.telling:Telling"
EVERY = 5.0
"""Seconds between two things that are done to the server."""
ROW = 10.0
SETTLE = 45.0
"""Seconds for the end: the last workers that were told to end have had their time, and memory is given back."""
KEPT = 2 * MIB
"""A worker may keep so much more than a new one that has served once: pools and tables of their first size."""
PARTS = (0.5, 0.9, 0.99, 0.999, 1.0)


class Watched:
    """The server: the master and its workers."""

    def __init__(self, workers: int, engine: str | None, log: Path) -> None:
        command = [sys.executable, "-m", "knote", "serve", "--service", SERVICE, "--workers", str(workers)]
        if engine:
            command += ["--engine", engine]
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])
        self.wanted = workers

    def workers(self) -> list[int]:
        """All there are, new ones last; those that are told to end are among them."""
        pid = self.process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            return []
        return [int(word) for word in children.split()]

    def descriptors(self) -> dict[int, int]:
        """Open ones, by process."""
        return {pid: _count(pid) for pid in (self.process.pid, *self.workers())}

    def rss(self) -> dict[int, int]:
        """Bytes that are a process's own: what workers share counts for none of them."""
        return {pid: _private(pid) for pid in (self.process.pid, *self.workers())}


def _count(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0  # it has ended


def _private(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))


class Trouble:
    """What is done to the server, one after the other."""

    def __init__(self, target: Watched, load: Load, dice: random.Random) -> None:
        self._target = target
        self._load = load
        self._dice = dice
        self.done = {"SIGKILL": 0, "SIGHUP": 0, "drain": 0}

    def make(self) -> str:
        """The next; its name."""
        name = min(self.done, key=self.done.__getitem__)
        workers = self._target.workers()
        if name == "SIGHUP":
            self._target.process.send_signal(signal.SIGHUP)
        elif workers:
            worker = self._dice.choice(workers)
            if name == "SIGKILL":
                self._load.killed[worker] = time.monotonic()
            os.kill(worker, signal.SIGKILL if name == "SIGKILL" else signal.SIGTERM)
        self.done[name] += 1
        return name


def row(target: Watched, load: Load, start: float, done: list[str]) -> dict[str, Any]:
    """What the last seconds were like, printed."""
    times = load.counts.take()
    found = {
        "seconds": round(time.monotonic() - start, 1),
        "requests": len(times),
        "ms": {f"{part:g}": round(_part(times, part), 2) for part in PARTS},
        "lost": len(load.counts.lost),
        "killed": load.counts.killed,
        "workers": len(target.workers()),
        "private": sum(target.rss().values()),
        "descriptors": sum(target.descriptors().values()),
        "done": done,
    }
    spread = "  ".join(f"{value:7.2f}" for value in found["ms"].values())
    print(
        f"{found['seconds']:6.0f} s {found['requests']:7} answers  {spread} ms  lost {found['lost']}, with killed "
        f"workers {found['killed']}  {found['workers']} workers, {found['private'] / MIB:6.1f} MiB, "
        f"{found['descriptors']} descriptors  {' '.join(done)}",
        flush=True,
    )
    return found


def _part(times: list[float], share: float) -> float:
    return times[min(int(len(times) * share), len(times) - 1)] if times else 0.0


def quiet(target: Watched, load: Load, first: dict[int, int], fds: set[int]) -> list[str]:
    """What is not as it was, once all clients are gone; waits for it."""
    load.close()
    allowed = max(first.values()) + KEPT
    end = time.monotonic() + SETTLE
    while True:
        wrong = []
        workers = target.workers()
        if len(workers) != target.wanted:
            wrong.append(f"{len(workers)} workers, {target.wanted} wanted")
        rss, held = target.rss(), target.descriptors()
        for pid in workers:
            if rss.get(pid, 0) > allowed:
                wrong.append(f"worker {pid} keeps {rss[pid] / MIB:.1f} MiB, and may {allowed / MIB:.1f}")
            if held.get(pid) not in fds:
                wrong.append(f"worker {pid} has {held.get(pid)} descriptors, a new one {sorted(fds)}")
        if not wrong or time.monotonic() > end:
            return wrong
        time.sleep(0.5)


def measure(target: Watched, asked: argparse.Namespace) -> dict[str, Any]:
    """The whole soak: its report."""
    end = time.monotonic() + SETTLE
    while len(target.workers()) < target.wanted and time.monotonic() < end:
        time.sleep(0.05)
    first_load = Load(("127.0.0.1", target.port), 4 * target.wanted, asked.seed)
    first_load.run(time.monotonic() + 1.0)  # what is opened, and loaded, at the first need is there
    first_load.close()
    time.sleep(3.0)
    first, held = target.rss(), target.descriptors()
    del first[target.process.pid]
    master = held.pop(target.process.pid)
    fds = set(held.values())
    load = Load(("127.0.0.1", target.port), asked.clients, asked.seed)
    trouble = Trouble(target, load, random.Random(asked.seed))
    start = time.monotonic()
    rows, done, next_row, next_trouble = [], [], start + ROW, start + EVERY
    while (now := time.monotonic()) < start + asked.minutes * 60 and target.process.poll() is None:
        load.run(min(next_row, next_trouble, start + asked.minutes * 60))
        now = time.monotonic()
        load.look()
        if now >= next_trouble:
            done.append(trouble.make())
            next_trouble += EVERY
        if now >= next_row:
            rows.append(row(target, load, start, done))
            done, next_row = [], next_row + ROW
    lost = list(load.counts.lost)
    if target.process.poll() is not None:
        lost.append(f"the server has ended: {target.process.returncode}")
    stays = quiet(target, load, first, fds)
    if target.descriptors()[target.process.pid] != master:
        stays.append(f"the master has {target.descriptors()[target.process.pid]} descriptors, and had {master}")
    return {
        "minutes": asked.minutes, "seed": asked.seed, "engine": asked.engine, "clients": asked.clients,
        "workers": asked.workers, "done": trouble.done, "requests": load.counts.requests,
        "bytes": load.counts.bytes, "connections": load.counts.connections, "resets": load.counts.resets,
        "killed": load.counts.killed, "lost": lost, "stays": stays,
        "private": {"first": max(first.values()), "last": max(target.rss().values())}, "rows": rows,
    }  # fmt: skip


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--engine", help="as knote serve's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("build/soak-serve.json"), help="the report")
    asked = parser.parse_args()
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    target = Watched(asked.workers, asked.engine, asked.json.with_suffix(".log"))
    try:
        report = measure(target, asked)
    finally:
        target.process.terminate()
        status = target.process.wait(60)
    report["status"] = status
    asked.json.write_text(json.dumps(report, indent=1) + "\n")
    done = ", ".join(f"{count} x {name}" for name, count in report["done"].items())
    print(
        f"{report['requests']} answers, {report['bytes'] / MIB:.0f} MiB, all right; "
        f"{report['connections']} connections, {report['resets']} reset by their clients; {done}; with killed "
        f"workers {report['killed']} answers lost, otherwise {len(report['lost'])}; the server ended with {status}"
    )
    for wrong in (*report["lost"][:20], *report["stays"]):
        print(f"FAILED: {wrong}")
    print(f"{asked.json}, and what the server said: {target.log}")
    return 1 if report["lost"] or report["stays"] or status else 0


if __name__ == "__main__":
    sys.exit(main())
