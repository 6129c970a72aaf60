cimport cython

from knote._kernel.fd cimport same
from knote.engines.base cimport Engine
from knote.knote cimport Knote
from knote.source cimport Source
from knote.table cimport Table

cdef unsigned int IN, OUT, PRI, RDHUP, EDGE, EV_CLEAR, DEAD, DISABLED, DEMOTED, SOFT
cdef unsigned int READING
cdef int KIND_TCP, KIND_VIRTUAL_FILE, _EPERM, _EACCES, _EBADF, _ENOENT, _ERANGE, APART


@cython.final
cdef class Interest:
    cdef Engine main
    cdef object _lane_type
    cdef readonly bint apart
    cdef int limit
    cdef list lanes
    cdef list staged
    cdef unsigned int batch
    cdef unsigned int calls
    cdef bint leftovers
    cdef dict _owned
    cdef set _unowned
    cdef list untold
    cdef readonly int refusal
    @cython.locals(rc=cython.int, engine=Engine)
    cpdef int own(self, int fd, unsigned int mask) except -10000
    @cython.locals(apart=Engine)
    cdef int _house(self, int fd, unsigned int mask) noexcept
    cdef int _place(self, int lane, unsigned int mask) noexcept
    @cython.locals(mask=cython.uint, engine=Engine)
    cpdef disown(self, int fd)
    @cython.locals(engine=Engine, rc=cython.int)
    cpdef int _engine(self, int lane) except -10000
    @cython.locals(level=cython.uint, edge=cython.uint, demoted=cython.uint, any_edge=cython.uint,
                   wanted=cython.uint, rc=cython.int, kn=Knote)
    cpdef int sync(self, Source source) except -10000
    cdef unsigned int _mode(self, unsigned int directions, unsigned int any_edge) noexcept
    @cython.locals(old=cython.uint, rc=cython.int, place=cython.int, before=cython.int, engine=Engine, other=Engine)
    cdef int _arm(self, Source source, int lane, unsigned int mask) except -10000
    @cython.locals(result=cython.int, rc=cython.int, lane=cython.int, engine=Engine)
    cpdef int release(self, Source source) except -10000
    @cython.locals(engine=Engine, source=Source, lane=cython.int, kept=cython.int, fd=cython.int, mask=cython.uint)
    cpdef list rebuild(self, Table table)
    @cython.locals(engine=Engine, source=Source, fd=cython.int, mask=cython.uint, rc=cython.int)
    cpdef list catch_up(self)
    cpdef close(self)
    cdef bint stands(self, Source source) noexcept
    @cython.locals(engine=Engine, lane=cython.int)
    cpdef bint holds(self, Source source) noexcept
    cpdef int stage(self, Source source, Knote kn, int place) except -1
    @cython.locals(source=Source, new=cython.uint, old=cython.uint, done=cython.int, told=cython.int, failed=Source)
    cpdef Source flush(self)
    @cython.locals(lane=cython.int, engine=Engine)
    cpdef forget(self, Source source)
    cpdef bint armed(self, Source source) noexcept
    @cython.locals(engine=Engine, lane=cython.int)
    cpdef int lane_of(self, int number) noexcept
