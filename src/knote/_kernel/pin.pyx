"""The memory of a Python object, held in place while the kernel reads or writes it."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_FromStringAndSize


@cython.freelist(64)
cdef class Pin:
    def __cinit__(self, object buffer, bint writable):
        PyObject_GetBuffer(buffer, &self._view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
        self.address = <unsigned long long><size_t>self._view.buf
        self.length = <unsigned long long>self._view.len

    def __dealloc__(self):
        # Of a buffer that was refused there is nothing to release: obj is NULL then.
        PyBuffer_Release(&self._view)


def room(Py_ssize_t size):
    return PyByteArray_FromStringAndSize(NULL, size)
