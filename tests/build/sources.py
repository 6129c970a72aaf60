"""The sources of the installed package, read and not imported: .py by ast, .pxd and .pyx by a small parser.

The parser knows what our declarations use: cimports, extern blocks, cdef classes with attributes and
methods, and functions.  It is no Cython grammar; what it cannot read it refuses by name.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@cache
def package() -> Path:
    """Where the knote under test is; found without importing it."""
    spec = importlib.util.find_spec("knote")
    assert spec is not None and spec.origin is not None, "knote is not installed"
    return Path(spec.origin).parent


ROOT = Path(__file__).parents[2]
"""Of the checkout, or of the copy of tests/ that runs where no checkout is."""


def files(*suffixes: str) -> list[Path]:
    """Every file of the package with one of these suffixes; the benchmark, which is carried along, is none of it."""
    carried = package() / "suite"
    return sorted(
        path for path in package().rglob("*") if path.suffix in suffixes and not path.is_relative_to(carried)
    )


def names(paths: list[Path]) -> list[str]:
    """For test ids."""
    return [str(path.relative_to(package())) for path in paths]


def module(path: Path) -> str:
    """The dotted name of the module that this file belongs to."""
    parts = ("knote", *path.relative_to(package()).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def paired() -> list[Path]:
    """Every .py that is compiled through the .pxd beside it."""
    return [
        path.with_suffix(".py")
        for path in files(".pxd")
        if path.with_suffix(".py").exists() and not path.with_suffix(".pyx").exists()
    ]


@dataclass
class Function:
    """A function or method: its parameter names, self included; "" where a declaration leaves one out."""

    parameters: list[str]
    setter: bool = False


@dataclass
class Class:
    """A class of either language."""

    name: str
    bases: list[str]
    attributes: set[str] = field(default_factory=set)
    methods: dict[str, Function] = field(default_factory=dict)


@dataclass
class Module:
    """What one file declares or defines."""

    classes: dict[str, Class] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    cimports: list[tuple[str, list[str]]] = field(default_factory=list)
    externs: bool = False


# -- Cython ---------------------------------------------------------------------------------------------

_STRINGS = re.compile(
    r'"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*'
)
_CIMPORT = re.compile(r"from\s+([\w.]+)\s+cimport\s+(.+)|cimport\s+([\w.]+)")
_CLASS = re.compile(r"(?:cdef\s+|cpdef\s+)?class\s+(\w+)\s*(?:\(([^)]*)\))?\s*:")
_FUNCTION = re.compile(r"(?:cdef|cpdef|def)\b\s*((?:[^(=]*?\W)?)(\w+)\s*\(")
_ATTRIBUTE = re.compile(r"cdef\s+(?!class\b|extern\b|struct\b|enum\b|union\b)(.+)")


@cache
def cython(path: Path) -> Module:
    """Read a .pxd or .pyx."""
    found = Module()
    inside: list[tuple[int, Class | str]] = []
    for indent, line in _logical_lines(path.read_text()):
        while inside and indent <= inside[-1][0]:
            inside.pop()
        where = inside[-1][1] if inside else None
        if where in ("function", "extern", "type"):
            continue
        owner = where if isinstance(where, Class) else None
        if match := _CIMPORT.match(line):
            source, what, whole = match.groups()
            names = [part.split()[0] for part in (what or "").strip("()").split(",") if part.strip()]
            found.cimports.append((source or whole, names))
        elif re.match(r"cdef\s+extern\b", line):
            found.externs = True
            inside.append((indent, "extern"))
        elif re.match(r"(cdef|ctypedef)\s+(\w+\s+)?(struct|enum|union|fused)\b|cdef\s+enum\b", line):
            inside.append((indent, "type"))
        elif match := _CLASS.match(line):
            bases = [base.strip() for base in (match[2] or "").split(",") if base.strip()]
            found.classes[match[1]] = new = Class(match[1], bases)
            inside.append((indent, new))
        elif re.match(r"cdef\s*:$", line):
            raise AssertionError(f"{path.name}: write cdef on each line; a block is not read here")
        elif match := _FUNCTION.match(line):
            table = owner.methods if owner else found.functions
            table[match[2]] = Function(_parameters(_bracketed(line, match.end() - 1)))
            inside.append((indent, "function"))
        elif owner and (match := _ATTRIBUTE.match(line)):
            owner.attributes.update(_declared(match[1]))
    return found


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """(indent, line) without strings and comments, with bracketed continuations joined."""
    text = _STRINGS.sub(lambda match: "" if match[0].startswith("#") else '""', text)
    lines: list[tuple[int, str]] = []
    depth = 0
    for raw in text.replace("\\\n", " ").splitlines():
        line = raw.strip()
        if depth:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]} {line}")
        elif line:
            lines.append((len(raw) - len(raw.lstrip()), line))
        depth += sum(line.count(opening) for opening in "([{") - sum(line.count(closing) for closing in ")]}")
    return lines


def _bracketed(line: str, start: int) -> str:
    depth = 0
    for at in range(start, len(line)):
        depth += (line[at] in "([{") - (line[at] in ")]}")
        if depth == 0:
            return line[start + 1 : at]
    raise AssertionError(f"no closing bracket: {line!r}")


def _parameters(text: str) -> list[str]:
    """The names, in order; a lone type has none."""
    parameters = []
    for part in _split(text):
        left = re.sub(r"\[[^\]]*\]", "", part).split("=")[0].split(":")[0].strip()
        if left in ("*", "/"):
            continue
        words = re.findall(r"\w+", left)
        unnamed = words[-1] in {"int", "long", "char", "short", "double", "float"}
        parameters.append("" if unnamed else words[-1])
    return parameters


def _declared(text: str) -> list[str]:
    """The names of `[public] type a, *b, c[3]`."""
    return [re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", part))[-1] for part in _split(text.split("=")[0])]


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part for part in [*parts, text[start:]] if part.strip()]


# -- Python ---------------------------------------------------------------------------------------------


def tree(path: Path) -> ast.Module:
    """The syntax tree of a .py.  Not kept: its many objects would slow each collection of the leak check."""
    return ast.parse(path.read_text(), str(path))


@cache
def python(path: Path) -> Module:
    """Read a .py; a class's attributes are its __slots__, its annotated names and every `self.x =`."""
    found = Module()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef):
            found.functions[node.name] = _function(node)
        elif isinstance(node, ast.ClassDef):
            found.classes[node.name] = _class(node)
    return found


