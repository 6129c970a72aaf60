"""TLS between the socket and the service, by the standard library's ssl."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from knote.apps import pem
from knote.apps.states import SILENT, TLS

_WHOLE = 1 << 16


class TlsError(ValueError):
    """A file cannot be used; the text says which, and why.  of: what it was to be, as Tls() names it."""

    def __init__(self, text: str, of: str = "certificate") -> None:
        super().__init__(text)
        self.of = of


class Tls:
    """What every connection of a server speaks: TLS 1.2 or later, as ssl.create_default_context() has it for
    servers.

    certificate: a PEM file with the chain, the server's own first; key: its private key, in the same file when
    None. clients: a PEM file of authorities; a client must show a certificate of one of them.
    Raises TlsError.
    """

    def __init__(self, certificate: str | Path, key: str | Path | None = None, clients: str | Path | None = None):
        self._files = (certificate, key, clients)
        self.context = self._made()

    def _made(self) -> ssl.SSLContext:
        certificate, key, clients = self._files
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A client that asks for its keys to be changed again and again would cost us all the work (CVE-2011-1473).
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        try:
            # A key with a pass phrase would stop and ask for it on the terminal.
            context.load_cert_chain(certificate, key, password=_no_password)
        except TlsError:
            raise
        except (OSError, ValueError) as error:
            of, file, words = pem.refused(error, certificate, key, "--tls-key")
            raise TlsError(f"TLS: {file}: {words}", of) from None
        if clients is not None:
            try:
                context.load_verify_locations(clients)
            except (OSError, ValueError) as error:
                raise TlsError(f"TLS: {clients}: {pem.refused_authorities(error, clients)}", "clients") from None
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def reload(self) -> None:
        """Read the files again: for connections from now on.  TlsError when they cannot be used; then those of
        before stay in use."""
        self.context = self._made()

    def wrap(self, connection: Any) -> Session:
        """TLS for one connection."""
        return Session(self.context, connection)


def _no_password() -> str:
    raise TlsError("TLS: the private key has a pass phrase: a server needs one without", "key")


class Session:
    """One connection's TLS, in memory: bytes of the socket go in and come out, and nothing waits."""

    def __init__(self, context: ssl.SSLContext, connection: Any) -> None:
        self._connection = connection
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._greeted = False
        self._since = connection.seen

    @property
    def tls(self) -> ssl.SSLObject:
        """For version(), cipher(), getpeercert()."""
        return self._tls

    def received(self, data: bytes) -> None:
        """Bytes of the socket have come."""
        connection = self._connection
        self._in.write(data)
        while not connection.is_closed():
            plain = self._next()
            if plain is None:
                return
            if not plain:
                connection.ended()
                return
            connection.plain(plain)  # what the service raises is its own, also where that is TLS of its own

    def _next(self) -> bytes | None:
        """Bytes as the client meant them; b"" at its end; None when more has to come first, or all is over."""
        connection = self._connection
        try:
            if not self._greeted:
                self._tls.do_handshake()
                self._greeted = True
                self._flush()
                connection.driver.server.greet(connection)
                if connection.is_closed():
                    return None
            return self._tls.read(_WHOLE)
        except ssl.SSLWantReadError:
            self._flush()
            if not self._greeted:  # half of a greeting is no first byte
                connection.seen = self._since
                connection.flags |= SILENT
            return None
        except ssl.SSLZeroReturnError:
            self._flush()
            return b""
        except ssl.SSLError:
            self._flush()  # the alert that says why
            connection.finish(TLS)
            return None

    def seal(self, data: Any) -> bytes:
        """What is to go out for these bytes, one at least."""
        self._tls.write(data)
        return self._out.read()

    def _flush(self) -> None:
        data = self._out.read()
        if data:
            self._connection.push(data)

    def ended(self) -> None:
        """The socket's end has come."""
        self._in.write_eof()

    def finish(self) -> None:
        """Say goodbye: what the client has is all there was."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # its goodbye has not come, and need not
        self._flush()
