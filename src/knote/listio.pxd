from knote.knote cimport Knote


cdef class Listio:
    cdef object __weakref__
    cdef readonly list requests
    cdef public object udata
    cdef readonly unsigned long long ident
    cdef readonly Py_ssize_t pending
    cdef readonly Py_ssize_t failed
    cdef Knote knote