def assigned(path: Path) -> dict[str, set[str]]:
    """Class name → the names x that its methods assign as self.x."""
    return {
        node.name: {name for item in node.body if isinstance(item, ast.FunctionDef) for name in _stores(item)}
        for node in tree(path).body
        if isinstance(node, ast.ClassDef)
    }


def _class(node: ast.ClassDef) -> Class:
    new = Class(node.name, [ast.unparse(base).split(".")[-1] for base in node.bases])
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            new.methods.setdefault(item.name, _function(item))
            new.attributes |= _stores(item)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            new.attributes.add(item.target.id)
        elif isinstance(item, ast.Assign):
            targets = {target.id for target in item.targets if isinstance(target, ast.Name)}
            if targets == {"__slots__"}:
                slots = ast.literal_eval(item.value)
                new.attributes.update([slots] if isinstance(slots, str) else slots)
            else:
                new.attributes |= targets
    return new


def _function(node: ast.FunctionDef) -> Function:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args]
    every += [arguments.vararg] if arguments.vararg else []
    every += arguments.kwonlyargs
    every += [arguments.kwarg] if arguments.kwarg else []
    setter = any(isinstance(mark, ast.Attribute) and mark.attr == "setter" for mark in node.decorator_list)
    return Function([argument.arg for argument in every], setter)


def _stores(method: ast.FunctionDef) -> set[str]:
    if not method.args.args and not method.args.posonlyargs:
        return set()
    first = [*method.args.posonlyargs, *method.args.args][0].arg
    return {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == first == "self"
    }
