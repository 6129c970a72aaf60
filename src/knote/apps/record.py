"""What has become of the files of a copy, as far as it has come."""

from __future__ import annotations

from time import monotonic

TYPE_CHECKING = False  # see inlet.py
if TYPE_CHECKING:
    from collections.abc import Callable


class Record:
    """One file.  size: bytes to come when it began, None where nobody can tell; way: how they moved."""

    __slots__ = ("_count", "_ended", "_since", "error", "name", "size", "way")

    def __init__(self, name: str, size: int | None = None) -> None:
        self.name = name
        self.size = size
        self.way = ""
        self.error: OSError | None = None
        self._count: int | Callable[[], int] = 0
        self._since = monotonic()
        self._ended: float | None = None

    def begins(self, count: Callable[[], int]) -> None:
        """count() says how many bytes have gone."""
        self._count = count
        self._since = monotonic()

    def ends(self, way: str) -> None:
        """What count() says now stays."""
        self._count = self.bytes
        self._ended = monotonic()
        self.way = way

    @property
    def bytes(self) -> int:
        """That have gone."""
        return self._count if isinstance(self._count, int) else self._count()

    @property
    def seconds(self) -> float:
        """Since it began, to its end."""
        return (monotonic() if self._ended is None else self._ended) - self._since

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended is not None


class Tally:
    """All files of a copy.  size: bytes of all of them, None where nobody can tell."""

    __slots__ = ("_ended", "_since", "records", "size")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.size: int | None = None
        self._since = monotonic()
        self._ended: float | None = None

    @property
    def bytes(self) -> int:
        """That have gone."""
        return sum(record.bytes for record in self.records)

    @property
    def seconds(self) -> float:
        """Since the first file, to the end."""
        return (monotonic() if self._ended is None else self._ended) - self._since

    def ends(self) -> None:
        """No more comes."""
        self._ended = monotonic()
