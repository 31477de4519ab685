"""Loopback ports for the servers of tests, each given to one test process of the machine only."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

RANGE = (15000, 32000)  # below those that the kernel gives to outgoing connections

_given: set[int] = set()
_claims: dict[int, int] = {}  # process id -> the file that its claims are locks on


def free_port() -> int:
    """Return a port that nobody listens on and that no other test process is given while this one lives."""
    while True:
        port = random.randrange(*RANGE)
        if port not in _given and _nobody_listens(port) and _claim(port):
            _given.add(port)
            return port


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _claim(port: int) -> bool:
    """Lock one byte of a file that all test processes share; the system lets go of it when the process ends.

    The server that is to listen starts later, so the port itself cannot be held. A lock costs no descriptor.
    """
    try:
        fcntl.lockf(_claims_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _claims_file() -> int:
    # A lock belongs to the process, and is lost as soon as that closes the file anywhere: it is opened once.
    pid = os.getpid()
    if pid not in _claims:
        path = Path(tempfile.gettempdir()) / f"test-ports-{os.getuid()}"
        _claims[pid] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    return _claims[pid]
