"""Who may know whom, where import-linter does not look: cimports, C headers, and the programs.

The rooms and their order are those of import-linter's contract in pyproject.toml; there is no second list.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.build import sources

CONTRACT = next(
    contract
    for contract in tomllib.loads((sources.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
    if contract["type"] == "layers"
)
LAYERS = [re.findall(r"\w+", layer) for layer in reversed(CONTRACT["layers"])]
"""Lowest first."""
CLOSED = {room for layer in CONTRACT["layers"] if "|" in layer for room in re.findall(r"\w+", layer)}
"""Rooms that do not know the others of their layer."""
EXCEPTIONS = {tuple(line.split(" -> ")) for line in CONTRACT["ignore_imports"]}

PROGRAMS = {"cli", "apps", "loops", "interfaces"}
PUBLIC = {"", "aio", "caps", "constants", "engines", "errors", "buildinfo", "sealed", "systemd"} | PROGRAMS
"""What a program may import of knote: the package itself (""), its public modules, tables and helpers at the
bottom, programs."""
PRIVILEGED = {
    ("knote.apps.drain", "knote._kernel.stream"),
    ("knote.apps.drive_ready", "knote._kernel.stream"),
    ("knote.apps.drive_ready", "knote._kernel.time"),
    ("knote.apps.drive_ready", "knote.harvest"),
    ("knote.apps.drive_ring", "knote._kernel.flow"),
    ("knote.apps.drive_ring", "knote._kernel.stream"),
    ("knote.apps.drive_ring", "knote._kernel.time"),
    ("knote.apps.drive_ring", "knote.ring"),
    ("knote.apps.linger", "knote._kernel.stream"),
    ("knote.apps.listener", "knote._kernel.stream"),
    ("knote.apps.outgoing", "knote._kernel.stream"),
    ("knote.apps.reception", "knote._kernel.stream"),
    ("knote.apps.ring_doors", "knote._kernel.flow"),
    ("knote.apps.ring_doors", "knote._kernel.time"),
    ("knote.apps.ring_pool", "knote._kernel.flow"),
    ("knote.apps.ring_pool", "knote.ring"),
    ("knote.apps.ring_probe", "knote._kernel.flow"),
    ("knote.apps.ring_probe", "knote.ring"),
    ("knote.apps.ring_queue", "knote._kernel.flow"),
    ("knote.apps.ring_queue", "knote.harvest"),
    ("knote.apps.server", "knote._kernel.time"),
    ("knote.apps.spare", "knote._kernel.heap"),
}
"""The server's data path: records without kevents, sockets without objects, and the ring."""

CYTHON = sources.files(".pxd", ".pyx")


def room(module: str) -> str:
    """knote.filters.read → filters; the package itself has none."""
    return module.partition(".")[2].partition(".")[0]


def level(module: str) -> int:
    for number, layer in enumerate(LAYERS):
        if room(module) in layer:
            return number
    raise AssertionError(f"{module} is in no layer: pyproject.toml, tool.importlinter")


def allowed(importer: str, imported: str) -> bool:
    if room(importer) == room(imported) or (importer, imported) in EXCEPTIONS:
        return True
    if level(importer) == level(imported):
        return room(importer) not in CLOSED
    return level(importer) > level(imported)


def public_names() -> set[str]:
    """What knote/__init__.py binds by an import."""
    return {
        alias.asname or alias.name
        for node in ast.walk(sources.tree(sources.package() / "__init__.py"))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("path", CYTHON, ids=sources.names(CYTHON))
def test_cimports_go_down(path: Path) -> None:
    importer = sources.module(path)
    upward = [
        imported
        for imported, _names in sources.cython(path).cimports
        if imported.split(".")[0] == "knote" and not allowed(importer, imported)
    ]
    assert not upward, f"{importer} must not know {upward}"


@pytest.mark.parametrize("path", CYTHON, ids=sources.names(CYTHON))
def test_only_the_kernel_room_knows_c(path: Path) -> None:
    found = sources.cython(path)
    if room(sources.module(path)) != "_kernel":
        assert not found.externs
        packages = {name.split(".")[0] for name, _names in found.cimports}
        assert not packages & {"libc", "posix", "cpython"}


def imports(path: Path) -> set[str]:
    """Every knote module that a .py imports; in `from knote import queue` that may be a module or a name."""
    found = set()
    for node in ast.walk(sources.tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}:{node.lineno}: a relative import"
            found.add(node.module or "")
            if node.module == "knote":
                found |= {f"knote.{alias.name}" for alias in node.names if is_module(alias.name)}
    return {name for name in found if name.split(".")[0] == "knote"}


def is_module(name: str) -> bool:
    package = sources.package()
    if name in public_names():
        return False  # knote.kqueue is the class, though a module of that name made it
    return (package / f"{name}.py").exists() or (package / name / "__init__.py").exists()


def private(path: Path) -> set[str]:
    return {name for name in imports(path) if room(name) not in PUBLIC}


def test_programs_know_only_the_public_api() -> None:
    for path in sources.files(".py"):
        importer = sources.module(path)
        if room(importer) in PROGRAMS:
            known = {name for name in private(path) if (importer, name) not in PRIVILEGED}
            assert not known, f"{importer} knows {sorted(known)}"


def test_the_bench_knows_only_the_public_api() -> None:
    for path in (sources.ROOT / "bench").rglob("*.py"):
        assert not private(path), f"{path} knows {sorted(private(path))}"


def test_every_module_has_a_layer() -> None:
    for path in sources.files(".py"):
        if path.parent != sources.package() or path.stem != "__init__":
            level(sources.module(path))
