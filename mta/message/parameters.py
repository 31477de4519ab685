"""Fields with parameters: Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2183, RFC 2231)."""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from mta.message import charset, encoded_words

# parameter := attribute "=" value, found in one pass: no part of the text is looked at twice.
_PARAMETER = re.compile(
    r';\s*+(?P<name>[^\s=;"]++)\s*+=\s*+(?:"(?P<quoted>(?:[^"\\]|\\.)*+)"?|(?P<plain>[^;]*+))', re.DOTALL
)
# attribute "*" section "*" (RFC 2231 7); nobody needs more than 9999 sections.
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_WORD_END = re.compile(r"[\s(]")
_EXTENDED = re.compile(r";\s*+[^\s=;\"*]++\*")

_MAX_PARAMETERS = 1000

# The values that people write with blanks and without quotes.
_NAMES = ("filename", "name")


class ParameterField(NamedTuple):
    """The value before the first semicolon, in lower case and without comments, and the parameters by lower-case name."""

    value: str
    parameters: dict[str, str]

    def get(self, name: str, default: str = "") -> str:
        """A parameter; of several with the same name the first, of `name` and `name*` the latter."""
        return self.parameters.get(name, default)


def parse(text: str) -> ParameterField:
    """Take a field value apart. Never raises: what makes no sense is passed over."""
    text = unfold(text)
    head = text.partition(";")[0]
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for match in islice(_PARAMETER.finditer(text, len(head)), _MAX_PARAMETERS):
        attribute = _SECTION.fullmatch(match["name"].lower())
        if attribute is None:
            continue
        name, number, extended = attribute.groups()
        value = _value(name, match)
        if number is None and not extended:
            plain.setdefault(name, value)
        else:
            sections.setdefault(name, {}).setdefault(int(number or 0), (value, bool(extended)))
    joined = {name: _join(parts) for name, parts in sections.items() if 0 in parts}
    return ParameterField("".join(head.partition("(")[0].split()).lower(), {**plain, **joined})


def unfold(text: str) -> str:
    """The value on one line (RFC 5322 2.2.3)."""
    return _FOLD.sub("", text)


def decoded(text: str) -> str:
    """The field value with RFC 2231 parameters put together and decoded; any other text as it is."""
    if not _EXTENDED.search(text):
        return text
    found = parse(text)
    quoted = (f'{name}="{_quote(value)}"' for name, value in found.parameters.items())
    return "; ".join((text.partition(";")[0].strip(), *quoted))


def _value(name: str, match: re.Match[str]) -> str:
    if match["quoted"] is not None:
        value: str = match["quoted"]
        return _QUOTED_PAIR.sub(r"\1", value) if "\\" in value else value
    value = match["plain"].strip()
    return value if name in _NAMES else _WORD_END.split(value, maxsplit=1)[0]


def _join(sections: dict[int, tuple[str, bool]]) -> str:
    """The sections from 0 on, as long as none is missing. Octets are put together before they become text."""
    first, extended = sections[0]
    language_free, octets = "", []
    if extended and first.count("'") >= 2:
        language_free, _, first = first.split("'", 2)
    for number in range(len(sections)):
        if number not in sections:
            break
        value, percent = (first, extended) if number == 0 else sections[number]
        octets.append(unquote_to_bytes(value) if percent else value.encode("utf-8", "replace"))
    return charset.decode(b"".join(octets), language_free)[0]


def _quote(value: str) -> str:
    return encoded_words.one_line(value).replace("\\", "\\\\").replace('"', '\\"')
