cimport cython

from knote._kernel.fd cimport describe, is_open, same
from knote.filters.base cimport Filter
from knote.harvest cimport Harvest
from knote.kevent cimport kevent
from knote.knote cimport Knote
from knote.knotes cimport Knotes
from knote.source cimport Source

cdef unsigned int ACTIVE, ASK, DEAD, DEMOTED, DISABLED, FORCED, SOFT
cdef unsigned int EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_DISPATCH, EV_ENABLE, EV_ERROR
cdef unsigned int EV_FORCEONESHOT, EV_KEEPUDATA, EV_ONESHOT, EV_RECEIPT, NOTE_FFLAGSMASK, NOTE_LOWAT
cdef unsigned int EDGE, STICKY, UNDONE
cdef unsigned long long IDENTITY
cdef int EVFILT_USER
cdef int _EBADF, _EINVAL, _ENOENT, _EPERM
cdef unsigned long long _INT_MAX
cdef int _FRESH, _NOT_STAGED


@cython.final
cdef class Registry(Knotes):
    cdef list _log
    cdef int _base
    cdef bint _deletes
    cdef int _place
    cdef bint _staging
    cdef Filter _filter

    @cython.locals(change=kevent, rc=cython.int, fresh=cython.bint, i=cython.int, count=cython.int, back=cython.int)
    cpdef apply(self, list changes, int maxevents, Harvest harvest)
    cdef inline bint _can_stage(self, unsigned int flags, unsigned int fflags, Source source, Knote kn) noexcept
    cdef inline int _stage(self, Knote kn, Source source) except -1
    @cython.locals(kn=Knote, source=Source, failed=Source, place=cython.int, touched=list, log=list,
                   first=cython.int, last=cython.int, i=cython.int)
    cdef int _flush_staged(self, Harvest harvest) except -9
    cdef _revive(self, Knote kn)
    cdef _report(self, Harvest harvest, kevent change, int error, bint fresh)
    @cython.locals(number=cython.int, flags=cython.uint, filt=Filter, source=Source, kn=Knote, fd=cython.int, rc=cython.int,
                   slots=list, staged=cython.bint)
    cdef int _change(self, kevent change, Harvest harvest) except -9
    @cython.locals(kn=Knote, fd=cython.int, rc=cython.int, identity=cython.ulonglong, proven=cython.bint)
    cdef int _create(self, kevent change, Filter filt, Source source, bint staged, Harvest harvest) except -9
    @cython.locals(filt=Filter)
    cdef int _create_anew(self, kevent change, Knote kn, Source source, Harvest harvest) except -9
    @cython.locals(rc=cython.int, source=Source, fflags=cython.uint, data=cython.longlong, was=cython.uint,
                   sticky=cython.uint)
    cdef int _modify(self, kevent change, Knote kn, unsigned int flags, Harvest harvest) except -9
    @cython.locals(source=Source, rc=cython.int, home=cython.int, before=cython.uint, told=cython.bint,
                   proven=cython.bint)
    cdef int _delete(self, Knote kn, bint staged, Harvest harvest) except -9
