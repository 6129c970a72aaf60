"""The small parser that the other tests of this folder trust."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.build import sources

PXD = '''\
from knote._kernel.batch cimport Batch, kn_hit as hit
cimport knote.source

cdef extern from "kn_x.h" nogil:
    ctypedef struct kn_hit:
        int not_an_attribute
    int not_a_function(int a)

cdef struct pair:
    int also_not

cpdef int poll(int fd, int events) noexcept


cdef class Thing(Base):  # a comment, with (brackets
    """A docstring that says cdef int lies."""
    cdef readonly unsigned long long size
    cdef public list a, b
    cdef int armed[3]
    cdef kn_hit *hits
    cdef object _udata
    @staticmethod
    cdef Thing make(int size)
    cpdef long long look(
        self, long long slot,
        dict[str, int] table=*,
    ) except -1
    cdef int unnamed(self, int, long long)
    cdef inline int twice(self, int i) noexcept:
        cdef int local = i
        return local * 2
'''

PYX = '''\
cdef class Box(Base):
    def __cinit__(self, *args, **kwargs):
        self.fd = 3

    cpdef int wait(self, Batch batch, long long timeout_ns=-1) noexcept:
        cdef int n
        with nogil:
            n = kn_wait(self.fd, "cdef int x(", timeout_ns)
        return n

    def put(self, value: object, *, unsigned char[::1] data=None, const kn_hit *hit=NULL):
        return (<int>value)


def free(int a, /, b):
    return a
'''


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_pxd_is_read(tmp_path: Path) -> None:
    found = sources.cython(written(tmp_path, "thing.pxd", PXD))
    assert found.cimports == [("knote._kernel.batch", ["Batch", "kn_hit"]), ("knote.source", [])]
    assert found.externs
    assert {name: one.parameters for name, one in found.functions.items()} == {"poll": ["fd", "events"]}
    (thing,) = found.classes.values()
    assert (thing.name, thing.bases) == ("Thing", ["Base"])
    assert thing.attributes == {"size", "a", "b", "armed", "hits", "_udata"}
    assert {name: one.parameters for name, one in thing.methods.items()} == {
        "make": ["size"],
        "look": ["self", "slot", "table"],
        "unnamed": ["self", "", ""],
        "twice": ["self", "i"],
    }


def test_a_pyx_is_read(tmp_path: Path) -> None:
    found = sources.cython(written(tmp_path, "box.pyx", PYX))
    assert {name: one.parameters for name, one in found.functions.items()} == {"free": ["a", "b"]}
    assert {name: one.parameters for name, one in found.classes["Box"].methods.items()} == {
        "__cinit__": ["self", "args", "kwargs"],
        "wait": ["self", "batch", "timeout_ns"],
        "put": ["self", "value", "data", "hit"],
    }


def test_the_package_is_the_installed_one() -> None:
    spec = importlib.util.find_spec("knote")
    assert spec is not None
    assert "site-packages" in str(spec.origin), f"the sources are on sys.path: {spec.origin}"
