"""HOST:PORT."""

from __future__ import annotations

import pytest

from knote.apps import address


@pytest.mark.parametrize(
    ("text", "parts"),
    [("127.0.0.1:7000", ("127.0.0.1", "7000")), ("[::1]:7000", ("::1", "7000")), (":7000", ("", "7000")),
     ("example.org:http", ("example.org", "http"))],
)  # fmt: skip
def test_it_is_read(text: str, parts: tuple[str, str]) -> None:
    assert address.split(text) == parts


@pytest.mark.parametrize("text", ["", "localhost", "localhost:", "::1", "[::1]", "::1:7000"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(address.AddressError):
        address.split(text)


def test_it_is_written() -> None:
    assert address.join("::1", 7000) == "[::1]:7000"
    assert address.text(("127.0.0.1", 7000)) == "127.0.0.1:7000"
    assert address.text(("::1", 7000, 0, 0)) == "[::1]:7000"
    assert address.text("/run/s") == "/run/s"
    assert address.text(("::ffff:192.0.2.1", 7000, 0, 0)) == "192.0.2.1:7000"
    assert address.named(("::1", 7000, 0, 0)) == "[::1]:7000"
    assert address.named("/run/s") == "unix:/run/s"
    assert address.named(b"\0name") == "unix:@name"


@pytest.mark.parametrize("port", ["-1", "65536", "http", ""])
def test_a_port_to_listen_on(port: str) -> None:
    assert address.number("7000") == 7000
    with pytest.raises(address.AddressError):
        address.number(port)
