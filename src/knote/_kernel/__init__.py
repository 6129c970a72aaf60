"""The only room that knows C: raw system calls, structs, barriers and locks.

``kn_*.h`` are plain C11 without Python.h and return n or -errno; ``X.pyx`` is a thin class over them, and
``X.py`` beside it is the interpreted twin: the same names in ctypes and the standard library, which is also
what checkers read.  Where ``X`` was compiled, the extension shadows the twin.
"""
