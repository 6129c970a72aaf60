"""Signals are the process's, not a queue's: who listens to which, and the handler in front of the program's.

It is the one thing of the process that knote changes, and only while somebody listens:

* the disposition of the signals that are listened to, see _kernel/kn_signal.h;
* _signal.signal() and _signal.getsignal(), the C functions below those of signal, so that a handler which the
  program installs later has the counting one in front of it at once; and so that the program sees its own where
  the counting one is a Python function;
* subprocess's permission to use vfork(2) and posix_spawn(3), while an ignored signal is listened to.  A handler
  stands in the place of SIG_IGN then, and execve(2) would make SIG_DFL of it; a child of fork(2) puts SIG_IGN back
  before it runs anything else.  subprocess documents these two switches as safe to set.

Threads: any.  The lock is taken after any queue's, never before.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import os
import sys
import threading
from typing import Any

from knote._kernel.fork import fork_count
from knote._kernel.signal import Bell, exists, give_back, hides_ignored, shown, take

_EINVAL = errno.EINVAL
_lock = threading.RLock()
_listeners: dict[int, int] = {}
"""How many bells listen to each signal."""
_keen: set[int] = set()
"""Those of them that somebody wants even where they are ignored."""
_stuck: set[int] = set()
"""Not listened to any more, and not given back yet: interpreted, only the main thread can do that."""
_forks = fork_count()
_real_signal = _signal.signal
_real_getsignal = _signal.getsignal
_switches: dict[str, Any] = {}
"""What subprocess's switches were before they were turned off."""
unturned = False
"""They should be, and the program has not imported subprocess yet: look again, by keep()."""


def subscribe(bell: Bell, number: int, even_ignored: bool = False) -> int:
    """From now on each delivery of the signal raises bell, and knote._kernel.signal.count() counts it.

    even_ignored: raise it for a SIGCHLD that is ignored, too; that is not counted (S-226).
    0, or an errno: EINVAL for a number that is no signal's; EOPNOTSUPP, interpreted, if this is not the main
    thread or the handler is C code's.
    """
    with _lock:
        _notice_fork()
        if not exists(number):
            return _EINVAL
        rc = take(number, even_ignored)
        if rc < 0:
            return -rc
        if even_ignored:
            _keen.add(number)
        bell.listen(number)
        _listeners[number] = _listeners.get(number, 0) + 1
        _hook()
        _turn_switches()
    return 0


def unsubscribe(bell: Bell, number: int) -> None:
    """Take a subscription back; the last one of a signal takes the handler away."""
    with _lock:
        _notice_fork()
        bell.unlisten(number)
        left = _listeners.get(number, 0) - 1
        if left > 0:
            _listeners[number] = left
            return
        _listeners.pop(number, None)
        _keen.discard(number)
        _stuck.add(number)
        _let_go()


def keep(number: int) -> None:
    """C code has put its own handler there (see settled()): be in front of it again; or unturned."""
    with _lock:
        _notice_fork()
        if number in _listeners:
            take(number, number in _keen)
            _turn_switches()
        if _stuck:
            _let_go()


def _let_go() -> None:
    for number in list(_stuck):
        if number in _listeners or give_back(number) == 0:
            _stuck.discard(number)
    _turn_switches()
    if not _listeners and not _stuck:
        _unhook()


def _notice_fork() -> None:
    # A fork by C code, that Python's hooks do not hear of.
    if fork_count() != _forks:
        _after_fork_in_child()


def _after_fork_in_child() -> None:
    global _lock, _forks
    _lock = threading.RLock()
    _forks = fork_count()
    _listeners.clear()
    _keen.clear()
    _stuck.clear()
    _turn_switches()
    _unhook()


# -- what the program does by itself ---------------------------------------------------------------------------


def _signal_signal(number: Any, handler: Any, /) -> Any:
    old = shown(_real_signal(number, handler))
    keep(int(number))
    return old


def _signal_getsignal(number: Any, /) -> Any:
    return shown(_real_getsignal(number))


def _hook() -> None:
    if _signal.signal is _real_signal:
        _signal.signal = _signal_signal
        _signal.getsignal = _signal_getsignal


def _unhook() -> None:
    # Somebody who has put a function of his own before ours goes on calling it, which does no harm.
    if _signal.signal is _signal_signal:
        _signal.signal = _real_signal
    if _signal.getsignal is _signal_getsignal:
        _signal.getsignal = _real_getsignal


def _turn_switches() -> None:
    # Not imported here: we are under a queue's lock, and whatever an import runs must not be.
    global unturned
    module: Any = sys.modules.get("subprocess")
    hidden = hides_ignored()
    unturned = hidden and module is None
    if module is None:
        return
    if hidden:
        for name in ("_USE_VFORK", "_USE_POSIX_SPAWN"):
            if getattr(module, name, False) and name not in _switches:
                _switches[name] = getattr(module, name)
                setattr(module, name, False)
    else:
        for name, value in _switches.items():
            setattr(module, name, value)
        _switches.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
