cimport cython

from knote._kernel.rtnetlink cimport Links
from knote.filters.base cimport Filter
from knote.host cimport Host
from knote.knote cimport Knote

cdef unsigned int ACTIVE, DISABLED, SOFT, EV_CLEAR, EV_EOF, EV_ONESHOT, NOTE_LINKDOWN, NOTE_LINKINV, NOTE_LINKUP
cdef unsigned int _KNOWN, _IFF_UP, _IFF_RUNNING
cdef int LINK_GONE, LINK_IS, LINK_LISTED, LINK_REFUSED, _EINVAL, _ENODEV, _ENOBUFS
cdef unsigned long long _INT_MAX


@cython.final
cdef class Link:
    cdef Knote knote
    cdef bint known
    cdef bint gone
    cdef bint told
    cdef unsigned int flags
    cdef unsigned int changes


cdef class NetDev(Filter):
    cdef Host _host
    cdef Links _links
    cdef dict _by_index
    cdef bint _listing
    cdef bint _torn
    cdef int _refusal
    @cython.locals(rc=cython.int, link=Link, links=Links)
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef detach(self, Knote kn)
    cpdef drain(self, int number)
    cpdef close(self)
    @cython.locals(rc=cython.int, links=Links)
    cdef int _open(self) except -1
    @cython.locals(link=Link)
    cdef _forget(self, Knote kn)
    @cython.locals(n=cython.int, i=cython.int, kind=cython.int, links=Links, link=Link)
    cdef _hear(self)
    @cython.locals(link=Link, links=Links)
    cdef _list(self)
    @cython.locals(link=Link)
    cdef _listed(self, bint torn)
    cdef _gone(self, Link link)
    @cython.locals(was=cython.uint, now=cython.uint, happened=cython.uint)
    cdef _is(self, Link link, unsigned int flags, unsigned int changes)
    cdef _post(self, Knote kn, unsigned int notes, unsigned int now)
