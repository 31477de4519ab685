"""The lines of event files and logs, read back: JSON events, and the three forms of log lines."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

from mta.record import record

LOG = "log"  # the name of what is no event but a line of the log
_GZIP = b"\x1f\x8b"
_ROTATED = re.compile(r"(?:[.-][0-9][0-9.-]*)?(?:\.gz)?")  # what logrotate adds to a name
_COLOUR = re.compile(r"\x1b\[[0-9]*m")
_DEFAULT = re.compile(r"(?:(?<!\S)(\S{1,40}Z) )?\[([A-Z]+)\] \[([^\]\s]+)\] \[([^\]]*)\] ?(.*)")
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
_JSON_KEYS = frozenset({"timestamp", "level", "uuid", "source", "message"})


@record
class Record:
    """One event, or one line of the log. time: seconds since 1970, None when the line does not tell; id: a uuid."""

    event: str
    id: str
    time: float | None
    fields: dict[str, Any] = field(default_factory=dict)


def rotated(path: Path) -> list[Path]:
    """A file and what it was renamed to when it had grown, the oldest first; none when there is none."""
    if not path.parent.is_dir():
        return []
    start = path.name
    found = [
        each
        for each in path.parent.iterdir()
        if each.name.startswith(start) and _ROTATED.fullmatch(each.name[len(start) :]) and each.is_file()
    ]
    return sorted(found, key=lambda each: each.stat().st_mtime)


def lines_with(paths: Iterable[Path], words: Iterable[str]) -> Iterator[str]:
    """The lines that have one of the words in them, of files that may be packed by gzip. Raises OSError."""
    wanted = [word.encode("utf-8", "replace") for word in words]
    for path in paths:
        with _opened(path) as file:
            for line in file:
                if any(word in line for word in wanted):
                    yield line.decode("utf-8", "replace").rstrip("\r\n")


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")


def parse(line: str) -> Record | None:
    """What a line says; None when it is none of ours. Whatever stands in front of it, such as syslog's, is skipped."""
    line = _COLOUR.sub("", line)
    if "{" in line and (found := _of_json(line)) is not None:
        return found
    match = _DEFAULT.search(line)
    if match is not None:
        time, level, uuid, source, said = match.groups()
        return _log(uuid, time, level, source, said)
    return _of_logfmt(line) if "uuid=" in line else None


def _of_json(line: str) -> Record | None:
    try:
        found = json.loads(line[line.index("{") :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if isinstance(found.get("event"), str) and isinstance(found.get("id"), str):
        return Record(found["event"], found["id"], _seconds(found.get("time")), found)
    if isinstance(found.get("uuid"), str) and "message" in found:
        more = " ".join(f"{key}={value}" for key, value in found.items() if key not in _JSON_KEYS)
        said = f"{found['message']} {more}".strip()
        return _log(found["uuid"], found.get("timestamp"), found.get("level"), found.get("source"), said)
    return None


def _of_logfmt(line: str) -> Record | None:
    pairs = {key: _unquoted(value) for key, value in _PAIR.findall(line)}
    if not pairs.keys() >= {"level", "uuid", "source"}:
        return None
    rest = [f"{key}={value}" for key, value in pairs.items() if key not in _JSON_KEYS]
    said = " ".join(filter(None, [pairs.get("message", ""), *rest]))
    return _log(pairs["uuid"], pairs.get("timestamp"), pairs["level"], pairs["source"], said)


def _log(uuid: str, time: object, level: object, source: object, said: str) -> Record:
    return Record(LOG, uuid, _seconds(time), {"level": level, "source": source, "message": said})


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _seconds(time: object) -> float | None:
    """Seconds since 1970 of a time in RFC 3339."""
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return None
