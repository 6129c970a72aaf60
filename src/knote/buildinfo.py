"""Which form of knote is running: compiled, interpreted, or a mixture that nobody should trust.

A module has a compiled form when a ``.pxd`` of the same stem stands beside its ``.py``, or when it is
a ``.pyx`` in ``_kernel``.  The build stamps the digest of those sources into each extension, so that
an extension which was left behind by an edit can be told from a fresh one.  `setup.py` loads this
file for the same list and the same digest: both sides have one table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypedDict

PACKAGE = "knote"
RECORD = "buildinfo.json"
STAMP = "knote-source"


class ModuleInfo(TypedDict):
    """How one module that has a compiled form was, or would be, imported."""

    compiled: bool
    stale: bool
    file: str


class BuildInfo(TypedDict):
    """What `build_info` tells.

    build: "compiled" or "interpreted" when every module agrees, else "mixed".
    requested: what KNOTE_BUILD asked for, or None for sources that no build has touched.
    reason: why the build is interpreted though that was not asked for, else None.
    """

    version: str
    build: str
    requested: str | None
    reason: str | None
    modules: dict[str, ModuleInfo]


def compilable(package: Path) -> dict[str, list[Path]]:
    """Return module name → its sources, the file to compile first."""
    found: dict[str, list[Path]] = {}
    kernel = package / "_kernel"
    headers = sorted(kernel.glob("*.h"))
    for pyx in sorted(kernel.glob("*.pyx")):
        pxd = pyx.with_suffix(".pxd")
        found[_name(package, pyx)] = [pyx, *([pxd] if pxd.exists() else []), *headers]
    for pxd in sorted(package.rglob("*.pxd")):
        py = pxd.with_suffix(".py")
        # A package's own __init__ stays Python: as an extension it would hide the whole directory.
        if py.exists() and py.stem != "__init__":
            found.setdefault(_name(package, py), [py, pxd])
    return found


def digest(sources: list[Path]) -> str:
    """Return one digest over the names and contents of *sources*."""
    from hashlib import sha256  # importing knote must not pay for it

    total = sha256()
    for path in sources:
        total.update(f"{path.name}\0".encode())
        total.update(sha256(path.read_bytes()).digest())
    return total.hexdigest()


def stamp(name: str, sources: list[Path]) -> str:
    """Return the text that the build puts into the extension *name*."""
    return f"{STAMP}:{name}:{digest(sources)};"


def build_info() -> BuildInfo:
    """Return which modules are compiled, and whether their sources have changed since.

    Reads the installed files at each call: for diagnosis, not for a hot path.
    """
    package = Path(__file__).parent
    modules = {name: _module(name, sources) for name, sources in compilable(package).items()}
    forms = {info["compiled"] for info in modules.values()}
    build = "mixed" if len(forms) > 1 else "compiled" if True in forms else "interpreted"
    record = _record(package)
    return {
        "version": record["version"] or "unknown",
        "build": build,
        "requested": record["requested"],
        "reason": record["reason"],
        "modules": modules,
    }


def _name(package: Path, source: Path) -> str:
    return ".".join((PACKAGE, *source.relative_to(package).with_suffix("").parts))


def _module(name: str, sources: list[Path]) -> ModuleInfo:
    file = _imported(name) or _importable(sources[0])
    if file.suffix == ".py":
        return {"compiled": False, "stale": False, "file": str(file)}
    fresh = stamp(name, sources).encode() in file.read_bytes()
    return {"compiled": True, "stale": not fresh, "file": str(file)}


def _imported(name: str) -> Path | None:
    file = getattr(sys.modules.get(name), "__file__", None)
    return Path(file) if file else None


def _importable(source: Path) -> Path:
    from importlib.machinery import EXTENSION_SUFFIXES

    for suffix in EXTENSION_SUFFIXES:
        extension = source.with_name(source.stem + suffix)
        if extension.exists():
            return extension
    return source.with_suffix(".py")


def _record(package: Path) -> dict[str, str | None]:
    import json

    record: dict[str, str | None] = dict.fromkeys(("version", "requested", "reason"))
    try:
        record.update(json.loads((package / RECORD).read_text()))
    except FileNotFoundError:
        record["reason"] = "run from a source tree, which is never compiled in place"
    return record
