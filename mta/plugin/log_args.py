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


def read_log_args(args: Iterable[Any]) -> tuple[str, dict[str, Any] | None, str, object]:
    """Sort log arguments into message, key=value fields (None without any), uuid, and whom that belongs to (or None)."""
    words: list[str] = []
    fields: dict[str, Any] = {}
    uuid, about = "-", None
    for arg in args:
        found = uuid_of(arg)
        if found != "-":
            uuid, about = found, arg
        elif isinstance(arg, Mapping):
            fields.update(arg)
        else:
            words.append(str(arg))
    return " ".join(words), fields or None, uuid, about
