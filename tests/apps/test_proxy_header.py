"""The header of the PROXY protocol: what it says, wherever it is cut, and what is none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knote.apps.proxy import Proxies
from knote.apps.proxy_header import LONGEST_BLOCK, ProxyError, read
from tests.apps.proxy_headers import BAD, GOOD, SIGNATURE


@pytest.mark.parametrize("name", GOOD)
def test_what_it_says(name: str) -> None:
    data, client = GOOD[name]
    for rest in (b"", b"x", b"\r\n", data):
        found = read(data + rest)
        assert found is not None
        assert (found.length, found.client) == (len(data), client)


@pytest.mark.parametrize("name", GOOD)
def test_a_part_of_it_is_waited_for(name: str) -> None:
    data, _client = GOOD[name]
    assert [read(data[:cut]) for cut in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize("name", BAD)
def test_what_is_none(name: str) -> None:
    data, words = BAD[name]
    with pytest.raises(ProxyError, match=re.escape(words)):
        read(data)


STARTS = [b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]


@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_garbage_is_refused_or_waited_for_within_bounds(start: bytes, data: bytes) -> None:
    """Nothing but ProxyError leaves it, and what it waits for ends."""
    data = start + data
    try:
        found = read(data)
        if found is None:
            assert len(data) < LONGEST_BLOCK
            found = read(data + bytes(LONGEST_BLOCK))
        assert found is not None
        assert found.length <= LONGEST_BLOCK
    except ProxyError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("words", "trusted", "not_trusted"),
    [
        (["192.0.2.7"], ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8", "::1", ""]),
        (["10.0.0.0/8", "fd00::/8"], ["10.255.0.1", "::ffff:10.1.1.1", "fd00::1"], ["11.0.0.1", "fe80::1%lo"]),
        (["0.0.0.0/0"], ["1.2.3.4", "::ffff:1.2.3.4"], ["::1"]),
        (["::/0"], ["::1", "fe80::1%lo"], ["1.2.3.4"]),
        (["unix"], [], ["1.2.3.4", ""]),
    ],
    ids=str,
)
def test_who_is_trusted(words: list[str], trusted: list[str], not_trusted: list[str]) -> None:
    proxies = Proxies(words)
    for _ in range(2):  # the second answer is the kept one
        assert [host for host in trusted + not_trusted if proxies.trusts(host, False)] == trusted
    assert proxies.trusts("", True) is ("unix" in words)


def test_verdicts_of_strangers_are_not_kept_without_end() -> None:
    proxies = Proxies(["10.0.0.0/8"])
    for number in range(5000):
        assert not proxies.trusts(f"192.0.{number >> 8}.{number & 255}", False)
    assert len(proxies._verdicts) <= 1024
    assert proxies.trusts("10.0.0.1", False)


@pytest.mark.parametrize(
    ("word", "words"),
    [("10.0.0.1/8", "write 10.0.0.0/8 for the net"), ("example.org", "is no ADDRESS"),
     ("10.0.0.0/33", "is no ADDRESS"), ("", "is no ADDRESS"),
     ("10.0.0.1:80", "is no ADDRESS"), ("unix:/x", "is no ADDRESS")],
)  # fmt: skip
def test_words_that_are_no_net(word: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Proxies([word])
