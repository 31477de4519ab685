"""Log records as text: the default form, logfmt and JSON. Whatever the client sent, a record stays one line."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mta.log_record import Record

# C0, DEL and C1 drive terminals and end lines; U+2028, U+2029 and the bidirectional controls make a line look like
# another; lone surrogates are bytes that were not UTF-8 (PEP 383) and cannot be written.
_UNSAFE = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_unsafe = re.compile(f"[{_UNSAFE}]")
_must_quote = re.compile(f'[\\s="\\\\{_UNSAFE}]|^$')
_bare = re.compile(
    r"[!#-<>-\[\]-~]+"
).fullmatch  # the common case in one quick match: visible ASCII, no = " \
_SHORT = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}

_GREEN, _GREY, _CYAN, _BLUE, _RED = 32, 90, 36, 34, 31
_COLOURS = (_RED, _RED, _RED, _RED, _RED, _BLUE, _CYAN, _GREY, _GREEN, _GREEN)  # by level, EMERG first


def default_line(record: Record) -> str:
    """`[LEVEL] [uuid] [origin] message key=value ...`"""
    parts = [f"[{record.level_name}] [{record.uuid}] [{record.origin}]"]
    if record.message:
        parts.append(record.message)
    if record.fields:
        parts.append(_pairs(record.fields.items()))
    return escape(" ".join(parts))


def logfmt_line(record: Record) -> str:
    """`level=... uuid=... source=... message=... key=value ...`"""
    return escape(_pairs(_keys(record).items()))


def json_line(record: Record) -> str:
    """One JSON object with the keys of logfmt."""
    text = json.dumps(_keys(record), ensure_ascii=False, default=str)
    return _unsafe.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


FORMATS: dict[str, Callable[[Record], str]] = {
    "default": default_line,
    "logfmt": logfmt_line,
    "json": json_line,
}


def with_timestamp(render: Callable[[Record], str], record: Record) -> str:
    """The line with its time: in front of the default form, as first key of the others so that they stay parseable."""
    moment = iso_time(record.time)
    line = render(record)
    if render is default_line:
        return f"{moment} {line}"
    if render is logfmt_line:
        return f"timestamp={moment} {line}"
    return f'{{"timestamp": "{moment}", {line[1:]}'


def iso_time(seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds, `2026-11-22T01:21:39.123Z`. `seconds` since 1970."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milliseconds:03d}Z"


def coloured(line: str, level: int) -> str:
    """The whole line in the colour of its level (ANSI)."""
    return f"\x1b[{_COLOURS[level]}m{line}\x1b[0m"


def escape(text: str) -> str:
    r"""The text with control characters shown as `\n`, `\x1b`, `\u2028`; bytes that were not UTF-8 as `\xff`."""
    return _unsafe.sub(_shown, text) if _unsafe.search(text) else text


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _keys(record: Record) -> dict[str, object]:
    return {
        "level": record.level_name,
        "uuid": record.uuid,
        "source": record.origin,
        "message": record.message,
        **record.fields,
    }


def _pairs(items: Iterable[tuple[str, object]]) -> str:
    return " ".join([f"{key}={_value(value)}" for key, value in items])


def _value(value: object) -> str:
    text = value if type(value) is str else _text(value)
    if _bare(text) or not _must_quote.search(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(_text(item) for item in value)
    return str(value)


def record_text(record: Record) -> str:
    """What happened, without level, uuid and source: `message key=value ...`, on one line."""
    return escape(" ".join(filter(None, (record.message, _pairs(record.fields.items())))))


def record_line(record: Record, format: str = "default", timestamp: bool = False) -> str:
    """The line of a record in one of the FORMATS, with its time if asked for. Raises KeyError for an unknown format."""
    render = FORMATS[format]
    return with_timestamp(render, record) if timestamp else render(record)
