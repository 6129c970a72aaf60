"""A compiled .py and the .pxd beside it tell the same story.

Cython finds some of the differences and stays silent about others: an attribute that the .pxd lacks
fails only when it is assigned, one that the .py lacks only wastes memory.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.build import sources
from tests.build.sources import Class, Module

HEADER = "# cython: annotation_typing=False"
PAIRS = sources.paired()

every_pair = pytest.mark.parametrize("py", PAIRS, ids=sources.names(PAIRS))


def lineage(name: str, path: Path) -> Iterator[Class]:
    """The declared class and its bases, through the cimports of each .pxd."""
    declared = sources.cython(path)
    if name not in declared.classes:
        return
    yield declared.classes[name]
    for base in declared.classes[name].bases:
        yield from lineage(base.split(".")[-1], home_of(base, path, declared))


def home_of(base: str, path: Path, declared: Module) -> Path:
    for module, names in declared.cimports:
        if base in names and module.startswith("knote."):
            return sources.package().joinpath(*module.split(".")[1:]).with_suffix(".pxd")
    return path


def test_there_is_something_to_compare() -> None:
    assert PAIRS


@every_pair
def test_the_header_keeps_annotations_from_becoming_c_types(py: Path) -> None:
    assert py.read_text().splitlines()[0] == HEADER


@every_pair
def test_the_py_imports_where_cython_is_not(py: Path) -> None:
    imported = {
        name
        for node in ast.walk(sources.tree(py))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not [name for name in imported if name.split(".")[0] == "cython"]


@every_pair
def test_every_assigned_attribute_is_declared(py: Path) -> None:
    pxd = py.with_suffix(".pxd")
    written = sources.python(py)
    for name, assigned in sources.assigned(py).items():
        declared = list(lineage(name, pxd))
        if not declared:
            continue  # a class that only the .py has stays an ordinary Python class
        known = set().union(*(one.attributes for one in declared))
        setters = {method for method, one in written.classes[name].methods.items() if one.setter}
        missing = assigned - known - setters
        assert not missing, f"{py.name}: {name} assigns {sorted(missing)}, which {pxd.name} does not declare"


@every_pair
def test_every_declared_attribute_exists(py: Path) -> None:
    pxd = py.with_suffix(".pxd")
    written = sources.python(py)
    for name, declared in sources.cython(pxd).classes.items():
        assert name in written.classes, f"{pxd.name} declares class {name}, {py.name} has none"
        missing = declared.attributes - written.classes[name].attributes
        assert not missing, f"{pxd.name}: {name} declares {sorted(missing)}, which {py.name} never names"


@every_pair
def test_bases_are_the_same(py: Path) -> None:
    written = sources.python(py)
    for name, declared in sources.cython(py.with_suffix(".pxd")).classes.items():
        assert [base.split(".")[-1] for base in declared.bases] == written.classes[name].bases


@every_pair
def test_declared_functions_have_the_same_parameters(py: Path) -> None:
    declared, written = sources.cython(py.with_suffix(".pxd")), sources.python(py)
    pairs = [("", declared.functions, written.functions)] + [
        (f"{name}.", one.methods, written.classes[name].methods) for name, one in declared.classes.items()
    ]
    for owner, wanted, have in pairs:
        for name, one in wanted.items():
            assert name in have, f"the .pxd declares {owner}{name}, {py.name} has none"
            found = have[name].parameters
            same = len(found) == len(one.parameters) and all(
                left in ("", right) for left, right in zip(one.parameters, found, strict=True)
            )
            assert same, f"{owner}{name}: {one.parameters} in the .pxd, {found} in {py.name}"


@every_pair
def test_no_arithmetic_that_c_does_otherwise(py: Path) -> None:
    """Compiled without wraparound, xs[-1] reads before the list; -(-a // b) rounds down in C."""
    for node in ast.walk(sources.tree(py)):
        if isinstance(node, ast.Subscript):
            parts = [node.slice]
            if isinstance(node.slice, ast.Slice):
                parts = [part for part in (node.slice.lower, node.slice.upper) if part is not None]
            from_the_end = [part for part in parts if negative(part) and isinstance(part.operand, ast.Constant)]
            assert not from_the_end, f"{py.name}:{node.lineno}: an index from the end"
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv | ast.Mod):
            assert not negative(node.left), f"{py.name}:{node.lineno}: C rounds a negative quotient up"


def negative(node: ast.expr) -> TypeGuard[ast.UnaryOp]:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
