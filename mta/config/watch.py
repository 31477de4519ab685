"""Follows configuration directories by inotify and calls back when what was read from them has changed."""

from __future__ import annotations

import copy
import ctypes
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import gevent
from gevent.socket import wait_read

from mta.config.problem import Notice, Problem

T = TypeVar("T")

PAUSE = 0.001  # seconds for those who wait, between two readers: the first comparison of all takes 30 ms
QUIET = 0.3  # seconds without a further change before the files are read: editors and scripts write in steps
PATIENCE = 3.0  # seconds after which they are read although something keeps changing
POLL = 5.0  # seconds between looks where there is no inotify

# <sys/inotify.h>
_IN_MODIFY, _IN_ATTRIB, _IN_CLOSE_WRITE, _IN_MOVED_FROM, _IN_MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_IN_CREATE, _IN_DELETE, _IN_DELETE_SELF, _IN_MOVE_SELF, _IN_ONLYDIR = 0x100, 0x200, 0x400, 0x800, 0x01000000
_NAMES = _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_ONLYDIR
_CONTENT = _NAMES | _IN_MODIFY | _IN_ATTRIB | _IN_CLOSE_WRITE | _IN_DELETE_SELF | _IN_MOVE_SELF


class Inotify:
    """A bare inotify descriptor. Raises OSError where the system has none, or none left."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "inotify_init1"):
            raise OSError("this system has no inotify")
        self._add_watch = libc.inotify_add_watch
        self.fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def add(self, directory: Path, mask: int) -> None:
        """Watch a directory; doing so again changes nothing, one that does not exist is left alone."""
        if self._add_watch(self.fd, os.fsencode(directory), mask) >= 0:
            return
        error = ctypes.get_errno()
        if directory.is_dir():
            raise OSError(error, os.strerror(error))

    def drain(self) -> None:
        """Take the events out; what they say does not matter, files are compared anyway."""
        try:
            while os.read(self.fd, 65536):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


class _Follower:
    """One reader with what it said last; `check` calls back when it says something else."""

    def __init__(self, read: Callable[[], Any], value: Any, on_change: Callable[[Any], None]) -> None:
        self._read = read
        self._value = value
        self._on_change = on_change

    def check(self, report: Notice) -> gevent.Greenlet[..., None] | None:
        """Read again, and call back in a greenlet of its own, which is returned, when the value is another one."""
        value = self._read()
        if value == self._value:
            return None
        self._value = value
        return gevent.spawn(self._call, copy.deepcopy(value), report)

    def _call(self, value: Any, report: Notice) -> None:
        try:
            self._on_change(value)
        except Exception as error:  # a plugin's callback; the others must still be called
            name = getattr(self._on_change, "__qualname__", repr(self._on_change))
            report(Problem("configuration", f"{name} failed after a change: {error!r}"))


class Watch:
    """Followers of files in some directories; nothing runs before start() and after stop()."""

    def __init__(self, report: Notice, directories: Iterable[Path]) -> None:
        self._report = report
        self._directories = list(directories)
        self._followers: list[_Follower] = []
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def add(self, directory: Path) -> None:
        """Watch one more directory."""
        if directory not in self._directories:
            self._directories.append(directory)

    def follow(self, read: Callable[[], T], value: T, on_change: Callable[[T], None]) -> None:
        """Call on_change with what `read` says whenever that differs from what it said before, first `value`."""
        self._followers.append(_Follower(read, value, on_change))

    def start(self) -> None:
        """Begin to follow; a second call changes nothing."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """End it; callbacks that run already finish."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill()

    def catch_up(self) -> None:
        """Look for changes now, and wait until everybody who follows has been told."""
        told = [follower.check(self._report) for follower in self._followers]
        gevent.joinall([each for each in told if each is not None])

    def _run(self) -> None:
        try:
            inotify = Inotify()
        except OSError as error:
            self._poll(error)
            return
        try:
            self._follow(inotify)
        except OSError as error:
            self._poll(error)
        finally:
            inotify.close()

    def _follow(self, inotify: Inotify) -> None:
        self._cover(inotify)
        self._check_by_turns()  # what changed between reading and watching
        while True:
            wait_read(inotify.fd)
            self._settle(inotify)
            self._cover(inotify)
            self._check_by_turns()

    def _settle(self, inotify: Inotify) -> None:
        """Wait until nothing has changed for a moment."""
        give_up = time.monotonic() + PATIENCE
        inotify.drain()
        while time.monotonic() < give_up and _changes_within(inotify.fd, QUIET):
            inotify.drain()

    def _cover(self, inotify: Inotify) -> None:
        """Watch every directory there is by now, and for those that may be made later their parents."""
        for directory in self._directories:
            inotify.add(directory.parent, _NAMES)
            for each in _tree(directory):
                inotify.add(each, _CONTENT)

    def _check_by_turns(self) -> None:
        """Look for changes, and give way in between."""
        for follower in list(self._followers):
            follower.check(self._report)
            gevent.sleep(PAUSE)

    def _poll(self, error: OSError) -> None:
        text = error.strerror or str(error)
        self._report(Problem("configuration", f"no inotify ({text}): looking for changes every {POLL:g} s"))
        while True:
            gevent.sleep(POLL)
            self._check_by_turns()


def _changes_within(fd: int, seconds: float) -> bool:
    try:
        wait_read(fd, timeout=seconds)
    except TimeoutError:
        return False
    return True


def _tree(directory: Path) -> Iterator[Path]:
    """A directory, those below it, and those that symbolic links in it lead to."""
    for folder, folders, names in os.walk(directory):
        yield Path(folder)
        for name in (*folders, *names):
            path = os.path.join(folder, name)
            if os.path.islink(path):
                yield Path(os.path.realpath(path)).parent
