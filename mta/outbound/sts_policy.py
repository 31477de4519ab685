"""What a domain says by MTA-STS: the TXT record and the policy, read as strictly as RFC 8461 writes them; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, TypeAlias, cast

from mta.net.host_names import matches
from mta.record import record

Mode: TypeAlias = Literal["enforce", "testing", "none"]

MAX_AGE = 31_557_600  # RFC 8461 3.2: a year
MAX_BYTES = 65_536
_MAX_PATTERNS = 1000

# RFC 8461 3.1:
#   sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
#   sts-id          = %s"id=" 1*32(ALPHA / DIGIT)
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
_TXT = re.compile(rf"v=STSv1(?:[ \t]*;[ \t]*{_NAME}=[\x21-\x3a\x3c\x3e-\x7e]+)+(?:[ \t]*;[ \t]*)?\Z")
_ID = re.compile(r";[ \t]*id=([A-Za-z0-9]{1,32})[ \t]*(?:;|\Z)")
# RFC 8461 3.2: sts-policy-field = name ":" *WSP value, the term between two of them being LF or CRLF
_FIELD = re.compile(rf"({_NAME}):[ \t]*([^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*\Z")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?\Z")


class StsInvalid(ValueError):
    """A policy that breaks the rules; the text says which."""


@record
class StsPolicy:
    """The policy of one domain. mx: patterns of its mail hosts; max_age: seconds."""

    mode: Mode
    mx: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """True when the host may take mail for the domain (RFC 8461 4.1)."""
        return any(matches(pattern, host) for pattern in self.mx)

    def lines(self) -> tuple[str, ...]:
        """The policy as a report shows it (RFC 8460 4.4)."""
        return (
            "version: STSv1",
            f"mode: {self.mode}",
            *(f"mx: {pattern}" for pattern in self.mx),
            f"max_age: {self.max_age}",
        )


def policy_id(records: Iterable[str]) -> str | None:
    """The id in the TXT record of `_mta-sts`; None when there is not exactly one sound record (RFC 8461 3.1)."""
    ours = [record for record in records if re.match(r"v=STSv1[ \t]*;", record)]
    if len(ours) != 1 or not _TXT.match(ours[0]):
        return None
    found = _ID.search(ours[0])
    return found[1] if found else None


def parse_policy(text: str) -> StsPolicy:
    """Read the body that the policy host gave. Unknown fields are passed over; of a repeated field, other than mx, the
    first counts (RFC 8461 3.2). Raises StsInvalid.
    """
    fields = _fields(text)
    first = {name: values[0] for name, values in fields.items()}
    if first.get("version") != "STSv1":
        raise StsInvalid("there is no `version: STSv1`")
    mode = first.get("mode", "")
    if mode not in ("enforce", "testing", "none"):
        raise StsInvalid(f"mode is {mode!r}")
    age = first.get("max_age", "")
    if not re.fullmatch(r"[0-9]{1,10}", age):
        raise StsInvalid(f"max_age is {age!r}")
    patterns = tuple(dict.fromkeys(value.lower().rstrip(".") for value in fields.get("mx", ())))
    if mode != "none" and not patterns:
        raise StsInvalid("there is no mx")
    wrong = [pattern for pattern in patterns if not _PATTERN.match(pattern)]
    if wrong:
        raise StsInvalid(f"mx is {wrong[0]!r}")
    if len(patterns) > _MAX_PATTERNS:
        raise StsInvalid("there are too many mx")
    return StsPolicy(cast(Mode, mode), patterns, min(int(age), MAX_AGE))


def _fields(text: str) -> dict[str, list[str]]:
    lines = text.split("\n")
    if lines and not lines[-1].strip(" \t\r"):
        lines.pop()
    found: dict[str, list[str]] = {}
    for line in lines:
        field = _FIELD.match(line.removesuffix("\r"))
        if field is None:
            raise StsInvalid(f"not a field: {line[:60]!r}")
        found.setdefault(field[1], []).append(field[2])
    return found
