"""Command lines: verb and argument, and the paths and parameters of MAIL and RCPT (RFC 5321 4.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mta.smtp.address import Address, AddressError, parse_path
from mta.smtp.reply import ProtocolError, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Params = dict[str, str | None]

# esmtp-param = esmtp-keyword ["=" esmtp-value];  esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
# esmtp-value = 1*(%d33-60 / %d62-126), and UTF8-non-ascii by RFC 6531 3.3
_PARAM = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00- =\x7f-\x9f]+))?")

# size-value = 1*20DIGIT (RFC 1870 3)
_SIZE = re.compile(r"[0-9]{1,20}")

# Line ends were taken off by whoever split the lines: one that is still here, or a NUL, is an attack or a mistake.
_FORBIDDEN = re.compile(rb"[\0\r\n]")

# Which extension allows a MAIL parameter. One that is not listed belongs to the extension of its own name.
_MAIL_EXTENSION: Final = {"BODY": "8BITMIME", "RET": "DSN", "ENVID": "DSN", "BY": "DELIVERBY"}
_RCPT_EXTENSION: Final = {"NOTIFY": "DSN", "ORCPT": "DSN", "RRVS": "RRVS"}

_NOT_UTF8 = Reply(501, "Syntax error (8-bit characters not allowed)", "5.5.2")
_BAD_CHARACTER = Reply(500, "Syntax error (control characters not allowed)", "5.5.2")
_BAD_MAIL_FROM = Reply(501, "Invalid MAIL FROM address", "5.1.7")
_BAD_RCPT_TO = Reply(501, "Invalid RCPT TO address", "5.1.3")
_NO_PARAMETERS = Reply(555, "Invalid command parameters", "5.5.4")
_TOO_BIG = Reply(552, "Message too big!", "5.3.4")


def parse_command(line: bytes) -> tuple[str, str]:
    """Split a command line (without CRLF) into the verb in upper case and its argument without outer blanks.

    Raises ProtocolError for bytes that are not UTF-8 and for NUL, CR and LF.
    """
    if _FORBIDDEN.search(line):
        raise ProtocolError(_BAD_CHARACTER)
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ProtocolError(_NOT_UTF8) from None
    verb, _, argument = text.partition(" ")
    # Only ASCII letters may change case: the upper case of U+0131 is the letter I, and no verb has it.
    return verb.upper() if verb.isascii() else verb, argument.strip()


def parse_mail(argument: str, strict: bool = False) -> tuple[Address, Params]:
    """Read the argument of MAIL, `FROM:<reverse-path> [parameters]`, into the address and its parameters.

    Keys are in upper case, a parameter without a value has None. strict demands the form of the RFC; otherwise blanks
    after the colon, an address without angle brackets and no address at all (the null reverse-path) are let through.
    Raises ProtocolError.
    """
    if argument[:5].upper() != "FROM:":
        if argument or strict:
            raise _parsing_failed("Syntax is MAIL FROM:<address>")
        return parse_path("<>")[0], {}
    path = argument[5:]
    if not strict:
        path = path.lstrip() or "<>"
    address, rest = _split_path(path, strict, _BAD_MAIL_FROM)
    if not (address.host or address.is_null):  # only a recipient may be <postmaster>
        raise ProtocolError(_BAD_MAIL_FROM)
    return address, _parse_params(rest) if rest else {}


def parse_rcpt(argument: str, strict: bool = False) -> tuple[Address, Params]:
    """Read the argument of RCPT, `TO:<forward-path> [parameters]`, as parse_mail does. Raises ProtocolError."""
    if argument[:3].upper() != "TO:":
        raise _parsing_failed("Syntax is RCPT TO:<address>")
    path = argument[3:] if strict else argument[3:].lstrip()
    if "@" not in path and path[:12].lower() != "<postmaster>":
        raise _parsing_failed(f"Syntax error in address: {path}")
    address, rest = _split_path(path, strict, _BAD_RCPT_TO)
    if address.is_null:
        raise ProtocolError(_BAD_RCPT_TO)
    return address, _parse_params(rest) if rest else {}


def check_mail_params(params: Mapping[str, str | None], extensions: frozenset[str], max_bytes: int) -> None:
    """Refuse parameters of MAIL that were not offered or have a bad value, and a SIZE over max_bytes (0: no limit).

    extensions holds the EHLO keywords offered to this client, empty after HELO. Raises ProtocolError.
    """
    for key, value in params.items():
        _check_offered("MAIL", key, _MAIL_EXTENSION.get(key, key), extensions)
        check_value = _VALUE_CHECKS.get(key)
        if check_value is not None:
            check_value(value, extensions)
    size = params.get("SIZE")
    if size and max_bytes and int(size) > max_bytes:
        raise ProtocolError(_TOO_BIG)


def check_rcpt_params(params: Mapping[str, str | None], extensions: frozenset[str]) -> None:
    """Refuse parameters of RCPT that were not offered, as check_mail_params does. Raises ProtocolError."""
    for key in params:
        _check_offered("RCPT", key, _RCPT_EXTENSION.get(key, ""), extensions)


def _split_path(path: str, strict: bool, refusal: Reply) -> tuple[Address, str]:
    """Take the address off the front; what is left is empty or begins with a blank."""
    try:
        if path[:1] == "<":
            address, rest = parse_path(path)
        elif strict:
            raise _parsing_failed(f"Invalid format of address: {path}")
        else:
            word, blank, rest = path.partition(" ")
            address, rest = Address.parse(word), blank + rest
    except AddressError:
        raise ProtocolError(refusal) from None
    if rest and not rest[0].isspace():
        raise _parsing_failed("Syntax error in parameters")
    return address, rest


def _parse_params(text: str) -> Params:
    params: Params = {}
    for word in text.split():
        match = _PARAM.fullmatch(word)
        if match is None:
            raise _parsing_failed(f"Syntax error in parameters ({word})")
        key = match[1].upper()
        if key in params:
            raise _parsing_failed(f"Repeated parameter {key}")
        params[key] = match[2]
    return params


def _parsing_failed(reason: str) -> ProtocolError:
    return ProtocolError(Reply(501, ("Command parsing failed", f"Error: {reason}"), "5.5.4"))


def _check_offered(verb: str, key: str, extension: str, extensions: frozenset[str]) -> None:
    if extension not in extensions:
        raise ProtocolError(
            Reply(555, f"Unsupported {verb} parameter {key}", "5.5.4") if extensions else _NO_PARAMETERS
        )


def _bad_value(key: str) -> ProtocolError:
    return ProtocolError(Reply(501, f"Invalid value of parameter {key}", "5.5.4"))


def _check_size(value: str | None, extensions: frozenset[str]) -> None:
    if not _SIZE.fullmatch(value or ""):
        raise _bad_value("SIZE")


def _check_body(value: str | None, extensions: frozenset[str]) -> None:
    body = (value or "").upper()
    if body not in ("7BIT", "8BITMIME") and not (body == "BINARYMIME" and "BINARYMIME" in extensions):
        raise _bad_value("BODY")


def _check_smtputf8(value: str | None, extensions: frozenset[str]) -> None:
    if value is not None:  # RFC 6531 3.4
        raise _bad_value("SMTPUTF8")


_VALUE_CHECKS: Final[dict[str, Callable[[str | None, frozenset[str]], None]]] = {
    "SIZE": _check_size,
    "BODY": _check_body,
    "SMTPUTF8": _check_smtputf8,
}
