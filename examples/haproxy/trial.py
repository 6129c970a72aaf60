#!/usr/bin/env python3
"""Under load one host dies and one is drained: whose replies are lost?  `cluster.sh ./trial.py` runs it.

Many clients connect to HAProxy, ask line after line, check every reply and end the connection.  Who served one
that lost something, HAProxy's log tells.  Prints what happened as JSON; the status is 0 if no reply was lost but
by connections of the host that died.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

CLUSTER = Path(os.environ.get("CLUSTER", "."))
WHERE = ("10.77.1.1", 7000)
CLIENTS = 24
LINES = 30
PATIENCE = 20.0
"""Seconds until what must happen counts as not happening."""
DIES, DRAINS, STAYS = "host1", "host2", "host3"


class Trial:
    """What the clients saw."""

    def __init__(self) -> None:
        self.over = False
        self.served: Counter[str] = Counter()
        """Connections that got all their replies, by host."""
        self.drained: list[str] = []
        """Of those, who was served by the host that is drained later."""
        self.replies = 0
        self.lost: dict[int, str] = {}
        """By the client's port: why."""
        self.strangers: list[str] = []
        """Greetings with an address that is not the client's."""

    async def client(self) -> None:
        """One after the other."""
        while not self.over:
            port = 0
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection(*WHERE)
                    try:
                        host, port = writer.get_extra_info("sockname")[:2]
                        await self.talk(reader, writer, f"{host}:{port}")
                    finally:
                        writer.close()
            except (OSError, EOFError, TimeoutError) as error:
                self.lost[port] = f"{type(error).__name__}: {error}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: str) -> None:
        """Raises EOFError when a reply does not come."""
        greeting = (await reader.readuntil()).decode().split()
        if greeting[2] != own:
            self.strangers.append(f"{own} was {greeting[2]}")
        for number in range(LINES):
            writer.write(b"line %d of %s\n" % (number, own.encode()))
            reply = await reader.readuntil()
            if reply != b"LINE %d OF %s\n" % (number, own.encode()):
                raise EOFError(f"another reply: {reply!r}")
            self.replies += 1
            await asyncio.sleep(0.005)  # a client that thinks
        writer.write_eof()
        if await reader.read():
            raise EOFError("more than was asked for")
        self.served[greeting[0]] += 1
        if greeting[0] == DRAINS:
            self.drained.append(own)

    async def until(self, what: str, true: Callable[[], object]) -> None:
        """Wait for it, under load."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise SystemExit(f"not within {PATIENCE:g} s: {what}") from None

    async def run(self) -> dict[str, object]:
        """The whole of it."""
        clients = [asyncio.create_task(self.client()) for _ in range(CLIENTS)]
        await self.until("every host serves", lambda: len(self.served) == 3)
        kill(DIES)
        await self.until("HAProxy has seen it", lambda: status(DIES).startswith("DOWN"))
        await self.more_from(DRAINS, STAYS)
        os.kill(pid(DRAINS), signal.SIGTERM)
        await self.until("HAProxy sends it nobody", lambda: status(DRAINS).startswith(("NOLB", "DOWN")))
        await self.until("it has ended", lambda: not alive(DRAINS))
        await self.more_from(STAYS)
        self.over = True
        await asyncio.gather(*clients)
        servers = by_port()
        lost = {port: servers.get(port, "nobody") for port in self.lost}
        return {
            "served": dict(self.served),
            "replies": self.replies,
            "lost": dict(Counter(lost.values())),
            "reasons": dict(Counter(self.lost.values())),
            "strangers": self.strangers,
            **ends(DRAINS, self.drained),
        }

    async def more_from(self, *hosts: str) -> None:
        """Until each of them has served more."""
        before = Counter(self.served)
        await self.until(f"{hosts} serve on", lambda: all(self.served[host] > before[host] + 3 for host in hosts))


def pid(host: str) -> int:
    """Of its server."""
    return int((CLUSTER / f"{host}.pid").read_text())


def alive(host: str) -> bool:
    """Whether its server is."""
    try:
        return Path(f"/proc/{pid(host)}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(host: str) -> None:
    """As if its power were cut: nobody hears of it any more, not even that its connections have ended."""
    subprocess.run(["ip", "-n", host, "link", "set", "eth0", "down"], check=True)
    os.kill(pid(host), signal.SIGKILL)


def status(host: str) -> str:
    """What HAProxy thinks of it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(CLUSTER / "haproxy.sock"))
        sock.sendall(b"show stat\n")
        said = b""
        while part := sock.recv(65536):
            said += part
    head, *rows = said.decode().lstrip("# ").splitlines()
    place = head.split(",").index("status")
    return next(row.split(",")[place] for row in rows if row.split(",")[1] == host)


def by_port() -> dict[int, str]:
    """Which host HAProxy gave each client to, from its log."""
    log = (CLUSTER / "haproxy.log").read_text()
    found = re.findall(r"^10\.77\.1\.2:(\d+) .* knote/(\S+) ", log, re.MULTILINE)
    return {int(port): host for port, host in found}


def ends(host: str, served: list[str]) -> dict[str, dict[str, int]]:
    """Why its connections ended, from its log: of *served*, and of all others.  Those were no client's of this
    trial (cluster.sh asks once whether HAProxy serves), or HAProxy gave them up before they served one."""
    events = map(json.loads, (CLUSTER / f"{host}.log").read_text().splitlines())
    why = [(event["peer"], event["why"]) for event in events if event["event"] == "close"]
    return {
        "ends": dict(Counter(word for peer, word in why if peer in served)),
        "other ends": dict(Counter(word for peer, word in why if peer not in served)),
    }


def main() -> int:
    """The status."""
    said = asyncio.run(Trial().run())
    print(json.dumps(said, indent=2))
    lost, found, others = said["lost"], said["ends"], said["other ends"]
    assert isinstance(lost, dict)
    assert isinstance(found, dict)
    assert isinstance(others, dict)
    # A server that drains ends nobody.  HAProxy may: what it has no patience for (500 ms to connect, 2 s for the
    # end) it resets, on a machine that stood still; a reply that this costs is among the lost ones.
    ended_by_others = "client" in found and {*found, *others} <= {"client", "reset"}
    return 0 if set(lost) <= {DIES} and ended_by_others and not said["strangers"] else 1


if __name__ == "__main__":
    sys.exit(main())
