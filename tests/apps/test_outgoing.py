"""What a client is owed: whatever is taken of it, the bytes come in their order."""

from __future__ import annotations

import random

from knote.apps.outgoing import Outgoing

SMALL, TOGETHER = 4096, 65536
"""As the module has them, which a compiled one does not show."""


def pieces(seed: int) -> list[bytes]:
    """Of every size, and no two alike."""
    some = random.Random(seed)
    sizes = [1, 100, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, TOGETHER - 1, TOGETHER, TOGETHER + 1, 2 * TOGETHER]
    return [some.randbytes(some.choice(sizes)) for _ in range(40)]


def test_what_is_sent_by_one_request_is_no_longer_one_part() -> None:
    """A service that writes 10 pages of 6000 bytes: one send, and not ten with a turn for each."""
    out = Outgoing()
    parts = [bytes([number]) * 6000 for number in range(15)]
    for part in parts:
        out.push(part)
    assert out.head() == b"".join(parts[:10])
    assert (out.size, out.skipped()) == (90_000, 0)
    out.taken(6001)
    assert (out.head(), out.skipped(), out.size) == (b"".join(parts[:10]), 6001, 83_999)
    out.taken(53_999)
    assert (out.head(), out.skipped()) == (b"".join(parts[10:]), 0)
    out.taken(30_000)
    assert not out.size


def test_every_byte_in_its_order() -> None:
    for seed in range(20):
        some, out, sent = random.Random(seed), Outgoing(), b""
        rest = pieces(seed)
        wanted = b"".join(rest)
        while rest or out.size:
            for _ in range(min(len(rest), some.randrange(4))):
                out.push(rest.pop(0))
            if out.size:
                head = out.head()
                assert len(head) <= max(TOGETHER, 2 * TOGETHER)
                there = head[out.skipped() :]
                took = some.choice([1, len(there) // 2, len(there)])
                sent += there[:took]
                out.taken(took)
        assert sent == wanted
