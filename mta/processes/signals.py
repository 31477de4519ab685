"""Signals and descriptors, waited for in one place without an event loop and without a handler that interrupts anything."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Callable, Iterable
from typing import Any

from gevent.monkey import get_original

LOOK = 0.1  # seconds between two looks for signals where the system has no signalfd(2)
MASK_BYTES = 128  # sizeof(sigset_t), of glibc and of musl

_poll: Callable[[], Any] = get_original("select", "poll")
_close: Callable[[int], None] = get_original("os", "close")


class Signals:
    """Some signals, blocked from here on: each is taken with take(), none is lost, none interrupts a system call."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        self._fd = _signalfd(self._numbers)

    def take(self) -> signal.struct_siginfo | None:
        """The next signal that has come; None when there is none."""
        return signal.sigtimedwait(self._numbers, 0)

    def wait(self, fds: Iterable[int], seconds: float) -> list[int]:
        """Wait until one of the descriptors can be read, a signal has come, or so many seconds went by; those descriptors."""
        poll = _poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        if self._fd >= 0:
            poll.register(self._fd, select.POLLIN)
        else:
            seconds = min(seconds, LOOK)
        return [fd for fd, _ in poll.poll(seconds * 1000) if fd != self._fd]

    def leave(self) -> None:
        """In a child: let signals come as they do in any process."""
        if self._fd >= 0:
            _close(self._fd)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)


def _signalfd(numbers: Iterable[signal.Signals]) -> int:
    """A descriptor that can be read when one of the signals has come; -1 where there is no such thing."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "signalfd"):
        return -1
    mask = ctypes.create_string_buffer(MASK_BYTES)
    libc.sigemptyset(mask)
    for number in numbers:
        libc.sigaddset(mask, int(number))
    fd: int = libc.signalfd(-1, mask, os.O_NONBLOCK | os.O_CLOEXEC)
    return fd
