"""Environments for the Makefile: one virtual environment for each build and each Python.

    envs.py build MODE     .venv/MODE-3.x with knote built that way and what the tests need
    envs.py tests          .venv/tests-3.x with what tests need, knote not installed; the others read it there
    envs.py lint           .venv/lint-3.x with the checkers, knote not installed
    envs.py dist           dist/: sdist, compiled wheel, pure wheel
    envs.py test-dist ...  install what dist/ holds where no checkout is, and run the tests there
    envs.py pythons        the CPythons of this machine that knote supports, one a line

The package is built from a copy of the sources, kept for the next, incremental build: nothing of a
build lands in src/, and an unchanged tree is not built again.  Needs nothing but the stdlib.
"""

import argparse
import contextlib
import fcntl
import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venv"
DIST = ROOT / "dist"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}" + getattr(sys, "abiflags", "")
SANITIZERS = "-fsanitize=address,undefined -fno-omit-frame-pointer"
BUILDS = {
    "auto": {"KNOTE_BUILD": "auto"},
    "bench": {"KNOTE_BUILD": "compiled"},
    "checked": {"KNOTE_BUILD": "compiled", "KNOTE_CHECKED": "1"},
    "clients": {"KNOTE_BUILD": "compiled"},
    "compiled": {"KNOTE_BUILD": "compiled"},
    "interpreted": {"KNOTE_BUILD": "interpreted"},
    "sanitized": {"KNOTE_BUILD": "compiled", "CFLAGS": SANITIZERS, "LDFLAGS": SANITIZERS},
}
NEEDS = {"auto": None, "bench": "bench", "clients": "clients"}
"""Which extra an environment holds, where it is not `test`."""
BESIDES = {"interpreted": "matplotlib"}
"""What of the extra `bench` an environment of tests holds, too: one is enough to see that plots are drawn."""
LENDER = "tests"
"""The environment that holds the extra `test`, without knote: those with knote read it there.  Eight times the
same packages were a tenth of a whole run of CI."""
# Of a build's log: what Cython and gcc say of our sources, and setup.py's own sentences.
WORTH_SEEING = re.compile(r"^\s*(\*\*\*|warning: \S+\.(py|pyx|pxd):|\S+\.[ch]:\d+:.*warning:)")
FAILURE = re.compile(r"Error compiling Cython file|\.[ch]:\d+:.*error:|KNOTE_BUILD=")
ASIDE = re.compile(r"Traceback|^\s*\[ *\d+/\d+\]|^\s*gcc -")
INPUTS = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
MINORS = range(11, 15)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    command = parser.add_subparsers(dest="command", required=True)
    command.add_parser("build").add_argument("mode", choices=BUILDS)
    command.add_parser(LENDER)
    command.add_parser("lint")
    command.add_parser("dist")
    command.add_parser("test-dist").add_argument("tests", nargs="*")
    command.add_parser("pythons").add_argument("--others", action="store_true")
    asked = parser.parse_args()
    if asked.command == "pythons":
        print("\n".join(pythons()[1 if asked.others else 0 :]))
        return
    if asked.command == LENDER:
        lender()
        return
    with only_one(f"{getattr(asked, 'mode', asked.command.removeprefix('test-'))}-{VERSION}"):
        if asked.command == "build":
            build(asked.mode)
        elif asked.command == "lint":
            venv("lint", extras("lint"))
        else:
            dist()
    if asked.command == "test-dist":
        test_dist(asked.tests)


