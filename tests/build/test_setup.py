"""setup.py itself, on a toy package of two modules: each way to build it, and what the wheel then says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.build import sources

pytestmark = pytest.mark.needs("setup.py once")

TOY = {
    "pyproject.toml": """\
        [build-system]
        requires = ["setuptools", "Cython"]
        build-backend = "setuptools.build_meta"
        [project]
        name = "knote"
        version = "4.2"
        [tool.setuptools.packages.find]
        where = ["src"]
        [tool.setuptools.package-data]
        "*" = ["*.pxd", "*.pyx", "*.h"]
        """,
    "src/knote/__init__.py": "",
    "src/knote/_kernel/__init__.py": "",
    "src/knote/_kernel/kn_one.h": "static inline int kn_one(void) { return 1; }\n",
    "src/knote/_kernel/one.py": "def one():\n    return 1\n",
    "src/knote/_kernel/one.pyx": """\
        cdef extern from "kn_one.h" nogil:
            int kn_one()

        def one():
            return kn_one()
        """,
    "src/knote/pair.py": "class Pair:\n    def __init__(self):\n        self.x = 1\n",
    "src/knote/pair.pxd": "cdef class Pair:\n    cdef public int x\n",
}
NO_COMPILER = {"CC": "/nonexistent/cc"}
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
TELL = """
import json, knote._kernel.one, knote.pair
from knote.buildinfo import build_info
assert knote.pair.Pair().x == knote._kernel.one.one() == 1
print(json.dumps(build_info()))
"""


@dataclass
class Wheel:
    """A built toy, unpacked."""

    file: str
    site: Path
    said: str

    @property
    def names(self) -> set[str]:
        """What is in it, extensions by their module's name."""
        paths = (path.relative_to(self.site) for path in self.site.rglob("*.*"))
        return {str(path.parent / path.name.split(".")[0]) + path.suffix for path in paths}

    def told(self) -> Any:
        """build_info() of the toy, imported by a fresh interpreter."""
        done = subprocess.run(
            [sys.executable, "-c", TELL],
            env=os.environ | {"PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)


@dataclass
class Toy:
    """A source tree with our setup.py, and how to build it."""

    root: Path

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KNOTE_")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=clean | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def wheel(self, **environment: str) -> Wheel:
        shutil.rmtree(self.root / "out", ignore_errors=True)
        done = self.python("-c", BUILD, "out", **environment)
        assert done.returncode == 0, done.stdout
        (file,) = (self.root / "out").glob("*.whl")
        with zipfile.ZipFile(file) as archive:
            archive.extractall(self.root / "out" / "site")
        return Wheel(file.name, self.root / "out" / "site", done.stdout)


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A fresh toy."""
    for name, text in TOY.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        indent = len(text) - len(text.lstrip())
        path.write_text("".join(line[indent:] or "\n" for line in text.splitlines(keepends=True)))
    shutil.copy2(sources.ROOT / "setup.py", tmp_path)
    shutil.copy2(sources.package() / "buildinfo.py", tmp_path / "src/knote")
    return Toy(tmp_path)


SOURCES = {
    "knote/_kernel/one.py",
    "knote/_kernel/one.pyx",
    "knote/_kernel/kn_one.h",
    "knote/pair.py",
    "knote/pair.pxd",
}
EXTENSIONS = {"knote/_kernel/one.so", "knote/pair.so"}


def test_compiled(toy: Toy) -> None:
    wheel = toy.wheel(KNOTE_BUILD="compiled")
    assert "-py3-none-any" not in wheel.file
    assert wheel.names >= SOURCES | EXTENSIONS
    info = wheel.told()
    assert {key: info[key] for key in ("version", "build", "requested", "reason")} == {
        "version": "4.2",
        "build": "compiled",
        "requested": "compiled",
        "reason": None,
    }
    assert {name: one["stale"] for name, one in info["modules"].items()} == {
        "knote._kernel.one": False,
        "knote.pair": False,
    }
    made_in_src = {path.suffix for path in (toy.root / "src").rglob("*") if path.is_file()}
    assert not made_in_src & {".c", ".so", ".o"}, "the build must not write beside the sources"

    edited = wheel.site / "knote/_kernel/kn_one.h"
    edited.write_text("/* edited */\n" + edited.read_text())
    assert {name: one["stale"] for name, one in wheel.told()["modules"].items()} == {
        "knote._kernel.one": True,
        "knote.pair": False,
    }

    (wheel.site / info["modules"]["knote.pair"]["file"]).unlink()
    assert wheel.told()["build"] == "mixed"


def test_the_next_build_holds_the_edit_and_nothing_that_was_removed(toy: Toy) -> None:
    toy.wheel(KNOTE_BUILD="compiled")
    for name in ("pair.py", "pair.pxd"):
        (toy.root / "src/knote" / name).rename(toy.root / "src/knote" / f"new{name}")
    twin = toy.root / "src/knote/_kernel/one.pyx"
    stamp = twin.stat()
    twin.write_text(twin.read_text().replace("return kn_one()", "return kn_one() + 1"))
    os.utime(twin, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as a checkout or an archive may leave it
    wheel = toy.wheel(KNOTE_BUILD="compiled")
    assert {"knote/newpair.py", "knote/newpair.so"} <= wheel.names
    assert not {"knote/pair.py", "knote/pair.pxd", "knote/pair.so"} & wheel.names
    code = "import knote._kernel.one as one; print(one.__file__, one.one())"
    assert toy.python("-c", code, PYTHONPATH=str(wheel.site)).stdout.split()[-1] == "2"


@pytest.mark.parametrize(("asked", "level"), [("", "-O2"), ("-pipe", "-O2"), ("-O0 -pipe", "-O0"), ("-pipe -Os", "-Os")])
def test_a_level_of_optimization_in_cflags_is_the_users(toy: Toy, asked: str, level: str) -> None:
    said = toy.wheel(KNOTE_BUILD="compiled", CFLAGS=asked).said
    compiled = [line.split() for line in said.splitlines() if "-c" in line.split() and "-Wextra" in line.split()]
    assert len(compiled) == 4, said  # two modules, each with its stamp
    assert {[word for word in words if word.startswith("-O")][-1] for words in compiled} == {level}


def test_interpreted(toy: Toy) -> None:
    wheel = toy.wheel(KNOTE_BUILD="interpreted")
    assert wheel.file.endswith("-py3-none-any.whl")
    assert wheel.names >= SOURCES
    assert not wheel.names & EXTENSIONS
    assert "***" not in wheel.said
    info = wheel.told()
    assert (info["build"], info["requested"], info["reason"]) == ("interpreted", "interpreted", None)


def test_auto_compiles_where_it_can(toy: Toy) -> None:
    info = toy.wheel().told()
    assert (info["build"], info["requested"], info["reason"]) == ("compiled", "auto", None)


def test_auto_without_a_compiler_says_so_once(toy: Toy) -> None:
    wheel = toy.wheel(**NO_COMPILER)
    assert wheel.file.endswith("-py3-none-any.whl")
    assert wheel.said.count("WITHOUT its compiled modules") == 1
    info = wheel.told()
    assert (info["build"], info["requested"]) == ("interpreted", "auto")
    assert "/nonexistent/cc" in info["reason"]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (NO_COMPILER | {"KNOTE_BUILD": "compiled"}, "=compiled, but the C compiler '/nonexistent/cc'"),
        ({"KNOTE_BUILD": "fast"}, "=fast: must be one of compiled, interpreted, auto"),
    ],
    ids=["no compiler", "no such mode"],
)
def test_what_cannot_be_built_is_refused(toy: Toy, environment: dict[str, str], sentence: str) -> None:
    done = toy.python("-c", BUILD, "out", **environment)
    assert done.returncode
    assert sentence in done.stdout


def test_never_in_place(toy: Toy) -> None:
    done = toy.python("setup.py", "build_ext", "--inplace")
    assert done.returncode
    assert "never built in place" in done.stdout
    assert not list((toy.root / "src").rglob("*.so"))
