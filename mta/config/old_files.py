"""Files of earlier Haraka releases that hold what is a key of an ini file today; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mta.config.ini import Entry, Sections
from mta.config.problem import Problem


class OldFile(NamedTuple):
    """One such file, and the key that has taken its place. `lines`: each line of it is an element of `key[]`."""

    name: str
    ini: str
    section: str
    key: str
    lines: bool = False


OLD_FILES = (
    OldFile("outbound.disabled", "outbound.ini", "main", "disabled"),
    OldFile("outbound.enable_tls", "outbound.ini", "main", "enable_tls"),
    OldFile("outbound.temp_fail_intervals", "outbound.ini", "main", "temp_fail_intervals"),
    OldFile("outbound.maxTempFailures", "outbound.ini", "main", "maxTempFailures"),
    OldFile("outbound.concurrency_max", "outbound.ini", "main", "concurrency_max"),
    OldFile("outbound.received_header", "outbound.ini", "main", "received_header"),
    OldFile("haproxy_hosts", "connection.ini", "haproxy", "hosts", lines=True),
    OldFile("smtpgreeting", "connection.ini", "message", "greeting", lines=True),
    OldFile("ehlo_hello_message", "connection.ini", "message", "helo"),
    OldFile("connection_close_message", "connection.ini", "message", "close"),
    OldFile("databytes", "connection.ini", "max", "bytes"),
    OldFile("max_mime_parts", "connection.ini", "max", "mime_parts"),
    OldFile("max_line_length", "connection.ini", "max", "line_length"),
    OldFile("max_data_line_length", "connection.ini", "max", "data_line_length"),
    OldFile("max_unrecognized_commands", "connection.ini", "max", "unrecognized_commands"),
    OldFile("toobusy.maxlag", "toobusy.ini", "main", "maxlag"),
)

_NO = ("", "0", "false", "no", "off")  # not `disabled`, which is a word of received_header

# The file as it was written: one entry, or several for one with lines; empty when there is none, or nothing in it.
Read = Callable[[OldFile], Sequence[Entry]]


def with_old_files(
    ini: str, sections: Sections, read: Read, is_shipped: Callable[[Entry], bool]
) -> tuple[Sections, list[Problem]]:
    """The sections of an ini file with what its old files say; each of these is worth a notice.

    As in Haraka a key that the operator wrote into the ini file wins, unless it says no.
    """
    problems: list[Problem] = []
    for old in OLD_FILES:
        if old.ini != ini or not (entries := read(old)):
            continue
        written = sections.get(old.section, {}).get(old.key)
        if written is not None and not is_shipped(written) and _says_something(written):
            problems.append(Problem(entries[0].file, f"not read, because {ini} says {old.key}"))
            continue
        new_place = f"[{old.section}] {old.key}{'[]' if old.lines else ''} in {ini}"
        problems.append(Problem(entries[0].file, f"an old file, whose place is taken by {new_place}"))
        section = {**sections.get(old.section, {}), old.key: _entry(old, entries)}
        sections = {**sections, old.section: section}
    return sections, problems


def _says_something(entry: Entry) -> bool:
    if isinstance(entry.text, list):
        return any(entry.text)
    return (entry.text or "").lower() not in _NO


def _entry(old: OldFile, entries: Sequence[Entry]) -> Entry:
    first = entries[0]
    if not old.lines:
        return first
    texts = [entry.text for entry in entries if isinstance(entry.text, str)]
    return Entry(texts, first.file, first.line)