@contextlib.contextmanager
def only_one(what):
    """Two makes at a time take turns: at an environment, and, since it takes minutes of all cores, at compiling.
    An environment that is current waits for nobody who compiles another one; tests run outside of this."""
    VENVS.mkdir(exist_ok=True)
    with open(VENVS / f"lock-{what}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(mode):
    """Make .venv/MODE-3.x current."""
    if mode in NEEDS:
        home = venv(mode, extras(NEEDS[mode]))
    else:
        besides = [one for one in extras("bench") if mode in BESIDES and one.startswith(BESIDES[mode])]
        home = borrower(mode, besides)
    if mode == "clients":
        client_sources(home)
    tree, built = home / "tree", home / "built"
    names = copy_sources(tree)
    state = fingerprint(tree, names)
    if built.exists() and built.read_text() == state:
        return
    built.unlink(missing_ok=True)
    start = time.monotonic()
    # What needs no test tools is built as a user's pip does it; the others reuse their build tools.
    isolation = [] if mode in NEEDS else ["--no-build-isolation"]
    flags = ["-v", "--no-deps", "--force-reinstall", *isolation]
    with contextlib.nullcontext() if mode == "interpreted" else only_one("compiler"):
        log = pip(home, "install", *flags, tree, **BUILDS[mode])
    for line in log.splitlines():
        if WORTH_SEEING.search(line):
            print(line.strip())
    built.write_text(state)
    print(f"{home.name}: built in {time.monotonic() - start:.1f} s")


def dist():
    """Build the sdist, and from it, as pip would, both wheels."""
    home = borrower("dist")
    tree = home / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    copy_sources(tree, "tests")
    shutil.rmtree(DIST, ignore_errors=True)
    code = f"from setuptools.build_meta import build_sdist as build; build({str(DIST)!r})"
    run([python(home), "-c", code], cwd=tree)
    (sdist,) = DIST.glob("*.tar.gz")
    with only_one("compiler"):
        for mode in ("interpreted", "compiled"):
            pip(home, "wheel", "--no-deps", "--wheel-dir", DIST, sdist, **BUILDS[mode])
    print("\n".join(f"dist/{path.name}" for path in sorted(DIST.iterdir())))


def test_dist(tests):
    """Run the tests on what a user would install: the compiled wheel, then the sdist by plain pip.

    The wheel was made from this sdist, so of the second run only the build is new.
    """
    (wheel,) = DIST.glob("*-cp*.whl")
    (sdist,) = DIST.glob("*.tar.gz")
    chosen = {"wheel": tests, "sdist": ["tests/build/test_which_build.py", "tests/unit"]}
    for kind, artifact in {"wheel": wheel, "sdist": sdist}.items():
        shutil.rmtree(VENVS / f"from-{kind}-{VERSION}", ignore_errors=True)
        home = borrower(f"from-{kind}")
        pip(home, "install", "--no-deps", artifact)
        with tempfile.TemporaryDirectory(prefix="knote-") as empty:
            # pyproject.toml holds pytest's settings; setup.py is itself under test.
            for name in ("pyproject.toml", "setup.py"):
                shutil.copy2(ROOT / name, empty)
            shutil.copytree(ROOT / "tests", Path(empty, "tests"), ignore=IGNORED)
            print(f"--- tests on {artifact.name}, away from the checkout", flush=True)
            environment = os.environ | {"KNOTE_EXPECT_BUILD": "compiled"}
            subprocess.run(
                [python(home), "-m", "pytest", *chosen[kind]], cwd=empty, env=environment, check=True
            )


def venv(name, requirements, lends=None):
    """Return .venv/NAME-3.x, made or mended holding *requirements* and seeing what *lends* has, pip too."""
    home = VENVS / f"{name}-{VERSION}"
    holds = home / "holds"
    lent = (lends / "holds").read_text() if lends else ""
    wanted = "\n".join([sys.version, *requirements, lent])
    if holds.exists() and holds.read_text() == wanted and python(home).exists():
        return home
    start = time.monotonic()
    run([sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if lends else []), home])
    if lends:
        (packages(home) / "lent.pth").write_text(f"{packages(lends)}\n")
    if requirements:
        pip(home, "install", *requirements)
    holds.write_text(wanted)
    print(f"{home.name}: environment made in {time.monotonic() - start:.1f} s", flush=True)
    return home


def lender():
    """What tests need, installed once for each Python."""
    with only_one(f"{LENDER}-{VERSION}"):
        return venv(LENDER, extras("test"))


def borrower(name, requirements=()):
    """As venv(); sees what tests need."""
    return venv(name, requirements, lender())


def packages(home):
    return home / "lib" / f"python{VERSION}" / "site-packages"


def extras(name):
    return settings()["project"]["optional-dependencies"][name] if name else []


