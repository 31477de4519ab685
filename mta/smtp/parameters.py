"""Parameters of MAIL and RCPT: which extension allows them, and what values they may have."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mta.smtp.reply import ProtocolError, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[str | None, frozenset[str]], bool]

# Which extension allows a parameter, where that is not the extension of the same name.
MAIL_EXTENSION: Final = {
    "BODY": "8BITMIME",
    "RET": "DSN",
    "ENVID": "DSN",
    "BY": "DELIVERBY",
    "HOLDFOR": "FUTURERELEASE",
    "HOLDUNTIL": "FUTURERELEASE",
}
RCPT_EXTENSION: Final = {"NOTIFY": "DSN", "ORCPT": "DSN", "RRVS": "RRVS"}

# Keywords that are offered in EHLO and are no parameter of MAIL.
_NO_PARAMETER: Final = frozenset(
    [
        "PIPELINING",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "DELIVERBY",
        "FUTURERELEASE",
        "LIMITS",
        "ETRN",
        "VRFY",
        "EXPN",
        "HELP",
        "STARTTLS",
        "XCLIENT",
        "XFORWARD",
    ]
)

# What a delivery has to know later: it travels with the mail into the queue.
KEPT: Final = ("RET", "ENVID", "REQUIRETLS", "BY", "MT-PRIORITY", "SMTPUTF8")

MAX_ENVID = 100  # RFC 3461 4.4
MAX_ORCPT = 500  # RFC 3461 4.2

# size-value = 1*20DIGIT (RFC 1870 3)
_SIZE = re.compile(r"[0-9]{1,20}")

# xtext = *( xchar / hexchar );  xchar = %d33-42 / %d44-60 / %d62-126;  hexchar = "+" 2(DIGIT / "A"-"F")  (RFC 3461 4)
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")

# addr-type = atom (RFC 3461 4.2)
_ADDR_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~-]+")

# utf-8-addr-xtext and utf-8-addr-unitext, with EmbeddedUnicodeChar = "\x{" HEXPOINT "}" (RFC 6533 3)
_UTF8_ADDRESS = re.compile(r"(?:[^\x00- +=\\\x7f-\xa0]|\\x\{[0-9A-F]{2,6}\})+")

# by-value = by-time ";" by-mode [by-trace];  by-time = ["-" / "+"] 1*9DIGIT (RFC 2852 4)
_BY = re.compile(r"([-+]?[0-9]{1,9});([NR])(T?)", re.IGNORECASE)

# priority-value = (["-"] NZDIGIT) / "0" (RFC 6710 4)
_PRIORITY = re.compile(r"-?[1-9]|0")

# future-release-interval = 1*9DIGIT (RFC 4865 3)
_INTERVAL = re.compile(r"[0-9]{1,9}")

# date-time of RFC 3339 5.6; a leap second is taken for the one after it
_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[-+]\d\d:\d\d)", re.IGNORECASE | re.ASCII
)

_NO_PARAMETERS = Reply(555, "Invalid command parameters", "5.5.4")
_TOO_BIG = Reply(552, "Message too big!", "5.3.4")


def decode_xtext(text: str) -> str:
    """What an xtext stands for (RFC 3461 4). Raises ValueError when it is none, or stands for more than ASCII."""
    if not _XTEXT.fullmatch(text):
        raise ValueError(f"not an xtext: {text!r}")
    plain = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    if not plain.isascii():
        raise ValueError(f"an xtext with octets beyond ASCII: {text!r}")
    return plain


def encode_xtext(text: str) -> str:
    """ASCII text as xtext. Raises ValueError for other text."""
    if not text.isascii():
        raise ValueError(f"xtext has no form for {text!r}")
    return _NOT_XCHAR.sub(lambda match: f"+{ord(match[0]):02X}", text)


def check_mail_params(params: Mapping[str, str | None], extensions: frozenset[str], max_bytes: int) -> None:
    """Refuse parameters of MAIL that were not offered or have a bad value, and a SIZE over max_bytes (0: no limit).

    extensions holds the EHLO keywords offered to this client, empty after HELO. Raises ProtocolError.
    """
    for key, value in params.items():
        extension = MAIL_EXTENSION.get(key, "" if key in _NO_PARAMETER else key)
        _check("MAIL", key, value, extension, extensions, _MAIL_VALUES)
    if "HOLDFOR" in params and "HOLDUNTIL" in params:
        raise ProtocolError(Reply(501, "HOLDFOR and HOLDUNTIL exclude each other", "5.5.4"))  # RFC 4865 4
    size = params.get("SIZE")
    if size and max_bytes and int(size) > max_bytes:
        raise ProtocolError(_TOO_BIG)


def check_rcpt_params(params: Mapping[str, str | None], extensions: frozenset[str]) -> None:
    """Refuse parameters of RCPT that were not offered, as check_mail_params does. Raises ProtocolError."""
    for key, value in params.items():
        _check("RCPT", key, value, RCPT_EXTENSION.get(key, ""), extensions, _RCPT_VALUES)


def release_time(params: Mapping[str, str | None], now: float, longest: int) -> float | None:
    """When a mail may leave at the earliest, in seconds since 1970; None when MAIL did not say, or that time has passed.

    params: of MAIL, checked; longest: seconds that a mail may be held. Raises ProtocolError when it lies too far ahead
    (RFC 4865 4).
    """
    if value := params.get("HOLDFOR"):
        release = now + int(value)
    elif value := params.get("HOLDUNTIL"):
        release = parse_date_time(value)
    else:
        return None
    if release > now + longest:
        raise ProtocolError(Reply(501, f"A mail can be held for {longest} seconds at most", "5.5.4"))
    return release if release > now else None


def parse_date_time(text: str) -> float:
    """A date-time of RFC 3339 as seconds since 1970. Raises ValueError."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date-time: {text!r}")
    *parts, zone = match.groups()
    year, month, day, hour, minute, second = map(int, parts)
    leap = second == 60
    moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC).timestamp()
    return moment + leap - _offset(zone)


