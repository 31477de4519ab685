"""What Linux tells about a process and its children: processor time and memory."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat that follow the program's name, `state` first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def state(pid: int) -> str:
    """Return the letter of proc(5): R, S, T for one that is stopped, Z."""
    return _stat(pid)[0]


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
    found = [pid]
    for member in found:
        found.extend(parents.get(member, ()))
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system time of the tree so far, children already waited for included."""
    ticks = 0
    for member in tree(pid):
        try:
            ticks += sum(int(value) for value in _stat(member)[11:15])  # utime stime cutime cstime
        except (FileNotFoundError, ProcessLookupError):
            continue
    return ticks / TICKS_PER_SECOND


def _status(pid: int, key: str) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended while we looked
    match = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match[1]) if match else 0


def owners(pid: int) -> dict[str, set[int]]:
    """Return whom a process belongs to: the real, effective, saved and file system ids, and the supplementary groups."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: set(map(int, lines[key].split())) for key in ("Uid", "Gid", "Groups")}


def rss_kib(pid: int) -> int:
    """Return the resident memory of the tree in KiB (pages shared by two processes count twice)."""
    return sum(_status(member, "VmRSS") for member in tree(pid))


def peak_rss_kib(pid: int) -> int:
    """Return the greatest resident memory of the tree in KiB since the start or the last `forget_peak`.

    Each process's own peak is taken, so for several it is never too low.
    """
    return sum(_status(member, "VmHWM") for member in tree(pid))


def forget_peak(pid: int) -> None:
    """Let `peak_rss_kib` start again from what is resident now."""
    for member in tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            Path(f"/proc/{member}/clear_refs").write_text("5")
