from cpython.buffer cimport Py_buffer


cdef class Pin:
    cdef Py_buffer _view
    cdef readonly unsigned long long address
    cdef readonly unsigned long long length
