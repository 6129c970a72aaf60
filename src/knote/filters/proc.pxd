cimport cython

from knote._kernel.connector cimport Connector
from knote._kernel.pidfd cimport child_status, exit_status, has_ended, image, leader_state, pidfd_open, pidfd_state
from knote._kernel.time cimport close_fd, now_ns, timer_create, timer_set
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.life cimport Life
from knote.ready cimport ReadyList
from knote.table cimport Table

cdef unsigned int ACTIVE, DISABLED, SOFT, IN
cdef unsigned int EV_CLEAR, EV_EOF, EV_ONESHOT
cdef unsigned int NOTE_CHILD, NOTE_EXEC, NOTE_EXIT, NOTE_FORK, NOTE_SIGNAL, NOTE_TRACK, NOTE_TRACKERR, FOLLOWED
cdef unsigned int PROC_FORK, PROC_EXEC, PROC_EXIT
cdef int _ANNOUNCEMENT, DROP, IS_ACTIVE, NOT_ACTIVE, CLOCK_MONOTONIC, _ZOMBIE
cdef int _EAGAIN, _ECHILD, _EMFILE, _ENFILE, _ENOBUFS, _EOPNOTSUPP, _ESRCH
cdef unsigned long long _PID_MAX
cdef long long _SWEEP_NS, _SWEEP_SHARE


cdef class Proc(Filter):
    cdef ReadyList _ready
    cdef Table _table
    cdef object _own
    cdef object _disown
    cdef dict _by_fd
    cdef dict _bare
    cdef dict _followed
    cdef Connector _connector
    cdef bint _retuned
    cdef int _opener
    cdef int _timer

    @cython.locals(rc=cython.int)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(life=Life, rc=cython.int, fd=cython.int, pid=cython.int)
    cdef int _begin(self, Knote kn, bint tracked) except -1
    @cython.locals(life=Life, rc=cython.int, ended=cython.int)
    cdef int _begin_bare(self, Knote kn) except -1
    @cython.locals(rc=cython.int, before=cython.uint)
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef detach(self, Knote kn)
    @cython.locals(fd=cython.int)
    cdef _let_go(self, Knote kn)
    @cython.locals(status=cython.int)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(kn=Knote, status=cython.int)
    cpdef drain(self, int number)
    cdef _activate(self, Knote kn, unsigned int notes)
    @cython.locals(life=Life)
    cdef _finish(self, Knote kn, int status)
    @cython.locals(status=cython.int)
    cdef _ask(self, Life life)
    cdef Life _known(self, int pid)
    cdef Life _life(self, Knote kn)
    @cython.locals(connector=Connector, rc=cython.int)
    cdef int _listen(self) except -1
    @cython.locals(life=Life, rc=cython.int)
    cdef int _follow(self, Knote kn) except -1
    cdef _unfollow(self, Knote kn)
    @cython.locals(life=Life, everything=cython.bint)
    cdef _settle(self)
    @cython.locals(connector=Connector, life=Life, n=cython.int, i=cython.int)
    cdef _hear(self)
    @cython.locals(kn=Knote, notes=cython.uint, errors=cython.uint)
    cdef _heard(self, Life life, unsigned int what, int value)
    @cython.locals(kid=Knote, told=Knote)
    cdef int _track(self, Knote kn, int child) except -1
    @cython.locals(life=Life, kn=Knote, notes=cython.uint, now=cython.longlong)
    cdef _catch_up(self)
    @cython.locals(fd=cython.int)
    cdef bint _start_sweep(self) except -1
    @cython.locals(life=Life, began=cython.longlong, now=cython.longlong)
    cdef _sweep(self)
    cpdef close(self)
