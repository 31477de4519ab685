"""Where the control socket is: in the state directory of the queue, whatever the length of its path."""

from __future__ import annotations

import os
import socket
from pathlib import Path

NAME = "control.sock"


def listen(directory: Path) -> socket.socket:
    """A listening socket (mode 0600) in the directory, which is made if need be; what is left of another one is replaced.

    The caller holds the lock of the queue, so nobody else listens there. Raises OSError.
    """
    directory.mkdir(mode=0o700, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        path = _path(fd)
        if os.path.lexists(path):
            os.unlink(path)
        mask = os.umask(0o177)
        try:
            sock.bind(path)
        finally:
            os.umask(mask)
        sock.listen(16)
        return sock
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(fd)


def connect(directory: Path, timeout: float) -> socket.socket:
    """A connection to the server that listens there; timeout: seconds for each step. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    fd = -1
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        sock.connect(_path(fd))
        return sock
    except BaseException:
        sock.close()
        raise
    finally:
        if fd >= 0:
            os.close(fd)


def _path(fd: int) -> str:
    """Through the open directory: a socket's own path may have 107 bytes only."""
    return f"/proc/self/fd/{fd}/{NAME}"
