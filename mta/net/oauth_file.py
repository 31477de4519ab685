"""The file that holds a refresh token, which the provider may replace at any time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_TOKEN = 16384  # bytes
A_MOMENT = 0.05  # seconds


class TokenFile:
    """One token on the first line of a file. What could not be written is remembered, until somebody changes the file."""

    __slots__ = ("_before", "_unwritten", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._before = ""
        self._unwritten = ""

    def read(self) -> str:
        """The token. Raises OSError, ValueError when there is none."""
        with open(self.path, "rb") as file:
            line = file.read(MAX_TOKEN + 1).strip().partition(b"\n")[0].strip()
        if not line or len(line) > MAX_TOKEN:
            raise ValueError("its first line is empty or too long")
        text = line.decode("ascii", "replace")
        if not (text.isprintable() and text.isascii()):
            raise ValueError("its first line is no token")
        if self._unwritten and text == self._before:
            return self._unwritten
        self._before, self._unwritten = text, ""
        return text

    def doubt(self) -> str:
        """What will go wrong with the file, in words that follow its name; "" when nothing."""
        try:
            self.read()
        except OSError as error:
            return f"can not be read: {error.strerror}"
        except ValueError as error:
            return f"holds no token: {error}"
        writable = os.access(os.path.dirname(self.path), os.W_OK | os.X_OK, effective_ids=True)
        return "" if writable else "is in a directory that is not writable: a new token can not be kept"

    def write(self, token: str) -> None:
        """Replace the token: afterwards the file holds this one, mode 0600, or what it held before. Raises OSError."""
        if token == self._before and not self._unwritten:
            return
        self._unwritten = token
        folder, name = os.path.split(self.path)
        new = os.path.join(folder, f".{name}.{os.getpid()}.new")
        try:
            _write(new, token)
            os.replace(new, self.path)
        except OSError:
            _remove(new)
            raise
        self._before, self._unwritten = token, ""
        _sync_folder(folder)

    @contextmanager
    def locked(self, seconds: float) -> Iterator[None]:
        """Keep other processes from using the token meanwhile: a provider may take it for stolen when it is used twice.

        Goes on without after so many seconds, or where that is not possible.
        """
        try:
            folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            yield  # who reads the file will say what is wrong
            return
        try:
            _lock(folder, time.monotonic() + seconds)
            yield
        finally:
            os.close(folder)


def _lock(fd: int, end: float) -> None:
    """In short sleeps, since flock() would block the whole process."""
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                return
            time.sleep(A_MOMENT)
        except OSError:
            return  # a file system without locks


def _write(path: str, token: str) -> None:
    _remove(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"{token}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # most often there is none


def _sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
