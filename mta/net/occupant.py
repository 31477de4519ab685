"""Which process listens at an address, as far as Linux tells (proc(5): /proc/net/tcp, /proc/PID/fd)."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mta.net.endpoint import Endpoint
from mta.net.ip import parse_ip

PROC = Path("/proc")
LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp

_INODE = re.compile(r"socket:\[(\d+)\]")


def occupants(endpoint: Endpoint) -> set[int]:
    """The processes that listen there, or where it is included; empty where the kernel does not say it, or not to us.

    Who only shares the socket of its parent is left out: a worker, or a child that was forked to run another program.
    """
    inodes = set(_unix_inodes(endpoint.path) if endpoint.path else _tcp_inodes(endpoint))
    if not inodes:
        return set()
    found = {pid: _parent(pid) for pid in _processes() if not inodes.isdisjoint(_sockets_of(pid))}
    return {pid for pid, parent in found.items() if parent and parent not in found}


def kin(pid: int, other: int) -> bool:
    """True for the same process, parent and child, or two children of one parent that is not init."""
    parents = _parent(pid), _parent(other)
    return pid == other or pid == parents[1] or other == parents[0] or (parents[0] == parents[1] > 1)


def _tcp_inodes(endpoint: Endpoint) -> Iterator[str]:
    named = parse_ip(endpoint.host) is None  # whatever addresses the name has
    for table in ("tcp", "tcp6"):
        for line in _lines(PROC / "net" / table):
            # sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
            words = line.split()
            if len(words) > 9 and words[3] == LISTEN:
                there = _endpoint(words[1])
                if there.port == endpoint.port and (named or there.overlaps(endpoint)):
                    yield words[9]


def _endpoint(text: str) -> Endpoint:
    """`0100007F:0019`: the address in words of 32 bits as they lie in memory, the port as people write it."""
    address, _, port = text.partition(":")
    words = (int(address[start : start + 8], 16) for start in range(0, len(address), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return Endpoint(str(ipaddress.ip_address(packed)), int(port, 16))


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
        names = os.listdir(directory)
    except OSError:
        return
    for name in names:
        try:
            found = _INODE.fullmatch(os.readlink(directory / name))
        except OSError:
            continue  # closed since: in our own process, what listed them
        if found:
            yield found[1]


def _parent(pid: int) -> int:
    """0 when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])
