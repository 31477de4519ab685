"""The words of a bounce: the operator's template with its variables filled in."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping

_VARIABLE = re.compile(r"\{(\w+)\}")
_FIELD = re.compile(r"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)  # RFC 5322 2.2: printable ASCII but colon and blank
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace each `{name}` by its value; `?` stands in for what is unknown or empty."""
    return _VARIABLE.sub(lambda match: values.get(match[1]) or "?", text)


def escaped(values: Mapping[str, str]) -> dict[str, str]:
    """The same values for HTML: nothing in them is markup, and their line ends are kept."""
    return {
        name: html.escape(value).replace("\r", "&#13;").replace("\n", "&#10;")
        for name, value in values.items()
    }


def split_template(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """The header lines and the text lines of a template: the first empty line parts them."""
    header: list[str] = []
    text: list[str] = []
    place = header
    for line in lines:
        if place is header and not line.strip():
            place = text
        else:
            place.append(line.rstrip("\r\n"))
    return header, text


def header_fields(lines: Iterable[str], values: Mapping[str, str]) -> list[tuple[str, str]]:
    """The header fields of a filled template; a line that is no field is left out.

    A value can neither end its field nor start another one: control characters become blanks.
    """
    fields = []
    for line in unfold(lines):
        match = _FIELD.fullmatch(fill(line, {name: one_line(value) for name, value in values.items()}))
        if match:
            fields.append((match[1], one_line(match[2])))
    return fields


def unfold(lines: Iterable[str]) -> list[str]:
    """Join continuation lines (RFC 5322 2.2.3) to the line they continue."""
    whole: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and whole:
            whole[-1] += " " + line.strip()
        else:
            whole.append(line)
    return whole


def one_line(text: str) -> str:
    """Text that is safe inside one header field: no line ends, no other control characters."""
    return _CONTROL.sub(" ", text).strip()
