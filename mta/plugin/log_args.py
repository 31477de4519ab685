"""The loose arguments of a log call: text, mappings and whatever carries a uuid, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def uuid_of(subject: object) -> str:
    """The uuid that log lines about a connection, a transaction or a queued mail carry; "-" for anything else."""
    for holder in (subject, getattr(subject, "todo", None)):
        uuid = getattr(holder, "log_uuid", None) or getattr(holder, "uuid", None)
        if isinstance(uuid, str):
            return uuid
    return "-"


def read_log_args(args: Iterable[Any]) -> tuple[str, dict[str, Any] | None, str]:
    """Sort log arguments into message, key=value fields (None without any) and uuid."""
    words: list[str] = []
    fields: dict[str, Any] = {}
    uuid = "-"
    for arg in args:
        found = uuid_of(arg)
        if found != "-":
            uuid = found
        elif isinstance(arg, Mapping):
            fields.update(arg)
        else:
            words.append(str(arg))
    return " ".join(words), fields or None, uuid
