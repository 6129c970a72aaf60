"""Requests of knote.aio by each carrier, and a server, in acts that are repeated while their calls fail."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from contextlib import ExitStack
from typing import Any, ClassVar

from knote import aio
from knote._kernel.stream import send_list, shut
from knote.apps.server import Server
from tests.engines.scenes import SOON, Scene


class Requests(Scene):
    """Reads and a write of a file that are handed to whoever carries requests out."""

    CARRIER: ClassVar[str] = ""

    def set(self) -> None:
        os.environ["KNOTE_AIO"] = self.CARRIER
        self.stack.callback(os.environ.pop, "KNOTE_AIO")
        file, path = tempfile.mkstemp()
        self.stack.callback(os.close, file)
        os.unlink(path)
        os.write(file, b"0123456789" * 10)
        self.requests = [aio.Request.read(file, 10, 10 * number) for number in range(6)]
        self.requests.append(aio.Request.write(file, b"x", 99))
        self.got: list[Any] = []

    def act(self) -> None:
        aio.submit(self.kq, self.requests)
        self.got += self.kq.control(None, 8, SOON)

    def after(self, refused: OSError | None) -> None:
        """Each is over once, with what it was for or with the errno of the refusal, and can be asked again."""
        self.finish()
        assert len({id(event.udata) for event in self.got}) == len(self.got)
        assert {id(event.udata) for event in self.got} == {id(one) for one in self.requests if not self.idle(one)}
        again = [one for one in self.requests if self.idle(one) or one.error()]
        aio.submit(self.kq, again)
        self.got.clear()
        self.finish()
        assert len(self.got) == len(again)
        assert [request.result() for request in self.requests] == [10] * 6 + [1], self.requests

    @staticmethod
    def idle(request: aio.Request) -> bool:
        """It was never submitted."""
        try:
            request.error()
        except ValueError:
            return True
        return False

    def finish(self) -> None:
        end = time.monotonic() + SOON
        while not all(self.idle(one) or one.done for one in self.requests):
            assert time.monotonic() < end, self.requests
            self.got += self.kq.control(None, 8, 0.1)
        self.got += self.kq.control(None, 8, 0)


class ByRing(Requests):
    CARRIER = "io_uring"
    NEEDS = ("io_uring",)


class ByLibrary(Requests):
    CARRIER = "posix"
    NEEDS = ("posix",)


class ByThreads(Requests):
    CARRIER = "threads"


class Served(Scene):
    """A server with clients: one that a failure hits may be dropped, and the others are served."""

    FOR_GOOD = False

    DRIVER: ClassVar[str | None] = None
    CLIENTS: ClassVar[int] = 3

    def __init__(self, engine: str) -> None:
        self.stack = ExitStack()
        self.said: list[str] = []
        driver = self.DRIVER or engine
        self.server = self.stack.enter_context(Server(service="upper", engine=driver, tell=self.said.append))
        self.answers: list[bytes] = []
        self.clients = threading.Thread(target=self.ask)

    def ask(self) -> None:
        for _ in range(self.CLIENTS):
            answer = b""
            try:
                with socket.create_connection(self.server.address[:2], timeout=SOON) as sock:
                    sock.sendall(b"hello")
                    answer = sock.recv(100)
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(1)
            except OSError:
                pass
            self.answers.append(answer)
        self.server.stop()

    def act(self) -> None:
        self.clients.start()
        self.server.run()

    def after(self, refused: OSError | None) -> None:
        if refused:
            self.server.close()
        self.clients.join()
        assert set(self.answers) <= {b"HELLO", b""}
        assert refused or self.several or self.answers.count(b"HELLO") >= self.CLIENTS - 1, self.answers


class ServedByRing(Served):
    DRIVER = "ring"
    NEEDS = ("a server's ring",)


class Sent(Scene):
    """What a server does to a stream when its answer is in parts, and when that was the last."""

    def set(self) -> None:
        self.pair_ = self.pair()
        self.done = 0

    def act(self) -> None:
        fd = self.pair_.fd_a
        for step in (lambda: send_list(fd, [b"ab", b"cd"], 0), lambda: shut(fd, socket.SHUT_WR))[self.done :]:
            rc = step()
            if rc < 0:
                raise OSError(-rc, os.strerror(-rc))
            self.done += 1

    def after(self, refused: OSError | None) -> None:
        self.act()
        assert [self.pair_.b.recv(10), self.pair_.b.recv(10)] == [b"abcd", b""]


SCENES: tuple[type[Scene], ...] = (ByRing, ByLibrary, ByThreads, Served, ServedByRing, Sent)