def settings():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def client_sources(home):
    """Unpack the sdists of clients whose wheels lack their tests, as PyPI has them, into home/sources/NAME."""
    wanted = settings()["tool"]["knote"]["client-sources"]
    for pinned in extras("clients"):
        name = pinned.partition("==")[0]
        unpacked = home / "sources" / name
        if name not in wanted or unpacked.exists():
            continue
        print(f"{home.name}: {pinned}, its sdist", flush=True)
        with tempfile.TemporaryDirectory(dir=home) as folder:
            pip(home, "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, pinned)
            (sdist,) = Path(folder).iterdir()
            shutil.unpack_archive(sdist, Path(folder, "unpacked"), filter="data")
            (tree,) = Path(folder, "unpacked").iterdir()
            unpacked.parent.mkdir(exist_ok=True)
            tree.rename(unpacked)


IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so", "*.py[co]")


def copy_sources(tree, *folders):
    """Make *tree* hold the build's inputs; touch only what differs, so that builds stay incremental."""
    wanted = [*INPUTS, "CHANGELOG.md", "CONTRIBUTING.md"]
    for folder in ("src", "bench", *folders):
        for directory, subdirectories, files in os.walk(ROOT / folder):
            ignored = IGNORED(directory, [*subdirectories, *files])
            subdirectories[:] = [name for name in subdirectories if name not in ignored]
            base = Path(directory).relative_to(ROOT)
            wanted += [str(base / name) for name in files if name not in ignored]
    wanted = sorted(name for name in wanted if (ROOT / name).is_file())
    for old in [path for part in ("src", "bench") for path in (tree / part).rglob("*") if path.is_file()]:
        if str(old.relative_to(tree)) not in wanted and ".egg-info" not in str(old):
            old.unlink()
    for name in wanted:
        source, copy = ROOT / name, tree / name
        if not copy.exists() or not filecmp.cmp(source, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    return wanted


def fingerprint(tree, names):
    total = hashlib.sha256(f"{sys.version} {os.environ.get('CFLAGS', '')}".encode())
    for name in names:
        if not name.endswith(".md"):
            total.update(name.encode() + b"\0" + hashlib.sha256((tree / name).read_bytes()).digest())
    return total.hexdigest()


def pythons():
    """Return one executable for each supported CPython here, the running one first.

    Looked for on PATH and beside the running one's own prefix, where version managers keep them.
    """
    found = {}
    beside = Path(sys.base_prefix).resolve().parent
    candidates = [Path(sys.executable)]
    for minor in MINORS:
        candidates += sorted(beside.glob(f"*/bin/python3.{minor}"))
        candidates += [Path(folder, f"python3.{minor}") for folder in os.get_exec_path()]
    probe = (
        "import ensurepip, os, sys, sysconfig, venv\n"
        "assert os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h'))\n"
        "print(sys.implementation.name, sys.version_info[0], sys.version_info[1], sys.abiflags)"
    )
    for path in candidates:
        if not os.access(path, os.X_OK):
            continue
        command = [path, "-I", "-c", probe]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=30
            ).stdout.split()
            if told[:2] == ["cpython", "3"] and int(told[2]) in MINORS:
                found.setdefault(tuple(told), str(path))
    return list(found.values())


def python(home):
    return home / "bin" / "python"


def pip(home, *arguments, **environment):
    """Run pip quietly; return what it said.  All compiled builds are of the same C, so it is made once, and where
    there is a ccache, compiled once for each Python."""
    flags = ["--disable-pip-version-check", "--no-input"]
    environment.setdefault("CYTHON_CACHE_DIR", os.environ.get("CYTHON_CACHE_DIR", str(VENVS / "cython")))
    if shutil.which("ccache"):
        environment.setdefault("CC", os.environ.get("CC", "ccache gcc"))
    return run([python(home), "-m", "pip", *flags, *arguments], environment=environment)


def run(command, cwd=None, environment=None):
    """Run *command*; return its output, or print what tells why it failed and stop."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        (VENVS / "failed.log").write_text(done.stdout)
        print("\n".join(culprits(done.stdout.splitlines())), file=sys.stderr)
        sys.exit(
            f"envs.py: {' '.join(str(part) for part in command)}: "
            f"exit {done.returncode}; all it said is in .venv/failed.log"
        )
    return done.stdout


def culprits(lines):
    """Return what compilers said, without the tracebacks around it; else the end of the log."""
    found, inside = [], False
    for line in lines:
        inside = (inside and not ASIDE.search(line)) or bool(FAILURE.search(line))
        if inside:
            found.append(line)
    return found[:80] or lines[-40:]


if __name__ == "__main__":
    main()
