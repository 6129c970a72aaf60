"""A few freed objects of one type, to be used again.

A kevent is made and freed for each event, which through the allocator is half of what knote's own part of an event
costs.  CPython does the same with its floats, lists and tuples; Cython's `freelist` is for a .pyx only.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memcpy, memset


cdef extern from "Python.h":
    ctypedef PyObject *(*allocfunc)(PyTypeObject *, Py_ssize_t) noexcept
    ctypedef void (*freefunc)(void *) noexcept
    ctypedef struct kn_type "PyTypeObject":
        Py_ssize_t tp_basicsize
        unsigned long tp_flags
        object (*tp_new)(PyTypeObject *, object, void *)
        allocfunc tp_alloc
        freefunc tp_free
    PyObject *PyType_GenericAlloc(PyTypeObject *, Py_ssize_t) noexcept
    PyObject *PyObject_Init(PyObject *, PyTypeObject *) noexcept
    void _Py_NewReference(PyObject *) noexcept
    void PyObject_GC_Track(void *) noexcept
    bint PyObject_GC_IsTracked(PyObject *) noexcept
    enum:
        Py_TPFLAGS_HEAPTYPE
    void PyObject_GC_Del(void *) noexcept
    list PyList_New(Py_ssize_t)
    void PyList_SET_ITEM(list, Py_ssize_t, PyObject *) noexcept
    void Py_INCREF(PyObject *) noexcept
    void Py_DECREF(PyObject *) noexcept
    PyObject *Py_None

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define KN_ONE_AT_A_TIME 0
    #else
    #define KN_ONE_AT_A_TIME 1
    #endif
    """
    bint KN_ONE_AT_A_TIME

cdef enum:
    MOST = 1024
    FIELDS = 40  # what a kevent is, besides being an object

cdef PyObject *_spares[MOST]
cdef int _count = 0
cdef PyTypeObject *_type = NULL
cdef object _pattern = None
cdef int _nones = 0


cdef PyObject *_alloc(PyTypeObject *type, Py_ssize_t items) noexcept:
    global _count
    cdef PyObject *one
    if _count == 0:
        return PyType_GenericAlloc(type, items)
    _count -= 1
    one = _spares[_count]
    memset(<char *>one + sizeof(PyObject), 0, <size_t>(<kn_type *>type).tp_basicsize - sizeof(PyObject))
    PyObject_Init(one, type)
    PyObject_GC_Track(one)
    return one


# One of those that are kept.  Nobody's code runs meanwhile, which could look at it.  The garbage collector learns
# of it when it holds what could lead back to it; so it is with CPython's tuples and dictionaries.
cdef inline PyObject *_fresh() noexcept:
    global _count
    cdef PyObject *one
    cdef int _
    _count -= 1
    one = _spares[_count]
    # Inline, its length being known.
    memcpy(<char *>one + sizeof(PyObject), <char *><void *>_pattern + sizeof(PyObject), FIELDS)
    for _ in range(_nones):
        Py_INCREF(Py_None)
    _Py_NewReference(one)  # of its type it still is
    return one


# A list of so many of those that are kept, or of fewer: where the list is made the garbage collector may run, up
# to CPython 3.11, and finalizers take what was there when they were counted.
cdef list _taken(int count):
    cdef list made = PyList_New(count)
    cdef int kept = _count if count > _count else count
    cdef int i
    for i in range(kept):
        PyList_SET_ITEM(made, i, _fresh())
    if kept < count:
        del made[kept:]
    return made


cdef void _free(void *one) noexcept:
    global _count
    if _count < MOST:
        _spares[_count] = <PyObject *>one
        _count += 1
    else:
        PyObject_GC_Del(one)


cpdef bint keep(object of):
    global _type, _pattern, _nones
    cdef void **words
    cdef size_t word
    cdef kn_type *type = <kn_type *>of
    # Without a GIL two threads would take the same one; and there is room for one type, of one size, that lasts.
    if not KN_ONE_AT_A_TIME or _type != NULL or type.tp_basicsize != sizeof(PyObject) + FIELDS:
        return False
    if type.tp_flags & Py_TPFLAGS_HEAPTYPE:
        return False
    if type.tp_alloc != <allocfunc>PyType_GenericAlloc or type.tp_free != PyObject_GC_Del:
        return False
    _type = <PyTypeObject *>of
    # What a fresh one looks like: numbers, and None where it has an object.
    _pattern = of.__new__(of)
    words = <void **><void *>_pattern
    for word in range(sizeof(PyObject) // sizeof(void *), <size_t>type.tp_basicsize // sizeof(void *)):
        _nones += words[word] == <void *>Py_None
    type.tp_alloc = <allocfunc>_alloc
    type.tp_free = <freefunc>_free
    return True


cpdef list more(object of, list some, Py_ssize_t count):
    cdef int kept = _count if count > _count else <int>count
    cdef Py_ssize_t _
    cdef object one
    if kept > 0 and <PyTypeObject *>of == _type:
        if count == 1:
            # The usual wait: another list would cost more than it saves, 25 ns.
            one = <object>_fresh()
            Py_DECREF(<PyObject *>one)  # <object> holds it as well
            some.append(one)
            return some
        if not some:
            some = _taken(kept)
            count -= len(some)
    for _ in range(count):
        some.append((<kn_type *>of).tp_new(<PyTypeObject *>of, (), NULL))
    return some


cpdef void follow(object one) noexcept:
    if not PyObject_GC_IsTracked(<PyObject *>one):
        PyObject_GC_Track(<PyObject *>one)


cpdef int count():
    return _count
