"""Disks that stop, fail or take notes at a chosen system call."""

import os
import signal
from collections.abc import Callable

from mta.outbound.spool_disk import Disk

Before = Callable[[str, str], None]


class SteppingDisk(Disk):
    """Tells `before` each system call that is to come, and the file it is for. A write has two halves."""

    def __init__(self, before: Before) -> None:
        super().__init__()
        self.before = before
        self.files: dict[int, str] = {}

    def sync_directory(self) -> None:
        self.before("sync_directory", "")
        super().sync_directory()

    def rename(self, old: str, new: str) -> None:
        self.before("rename", old)
        super().rename(old, new)

    def unlink(self, name: str) -> None:
        self.before("unlink", name)
        super().unlink(name)

    def create(self, name: str) -> int:
        self.before("create", name)
        fd = super().create(name)
        self.files[fd] = name
        return fd

    def open(self, name: str) -> int:
        self.before("open", name)
        fd = super().open(name)
        self.files[fd] = name
        return fd

    def stat(self, fd: int) -> os.stat_result:
        self.before("stat", self.files[fd])
        return super().stat(fd)

    def read(self, fd: int, size: int, position: int) -> bytes:
        self.before("read", self.files[fd])
        return super().read(fd, size, position)

    def write(self, fd: int, data: bytes) -> None:
        self.before("write", self.files[fd])
        super().write(fd, data[: len(data) // 2])
        self.before("write_rest", self.files[fd])
        super().write(fd, data[len(data) // 2 :])

    def truncate(self, fd: int, size: int) -> None:
        self.before("truncate", self.files[fd])
        super().truncate(fd, size)

    def sync(self, fd: int) -> None:
        self.before("sync", self.files[fd])
        super().sync(fd)

    def close(self, fd: int) -> None:
        # A close that fails has closed the file all the same (close(2)).
        name = self.files.pop(fd)
        super().close(fd)
        self.before("close", name)


class Notebook:
    """Writes the calls down."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, step: str, name: str) -> None:
        self.calls.append((step, name))

    def count(self, step: str) -> int:
        return sum(1 for call, _ in self.calls if call == step)


class FailAt:
    """Fails the call with this number, counted from when it is armed, and those `also` names from then on."""

    def __init__(self, number: int, error: int, also: str = "") -> None:
        self.number = number
        self.error = error
        self.also = also
        self.failed = ""
        self.armed = False

    def __call__(self, step: str, name: str) -> None:
        if not self.armed:
            return
        self.number -= 1
        if self.number == 0:
            self.failed = step
        if self.number == 0 or (self.failed and step == self.also):
            raise OSError(self.error, os.strerror(self.error))


class DieAt:
    """Ends the process, as kill -9 does, before the call with this number, counted from when it is armed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.armed = False

    def __call__(self, step: str, name: str) -> None:
        self.number -= self.armed
        if self.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
