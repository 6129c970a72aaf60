"""The compiled half of the build; everything that can be data is in pyproject.toml.

What is compiled is found, not listed: see `compilable` in src/knote/buildinfo.py.  Generated C and
extensions go to build/ only, because an extension beside its source shadows every later edit of it.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

MODES = ("compiled", "interpreted", "auto")
PACKAGE = Path("src/knote")
BENCH = Path("bench")  # `knote bench` is to work where no checkout is
GENERATED = Path("build/cython")
JOBS = os.cpu_count() or 1

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,  # annotations are for people and mypy; C types live in the .pxd
    "auto_pickle": False,  # it would pickle C members, descriptors among them
    "binding": True,  # methods that inspect.signature() can read
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
}
CHECKS = {
    "boundscheck": True,
    "wraparound": True,
    "cdivision": False,
    "nonecheck": True,
    "initializedcheck": True,
}
CHECKED = bool(os.environ.get("KNOTE_CHECKED"))  # slow, and tells what went wrong instead of crashing
# Debug information of generated C is four times the code, and of use only in a checked build.
CFLAGS = ["-g" if CHECKED else "-g0", "-std=gnu11", "-Wall", "-Wextra"]
# These follow the user's own CFLAGS, where the last level wins: if he names one, -O0 for a build in a third of the
# time, it is his.
ASKED = os.environ.get("CFLAGS", "")
if not re.search(r"(^|\s)-O", ASKED):
    CFLAGS.append("-O2")
if not CHECKED:
    CFLAGS.append("-DCYTHON_WITHOUT_ASSERTIONS")  # they are for mypy, and cost a branch on the hot path
# What Cython leaves unused is not ours; the headers are checked with everything on.
CFLAGS += ["-Wno-unused-function", "-Wno-unused-variable"]
# Errors from gcc 14 on; so on every machine.
CFLAGS += ["-Werror=incompatible-pointer-types", "-Werror=int-conversion"]


def load_buildinfo():
    """Import buildinfo.py by path: importing the package would import what is not built yet."""
    spec = importlib.util.spec_from_file_location("knote_buildinfo", PACKAGE / "buildinfo.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


buildinfo = load_buildinfo()


def why_not_compiled(editable):
    """Return why this machine cannot build the compiled form, or None if it can."""
    if not sys.platform.startswith("linux"):
        return f"{sys.platform} needs no compiled part: knote uses the system's own kqueue there"
    if sys.implementation.name != "cpython":
        return f"the compiled form is for CPython, this is {sys.implementation.name}"
    if editable:
        return "an editable install runs the sources; extensions beside them would go stale"
    if importlib.util.find_spec("Cython") is None:
        return "Cython is not installed (it comes by itself with pip's build isolation)"
    return why_no_compiler()


def why_no_compiler():
    """Build and link a three-line extension; nothing less finds missing headers."""
    from distutils.ccompiler import new_compiler  # setuptools provides it
    from distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    customize_compiler(compiler)
    include = f"-I{sysconfig.get_path('include')}"
    with tempfile.TemporaryDirectory() as directory:
        source, made = Path(directory, "probe.c"), Path(directory, "probe.o")
        source.write_text("#include <Python.h>\nint knote_probe(void) { return PY_VERSION_HEX; }\n")
        steps = [
            [*compiler.compiler_so, include, "-c", str(source), "-o", str(made)],
            [*compiler.linker_so, str(made), "-o", str(made.with_suffix(".so"))],
        ]
        for step in steps:
            try:
                subprocess.run(step, check=True, capture_output=True, text=True)
            except OSError as error:
                return f"the C compiler {step[0]!r} cannot be run ({error.strerror})"
            except subprocess.CalledProcessError as error:
                said = [line for line in error.stderr.splitlines() if "error" in line.lower()]
                first = said[0] if said else error.stderr.strip() or f"exit {error.returncode}"
                hint = "; is python3-dev installed?" if "Python.h" in first else ""
                return f"the C compiler {step[0]!r} does not work: {first}{hint}"
    return None


def decide(command):
    """Return (compile?, record) for this run, where record is what build_info() will tell."""
    requested = os.environ.get("KNOTE_BUILD") or "auto"
    if requested not in MODES:
        raise SystemExit(f"KNOTE_BUILD={requested}: must be one of {', '.join(MODES)}")
    if requested == "interpreted":
        return False, {"requested": requested, "reason": None}
    reason = why_not_compiled(command == "editable_wheel")
    if reason is None:
        return True, {"requested": requested, "reason": None}
    if requested == "compiled":
        raise SystemExit(f"KNOTE_BUILD=compiled, but {reason}")
    if sys.platform.startswith("linux"):
        print(
            f"\n*** knote: building WITHOUT its compiled modules: {reason}.\n"
            "*** The interpreted build does the same, two to three times slower.  Mend the cause\n"
            "*** and install again, or set KNOTE_BUILD=interpreted to choose it knowingly.\n",
            file=sys.stderr,
        )
    return False, {"requested": requested, "reason": reason}


def extension(name, sources):
    """Return the Extension of one module: its source and a stamp that says which source it was."""
    stamp = GENERATED / "stamps" / f"{name}.c"
    text = (
        "static const char knote_source[] __attribute__((used)) =\n"
        f'    "{buildinfo.stamp(name, sources)}";\n'
    )
    if not stamp.exists() or stamp.read_text() != text:
        # Time stamps may lie (a checkout, an unpacked archive); the digest does not.
        (GENERATED / sources[0]).with_suffix(".c").unlink(missing_ok=True)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(text)
    return Extension(
        name,
        [str(sources[0]), str(stamp)],
        include_dirs=[str(PACKAGE / "_kernel")],
        extra_compile_args=CFLAGS,
        depends=[str(path) for path in sources[1:]],
    )


class BuildExt(build_ext):
    """Cythonize all modules at once, in parallel, into build/."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or JOBS

    def run(self):
        if self.inplace:
            raise SystemExit("knote is never built in place: an old extension would shadow edits")
        self.cythonize()
        super().run()

    def cythonize(self):
        """Replace each extension's source by the C made from it."""
        from Cython import __version__ as version  # absent where nothing compiles
        from Cython.Build import cythonize

        key = f"{version} {CHECKED} {ASKED}\n{Path(__file__).read_text()}"
        made_by = GENERATED / "made-by"
        if not made_by.exists() or made_by.read_text() != key:
            shutil.rmtree(GENERATED / PACKAGE, ignore_errors=True)
            made_by.unlink(missing_ok=True)
        made = cythonize(
            list(self.extensions),
            nthreads=JOBS,
            build_dir=str(GENERATED),
            cache="CYTHON_CACHE_DIR" in os.environ,
            include_path=["src"],
            compiler_directives=DIRECTIVES | (CHECKS if CHECKED else {}),
        )
        for copy in GENERATED.rglob("kn_*.h"):
            copy.unlink()  # Cython copies headers beside its C, where an old copy would win
        made_by.write_text(key)
        sources = {ext.name: ext.sources for ext in made}
        for ext in self.extensions:  # the same objects: setuptools has put attributes of its own there
            ext.sources = sources[ext.name]


