from knote.apps.handler cimport Handler


cdef class Flow(Handler):
    # Public for Fork, which stays Python: what it adds costs more than what would be saved.
    cdef public object _queue, _inlet, _outlet, _meter, _buffer, _writes
    cdef public Py_ssize_t _start, _stop
    cdef public bint _listens, _resting
    cdef public bint done
    cdef public long long total
    cdef public str way
    cdef public object read_error, write_error
