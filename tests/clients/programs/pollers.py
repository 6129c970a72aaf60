"""Clients whose own tests are not on PyPI, or leave the poller out: one exchange through the poller of each.

An echo server and its client, nonblocking, in one thread, with nothing but the poller to wait by.
"""

import os
import signal
import socket
import subprocess
import sys

import pytest

SENT = bytes(range(256)) * 4000
"""More than the buffers of a connection hold, so that both sides wait for WRITE, too."""


class Kombu:
    """What celery's workers wait on."""

    def __init__(self):
        from kombu.utils import eventio

        self.poller, self.read, self.write = eventio._kqueue(), eventio.READ, eventio.WRITE

    def set(self, fd, read, write):
        self.poller.unregister(fd)
        if read or write:
            self.poller.register(fd, read * self.read | write * self.write)

    def wait(self):
        for fd, mask in self.poller.poll(5):
            yield fd, mask & self.read, mask & self.write

    def close(self):
        self.poller.close()


class Mitogen:
    """What Ansible's mitogen strategy waits on."""

    def __init__(self):
        import mitogen.parent

        self.poller = mitogen.parent.KqueuePoller()

    def set(self, fd, read, write):
        (self.poller.start_receive if read else self.poller.stop_receive)(fd, *[(fd, "r")][:read])
        (self.poller.start_transmit if write else self.poller.stop_transmit)(fd, *[(fd, "w")][:write])

    def wait(self):
        for fd, way in list(self.poller.poll(5)):
            yield fd, way == "r", way == "w"

    def close(self):
        self.poller.close()


class Pika:
    """The loop of an AMQP connection: handlers, and a wake-up by a socket pair of its own."""

    def __init__(self):
        from pika.adapters import select_connection as module

        self.events = module.PollEvents
        self.poller = module.KQueuePoller(lambda: 5, lambda: None)
        self.poller.activate_poller()
        self.known, self.came = {}, []

    def set(self, fd, read, write):
        mask = read * self.events.READ | write * self.events.WRITE
        if fd in self.known and mask:
            self.poller.update_handler(fd, mask)
        elif fd in self.known:
            self.poller.remove_handler(fd)
            del self.known[fd]
        elif mask:
            self.poller.add_handler(fd, lambda fd, came: self.came.append((fd, came)), mask)
            self.known[fd] = mask

    def wait(self):
        self.came.clear()
        self.poller.poll()
        for fd, mask in list(self.came):
            yield fd, mask & self.events.READ, mask & self.events.WRITE

    def close(self):
        self.poller.deactivate_poller()
        self.poller.close()


class Registering:
    """Those that know add, modify and remove, and poll()'s bits."""

    def __init__(self, poller, add, modify, remove, poll, timeout=5):
        self.poller, self.known = poller, set()
        self.add, self.modify, self.remove, self.poll, self.timeout = add, modify, remove, poll, timeout

    read, write = 1, 4

    def set(self, fd, read, write):
        mask = read * self.read | write * self.write
        if fd in self.known and mask:
            self.modify(fd, mask)
        elif fd in self.known:
            self.remove(fd)
            self.known.remove(fd)
        elif mask:
            self.add(fd, mask)
            self.known.add(fd)

    def wait(self):
        for fd, mask in self.poll(self.timeout):
            yield fd, mask & self.read, mask & self.write

    def close(self):
        self.poller._kqueue.close()


def shadowsocks():
    from shadowsocks.eventloop import KqueueLoop

    loop = KqueueLoop()
    names = [
        getattr(loop, new, None) or getattr(loop, old)
        for new, old in (("register", "add_fd"), ("modify", "modify_fd"), ("unregister", "remove_fd"))
    ]
    return Registering(loop, *names, loop.poll)


@pytest.fixture(params=[Kombu, Mitogen, Pika, shadowsocks], ids=lambda make: make.__name__.lower())
def poller(request):
    made = request.param()
    yield made
    made.close()


