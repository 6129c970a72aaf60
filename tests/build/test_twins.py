"""Each .pyx of _kernel has an interpreted twin with the same public face.

The twin is also the stub that checkers read, so a difference is a lie to every caller.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.build import sources
from tests.build.sources import Function

PYX = sources.files(".pyx")

every_pyx = pytest.mark.parametrize("pyx", PYX, ids=sources.names(PYX))


def public(table: dict[str, Function]) -> dict[str, list[str]]:
    return {name: one.parameters for name, one in table.items() if not name.startswith("_")}


def test_only_the_kernel_room_has_pyx() -> None:
    assert PYX
    assert {path.parent for path in PYX} == {sources.package() / "_kernel"}


@every_pyx
def test_the_twin_has_the_same_functions(pyx: Path) -> None:
    compiled, twin = sources.cython(pyx), sources.python(pyx.with_suffix(".py"))
    assert public(compiled.functions) == public(twin.functions)


@every_pyx
def test_the_twin_has_the_same_classes_and_methods(pyx: Path) -> None:
    compiled, twin = sources.cython(pyx), sources.python(pyx.with_suffix(".py"))
    declared = sources.cython(pyx.with_suffix(".pxd")) if pyx.with_suffix(".pxd").exists() else compiled

    def face(name: str) -> dict[str, list[str]]:
        # An inline method has its body in the .pxd.
        extra = declared.classes[name].methods if name in declared.classes else {}
        return public(extra | compiled.classes[name].methods)

    ours = {name: face(name) for name in compiled.classes if not name.startswith("_")}
    theirs = {
        name: public(one.methods)
        for name, one in twin.classes.items()
        if not name.startswith("_") and not {"Structure", "Union"} & set(one.bases)  # C structs in ctypes
    }
    assert ours == theirs


@every_pyx
def test_what_the_pxd_declares_exists_in_the_twin(pyx: Path) -> None:
    """The readable attributes, too: the interpreted callers name them."""
    pxd = pyx.with_suffix(".pxd")
    if not pxd.exists():
        return
    twin = sources.python(pyx.with_suffix(".py"))
    for line in pxd.read_text().splitlines():
        words = line.split()
        if words[:2] in (["cdef", "readonly"], ["cdef", "public"]):
            name = words[-1]
            assert any(name in one.attributes or name in one.methods for one in twin.classes.values()), (
                f"{pxd.name}: {line.strip()}: not in {pyx.stem}.py"
            )