def format_date_time(timestamp: float) -> str:
    """Seconds since 1970 in the form of RFC 3339, in UTC: `2026-11-22T09:00:00Z`."""
    return datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _offset(zone: str) -> int:
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:])
    if hours > 23 or minutes > 59:
        raise ValueError(f"not an offset: {zone!r}")
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def _check(
    verb: str,
    key: str,
    value: str | None,
    extension: str,
    extensions: frozenset[str],
    checks: Mapping[str, Check],
) -> None:
    if extension not in extensions:
        raise ProtocolError(
            Reply(555, f"Unsupported {verb} parameter {key}", "5.5.4") if extensions else _NO_PARAMETERS
        )
    check = checks.get(key)
    if check is not None and not check(value, extensions):
        raise ProtocolError(Reply(501, f"Invalid value of parameter {key}", "5.5.4"))


def _size(value: str | None, extensions: frozenset[str]) -> bool:
    return bool(_SIZE.fullmatch(value or ""))


def _body(value: str | None, extensions: frozenset[str]) -> bool:
    body = (value or "").upper()
    return body in ("7BIT", "8BITMIME") or (body == "BINARYMIME" and "BINARYMIME" in extensions)


def _no_value(value: str | None, extensions: frozenset[str]) -> bool:
    """SMTPUTF8 (RFC 6531 3.4), REQUIRETLS (RFC 8689 4)."""
    return value is None


def _auth(value: str | None, extensions: frozenset[str]) -> bool:
    """The identity of the submitter as xtext, or `<>` (RFC 4954 5)."""
    return bool(value) and (value == "<>" or _is_xtext(value))


def _ret(value: str | None, extensions: frozenset[str]) -> bool:
    return (value or "").upper() in ("FULL", "HDRS")


def _envid(value: str | None, extensions: frozenset[str]) -> bool:
    return bool(value) and len(value or "") <= MAX_ENVID and _is_xtext(value)


def _is_xtext(value: str | None) -> bool:
    """True for xtext of printable ASCII: it is copied into delivery reports (RFC 3461 4.4)."""
    try:
        return decode_xtext(value or "").isprintable()
    except ValueError:
        return False


def _by(value: str | None, extensions: frozenset[str]) -> bool:
    match = _BY.fullmatch(value or "")
    # RFC 2852 4: what is to be returned when it is late must not be late from the beginning.
    return match is not None and (match[2] in "Nn" or int(match[1]) > 0)


def _priority(value: str | None, extensions: frozenset[str]) -> bool:
    return bool(_PRIORITY.fullmatch(value or ""))


def _hold_for(value: str | None, extensions: frozenset[str]) -> bool:
    return bool(_INTERVAL.fullmatch(value or ""))


def _hold_until(value: str | None, extensions: frozenset[str]) -> bool:
    try:
        parse_date_time(value or "")
    except (ValueError, OverflowError):
        return False
    return True


def _notify(value: str | None, extensions: frozenset[str]) -> bool:
    """NEVER alone, or a list of the others (RFC 3461 4.1)."""
    words = (value or "").upper().split(",")
    if words == ["NEVER"]:
        return True
    return set(words) <= {"SUCCESS", "FAILURE", "DELAY"} and len(set(words)) == len(words)


def _orcpt(value: str | None, extensions: frozenset[str]) -> bool:
    """The address by which the first sender knew the recipient (RFC 3461 4.2, RFC 6533 3)."""
    if value is None or len(value) > MAX_ORCPT:
        return False
    kind, semicolon, address = value.partition(";")
    if not (_ADDR_TYPE.fullmatch(kind) and semicolon and address):
        return False
    if kind.lower() == "utf-8":
        return bool(_UTF8_ADDRESS.fullmatch(address)) and (address.isascii() or "SMTPUTF8" in extensions)
    return _is_xtext(address)


_MAIL_VALUES: Final[dict[str, Check]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _no_value,
    "AUTH": _auth,
    "RET": _ret,
    "ENVID": _envid,
    "REQUIRETLS": _no_value,
    "BY": _by,
    "MT-PRIORITY": _priority,
    "HOLDFOR": _hold_for,
    "HOLDUNTIL": _hold_until,
}
_RCPT_VALUES: Final[dict[str, Check]] = {"NOTIFY": _notify, "ORCPT": _orcpt}