class BuildPy(build_py):
    """Leave nothing of an earlier build, and record how this one was made."""

    def run(self):
        built = Path(self.build_lib) / "knote"
        extensions = self.get_finalized_command("build_ext")
        wanted = {Path(extensions.get_ext_fullpath(ext.name)) for ext in extensions.extensions or ()}
        for path in [path for path in built.rglob("*") if path.is_file()]:
            if path not in wanted:
                path.unlink()  # a module that was removed or renamed would be installed again
        super().run()
        if not self.editable_mode:
            if BENCH.is_dir():
                # A program beside the library, which imports it under its own name: no package of ours.
                ignored = shutil.ignore_patterns("__pycache__", "*.py[co]")
                shutil.copytree(BENCH, built / "suite" / "bench", ignore=ignored, dirs_exist_ok=True)
            record = {"version": self.distribution.get_version(), **RECORD}
            (built / buildinfo.RECORD).write_text(json.dumps(record, indent=1) + "\n")


BUILDING = {"bdist_wheel", "build", "build_ext", "editable_wheel", "install"}.intersection(sys.argv)
EXTENSIONS, RECORD = [], {"requested": None, "reason": None}
if BUILDING:
    COMPILE, RECORD = decide(*BUILDING)
    if COMPILE:
        EXTENSIONS = [extension(*item) for item in buildinfo.compilable(PACKAGE).items()]

def pages():
    """Man pages and completions, from the parsers of the verbs: what is built takes in a new verb by itself.

    Where the tools are missing, or the sources do not run, there are none: nobody needs them to use knote.
    """
    made, source = Path("build/pages"), PACKAGE / "cli/pages.py"
    if not {"bdist_wheel", "install"} & set(sys.argv) or not source.exists():
        return []
    # Before what pip's build isolation has put there.
    path = os.pathsep.join(filter(None, ["src", os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "knote.cli.pages", str(made)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        print(f"*** no man pages and no completions: {why}", file=sys.stderr)
        return []
    found = {}
    for name in done.stdout.splitlines():
        found.setdefault(str(Path(name).parent.relative_to(made)), []).append(name)
    return sorted(found.items())


setup(
    ext_modules=EXTENSIONS,
    data_files=pages(),
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
)
