from knote.filewatch cimport FileWatch
from knote.ready cimport ReadyList
from knote.table cimport Table


cdef class Host:
    cdef readonly ReadyList ready
    cdef readonly ReadyList resting
    cdef readonly FileWatch files
    cdef readonly object own
    cdef readonly object disown
    cdef readonly object open_clock
    cdef readonly Table table
    cdef readonly list shed
