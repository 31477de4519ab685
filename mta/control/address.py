"""Where the control sockets are: in the state directory of the queue, whatever the length of its path."""

from __future__ import annotations

import _socket
import os
import socket
from contextlib import suppress
from pathlib import Path

from mta.outbound.share import Share

NAME = "control.sock"
MASTER = "master.sock"
BACKLOG = 16


def name_for(share: Share) -> str:
    """The name of a worker's socket: `control.sock`, or `control.SLOT.sock` when there are several."""
    return NAME if share.slots == 1 else f"control.{share.slot}.sock"


def names(directory: Path) -> list[str]:
    """The sockets that are there by slot, whether somebody listens or not. Raises OSError."""
    return sorted((path.name for path in directory.glob("control*.sock")), key=lambda name: (len(name), name))


def clear(directory: Path) -> None:
    """Remove the sockets of an earlier run. The caller holds the lock of the queue. Raises OSError."""
    for name in (*names(directory), MASTER, *(path.name for path in directory.glob(".*.sock.*"))):
        (directory / name).unlink(missing_ok=True)


def open_unnamed(directory: Path, name: str) -> _socket.socket:
    """A listening socket (mode 0600) in the directory, which is made if need be; nobody finds it until publish().

    The bare kind from `_socket`, which needs no event loop. The caller owns the name, for it or its master holds the lock of
    the queue. Raises OSError.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        path = _path(fd, _unpublished(name))
        if os.path.lexists(path):
            os.unlink(path)
        mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        sock.listen(BACKLOG)
        return sock
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(fd)


def publish(directory: Path, name: str) -> None:
    """Give the socket its name, in one step: who had it before is not asked any more. Raises OSError."""
    (directory / _unpublished(name)).rename(directory / name)


def withdraw(directory: Path, name: str) -> None:
    """Remove what was not published; one that was stays."""
    with suppress(OSError):
        (directory / _unpublished(name)).unlink()


def connect(directory: Path, timeout: float, name: str = NAME) -> socket.socket:
    """A connection to the worker that listens there; timeout: seconds for each step. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    fd = -1
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        sock.connect(_path(fd, name))
        return sock
    except BaseException:
        sock.close()
        raise
    finally:
        if fd >= 0:
            os.close(fd)


def _unpublished(name: str) -> str:
    """A name of its own for each process: one that ends early leaves something behind, which names() does not find."""
    return f".{name}.{os.getpid()}"


def _path(fd: int, name: str) -> str:
    """Through the open directory: a socket's own path may have 107 bytes only."""
    return f"/proc/self/fd/{fd}/{name}"
