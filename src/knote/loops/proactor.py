"""CPython's proactor loop for Windows, on knote.iocp.

    asyncio.Runner(loop_factory=ProactorEventLoop).run(main())

IocpProactor and the loop under this one are asyncio.windows_events and asyncio.proactor_events, as they are.
Added is what Linux has and Windows has not: UNIX sockets and handlers of signals.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
from asyncio import proactor_events, sslproto, unix_events
from typing import TYPE_CHECKING, Any

from knote.loops.windows import Windows

modules = Windows()
"""The loader, which has windows_utils and windows_events."""
_windows_utils = modules.load("asyncio.windows_utils")
_windows_events = modules.load("asyncio.windows_events")
_Unix: Any = unix_events.SelectorEventLoop

if TYPE_CHECKING:
    from asyncio import Future, Handle
    from asyncio.proactor_events import BaseProactorEventLoop as _Loop

    class _Proactor:
        def __init__(self, concurrency: int = ...) -> None: ...

    class _Transport:
        _sock: Any

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...
        def _call_connection_lost(self, exc: BaseException | None) -> None: ...

    class _Socket(_Transport):
        pass

    class _Datagram(_Transport):
        pass
else:
    _Loop = _windows_events.ProactorEventLoop
    _Proactor = _windows_events.IocpProactor
    _Transport = proactor_events._ProactorBasePipeTransport
    _Socket = proactor_events._ProactorSocketTransport
    _Datagram = proactor_events._ProactorDatagramTransport


class _Gone(socket.socket):
    """A socket that may have lost its peer before anybody looked at it.

    Windows still knows whom it was connected to, and can shut it down.  Linux says ENOTCONN, which asyncio would
    take for the failure of its listening socket, and close that."""

    __slots__ = ()

    def getpeername(self) -> Any:
        try:
            return super().getpeername()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
        return {socket.AF_INET: ("0.0.0.0", 0), socket.AF_INET6: ("::", 0, 0, 0)}.get(self.family, "")


class _Closing:
    """A socket on its way to close(): shutting down what is not connected, as datagrams' are not, is no error."""

    __slots__ = ("_sock",)

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def fileno(self) -> int:
        number: int = self._sock.fileno()
        return number

    def shutdown(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def close(self) -> None:
        self._sock.close()


class _Lost(_Transport):
    def _call_connection_lost(self, exc: BaseException | None) -> None:
        if self._sock is not None:
            self._sock = _Closing(self._sock)
        super()._call_connection_lost(exc)


class _SocketTransport(_Lost, _Socket):
    pass


class _DatagramTransport(_Lost, _Datagram):
    pass


class IocpProactor(_Proactor):
    """asyncio.windows_events.IocpProactor."""

    def _get_accept_socket(self, family: int) -> socket.socket:
        accepted = _Gone(family)
        accepted.settimeout(0)
        return accepted


class ProactorEventLoop(_Loop):
    """asyncio.windows_events.ProactorEventLoop, UNIX sockets, add_signal_handler().

    proactor: an IocpProactor, a new one by default.  There is no add_reader() and no add_writer(), as on Windows:
    what waits for readiness is no proactor.  Threads: as any asyncio loop.
    """

    create_unix_connection = _Unix.create_unix_connection
    create_unix_server = _Unix.create_unix_server
    _check_signal = _Unix._check_signal
    _handle_signal = _Unix._handle_signal
    _process_self_data = _Unix._process_self_data
    add_signal_handler = _Unix.add_signal_handler

    # The stubs leave these out.
    if TYPE_CHECKING:
        _csock: Any
        _self_reading_future: Any

    def __init__(self, proactor: Any = None) -> None:
        self._signal_handlers: dict[int, Handle] = {}
        self._unix_server_sockets: dict[Any, int] = {}
        super().__init__(proactor or IocpProactor())

    def remove_signal_handler(self, sig: int) -> bool:
        """As asyncio's UNIX loops'.  The last handler does not take the wake-up descriptor along, which Ctrl-C
        needs while the loop runs."""
        removed: bool = _Unix.remove_signal_handler(self, sig)
        if removed and not self._signal_handlers and self._csock is not None:
            signal.set_wakeup_fd(self._csock.fileno())
        return removed

    def close(self) -> None:
        """Also removes the handlers of signals."""
        super().close()
        if threading.current_thread() is threading.main_thread():
            for sig in list(self._signal_handlers):
                self.remove_signal_handler(sig)

    def _make_socket_transport(
        self, sock: Any, protocol: Any, waiter: Any = None, extra: Any = None, server: Any = None
    ) -> Any:
        return _SocketTransport(self, sock, protocol, waiter, extra, server)

    def _make_datagram_transport(
        self, sock: Any, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> Any:
        return _DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _make_ssl_transport(
        self, rawsock: Any, protocol: Any, sslcontext: Any, waiter: Any = None, *, server_side: bool = False,
        server_hostname: str | None = None, extra: Any = None, server: Any = None, **timeouts: Any,
    ) -> Any:  # fmt: skip
        ssl_protocol: Any = sslproto.SSLProtocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts
        )
        _SocketTransport(self, rawsock, ssl_protocol, extra=extra, server=server)
        return ssl_protocol._app_transport

    def _loop_self_reading(self, f: Future[bytes] | None = None) -> None:
        # What wakes the loop are zeros, and the numbers of signals that the interpreter wrote.
        if f is not None and self._signal_handlers and not f.cancelled() and f.exception() is None:
            self._process_self_data(f.result())
        super()._loop_self_reading(f)  # type: ignore[misc]

    def _stop_serving(self, sock: Any) -> None:
        # Since 3.13 a UNIX server removes its socket from the file system.  unix_events does it in a method that
        # is bound to its class by super(), so this one is written again.
        inode = self._unix_server_sockets.pop(sock, None)
        path = None if inode is None else sock.getsockname()
        super()._stop_serving(sock)  # type: ignore[misc]
        if path is not None:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
