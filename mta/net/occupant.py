"""Which process listens at an address, as far as Linux tells (proc(5): /proc/net/tcp, /proc/PID/fd)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mta.net.endpoint import Endpoint

PROC = Path("/proc")
LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp

_INODE = re.compile(r"socket:\[(\d+)\]")


def occupants(endpoint: Endpoint) -> set[int]:
    """The processes that listen on that port or path; empty where the kernel does not say it, or not to us."""
    inodes = set(_unix_inodes(endpoint.path) if endpoint.path else _tcp_inodes(endpoint.port))
    return {pid for pid in _processes() if inodes and not inodes.isdisjoint(_sockets_of(pid))}


def kin(pid: int, other: int) -> bool:
    """True for the same process, parent and child, or two children of one parent that is not init."""
    parents = _parent(pid), _parent(other)
    return pid == other or pid == parents[1] or other == parents[0] or (parents[0] == parents[1] > 1)


def _tcp_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        for line in _lines(PROC / "net" / table):
            # sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
            words = line.split()
            if len(words) > 9 and words[3] == LISTEN and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _unix_inodes(path: str) -> Iterator[str]:
    for line in _lines(PROC / "net" / "unix"):
        words = line.split(None, 7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(words) == 8 and words[7] == path:
            yield words[6]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return []


def _processes() -> Iterator[int]:
    try:
        names = os.listdir(PROC)
    except OSError:
        return
    yield from (int(name) for name in names if name.isdecimal())


def _sockets_of(pid: int) -> Iterator[str]:
    """The inodes of the sockets that a process has open; none when it is gone or not ours to look at."""
    directory = PROC / str(pid) / "fd"
    try:
        for name in os.listdir(directory):
            if found := _INODE.fullmatch(os.readlink(directory / name)):
                yield found[1]
    except OSError:
        return


def _parent(pid: int) -> int:
    """0 when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
