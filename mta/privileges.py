"""Giving up root's rights, once everything that needs them is open: smtp.ini `user` and `group`."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class PrivilegesError(Exception):
    """A user or group that does not exist, or that this process may not become; the text is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a process shall belong to."""

    user: str
    uid: int
    gid: int


def identity(user: str, group: str) -> Identity | None:
    """The identity that smtp.ini names, by name or number; None when it names none. Raises PrivilegesError.

    Without a group it is the user's own; a group alone keeps the user.
    """
    if not user and not group:
        return None
    try:
        entry = _user(user or str(os.geteuid()))
    except KeyError:
        raise PrivilegesError(f"smtp.ini user: there is no user {user!r}") from None
    try:
        gid = _group(group) if group else entry.pw_gid
    except KeyError:
        raise PrivilegesError(f"smtp.ini group: there is no group {group!r}") from None
    return Identity(entry.pw_name, entry.pw_uid, gid)


def hand_over(directories: Iterable[Path], to: Identity) -> None:
    """Make directories that are missing, and let them belong to that identity, with what is in them if they did not before.

    Links are not followed; one that is no directory, or can not be made, is left to whoever uses it to complain about.
    """
    for directory in directories:
        try:
            directory.mkdir(mode=0o750, exist_ok=True)
            if directory.stat().st_uid == to.uid:
                continue
            for path in directory.iterdir():
                if (
                    path.lstat().st_nlink == 1 or path.is_dir()
                ):  # a second name may be that of any file of the system
                    os.chown(path, to.uid, to.gid, follow_symlinks=False)
            os.chown(directory, to.uid, to.gid)
        except OSError:
            continue


def give(path: Path, to: Identity) -> None:
    """Let something that we have just made belong to that identity. Raises OSError."""
    os.chown(path, to.uid, to.gid, follow_symlinks=False)


@contextmanager
def acting_as(to: Identity | None) -> Iterator[None]:
    """Make files as that identity meanwhile; for a process of root's with one thread. Nothing changes for others."""
    if to is None or os.geteuid() != 0:
        yield
        return
    group = os.getegid()
    os.setegid(to.gid)
    os.seteuid(to.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def become(to: Identity) -> None:
    """Give up all rights but those of this identity, for good; supplementary groups as well. Raises PrivilegesError."""
    if os.geteuid() != 0:
        if (os.geteuid(), os.getegid()) == (to.uid, to.gid):
            return
        raise PrivilegesError(f"smtp.ini: only root can switch to user {to.user} and its group")
    os.setgroups([])
    os.setresgid(to.gid, to.gid, to.gid)
    os.setresuid(to.uid, to.uid, to.uid)


def _user(text: str) -> pwd.struct_passwd:
    return pwd.getpwuid(int(text)) if text.isascii() and text.isdecimal() else pwd.getpwnam(text)


def _group(text: str) -> int:
    return (grp.getgrgid(int(text)) if text.isascii() and text.isdecimal() else grp.getgrnam(text)).gr_gid
