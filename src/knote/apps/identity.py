"""Whom a server becomes once it has what only root can get."""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple


class IdentityError(ValueError):
    """No such user or group, or nobody who could become them; the text says which, and what now."""


class Identity(NamedTuple):
    """A user, a group, and the supplementary groups."""

    user: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def is_ours(self) -> bool:
        """Whether we are that already."""
        return os.getresuid() == (self.uid,) * 3 and os.getresgid() == (self.gid,) * 3

    def check(self) -> None:
        """Raise IdentityError if take() would for want of rights."""
        if os.geteuid() and not self.is_ours():
            raise IdentityError(
                f"--user {self.user}: only root can become somebody else, and this is uid {os.geteuid()}: "
                "start it as root, or leave --user out"
            )

    def take(self) -> None:
        """Become them, for ever.  Raises IdentityError."""
        self.check()
        if self.is_ours():
            return
        try:
            # In this order: without root's user, the groups could not be changed any more.
            os.setgroups(self.groups)
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        except PermissionError:
            raise IdentityError(
                f"--user {self.user}: refused to root: CAP_SETUID and CAP_SETGID are missing here"
            ) from None


def find(user: str, group: str | None = None) -> Identity:
    """Of a name or a number; the group is the user's own when None.  Raises IdentityError."""
    entry = _user(user)
    gid = entry.pw_gid if group is None else _group(group)
    try:
        groups = tuple(sorted({*os.getgrouplist(entry.pw_name, entry.pw_gid), gid} - {0} | {gid}))
    except OSError as error:
        raise IdentityError(f"--user {user}: its groups cannot be told: {error.strerror}") from None
    return Identity(user, entry.pw_uid, gid, groups)


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError):  # the last one: a NUL
        raise IdentityError(f"--user {name}: there is no such user; 'getent passwd' lists them") from None


def _group(name: str) -> int:
    try:
        return (grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)).gr_gid
    except (KeyError, OverflowError, ValueError):
        raise IdentityError(f"--group {name}: there is no such group; 'getent group' lists them") from None
