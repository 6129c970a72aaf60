"""Classes that cannot be subclassed, as select's cannot."""

from __future__ import annotations

import contextlib
from typing import Any, NoReturn


def seal(cls: type[Any]) -> None:
    """Refuse subclasses of cls.  Compiled, its .pxd has said so already, and a type that is set in C takes no new
    attribute; interpreted, this is what says it."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"type '{cls.__module__}.{cls.__name__}' is not an acceptable base type")

    with contextlib.suppress(TypeError):
        setattr(cls, "__init_subclass__", classmethod(refuse))  # noqa: B010  # mypy knows only assignment by name