def both_ways(poller, a, b):
    """Everything from a to b, and back as it comes."""
    out, on_the_way, back, received = memoryview(SENT), bytearray(), bytearray(), 0
    for sock in (a, b):
        sock.setblocking(False)
    poller.set(a.fileno(), 1, 1)
    poller.set(b.fileno(), 1, 0)
    rounds = 0
    while len(back) < len(SENT):
        rounds += 1
        assert rounds < 20000, "it turns in circles"
        for fd, read, write in list(poller.wait()):
            try:
                if fd == a.fileno() and write and out:
                    out = out[a.send(out) :]
                    if not out:
                        poller.set(fd, 1, 0)
                if fd == a.fileno() and read:
                    back += a.recv(65536)
                if fd == b.fileno() and read:
                    data = b.recv(65536)
                    received += len(data)
                    on_the_way += data
                    poller.set(fd, 1, 1)
                if fd == b.fileno() and write and on_the_way:
                    del on_the_way[: b.send(on_the_way)]
                    poller.set(fd, 1, 1 if on_the_way else 0)
            except BlockingIOError:
                pass
    assert (bytes(back), received) == (SENT, len(SENT))


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_megabyte_comes_back(poller, kind):
    if kind == "unix":
        a, b = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            a = socket.create_connection(listener.getsockname())
            b, _ = listener.accept()
    with a, b:
        both_ways(poller, a, b)


def test_the_end_is_read(poller):
    a, b = socket.socketpair()
    with b:
        poller.set(b.fileno(), 1, 0)
        a.close()
        assert any(fd == b.fileno() and read for fd, read, _write in poller.wait())
        assert b.recv(1) == b""
        poller.set(b.fileno(), 0, 0)


def test_psutil_waits_for_a_child():
    """psutil/_psposix.py: PROC with NOTE_EXIT, ONESHOT, a new queue for each wait."""
    from psutil import _psposix

    assert _psposix.can_use_kqueue()
    child = subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read(); sys.exit(7)"], stdin=-1)
    with pytest.raises(_psposix.TimeoutExpired):
        _psposix.wait_pid_kqueue(child.pid, 0)
    child.stdin.close()
    assert _psposix.wait_pid_kqueue(child.pid, 30) == 7
    child.returncode = 7
    assert _psposix.wait_pid_kqueue(child.pid, 0) is None  # gone: the fallback says so


def test_psutil_waits_for_a_child_that_is_killed():
    from psutil import _psposix

    child = subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=-1)
    os.kill(child.pid, signal.SIGKILL)
    assert _psposix.wait_pid_kqueue(child.pid, 30) == -signal.SIGKILL
    child.returncode = -signal.SIGKILL
    child.stdin.close()


def test_kombu_watches_a_file(tmp_path):
    """watch_file(): VNODE, as celery's autoreload used it."""
    from kombu.utils import eventio

    poller, told = eventio._kqueue(), []
    poller.on_file_change = told.extend
    path = tmp_path / "module.py"
    path.write_bytes(b"")
    with path.open("rb") as watched:
        poller.watch_file(watched.fileno())
        path.write_bytes(b"import this")
        poller.poll(5)
        assert {event.ident for event in told} == {watched.fileno()}
        poller.unwatch_file(watched.fileno())
        path.write_bytes(b"")
        assert list(poller.poll(0)) == []
    poller.close()


def test_netius_serves():
    """netius/base/poll.py: READ and WRITE with EV_CLEAR, told apart by udata."""
    import netius

    poll = netius.KqueuePoll()
    poll.open(timeout=5)
    a, b = socket.socketpair()
    with a, b:
        poll.sub_read(b)
        assert poll.poll() == ([], [b], [])  # there is room, once
        a.send(b"x")
        assert poll.poll()[0] == [b]
        poll.timeout = 0
        assert poll.poll() == ([], [], [])
        a.close()
        poll.timeout = 5
        reads, _writes, errors = poll.poll()
        assert b in reads + errors
        poll.unsub_all(b)
    poll.close()
