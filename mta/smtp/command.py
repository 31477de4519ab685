"""Command lines: verb and argument, and the paths and parameters of MAIL and RCPT (RFC 5321 4.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mta.smtp.address import Address, AddressError, parse_path
from mta.smtp.reply import ProtocolError, Reply

if TYPE_CHECKING:
    Params = dict[str, str | None]

# esmtp-param = esmtp-keyword ["=" esmtp-value];  esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
# esmtp-value = 1*(%d33-60 / %d62-126), and UTF8-non-ascii by RFC 6531 3.3
_PARAM = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00- =\x7f-\x9f]+))?")

# Line ends were taken off by whoever split the lines: one that is still here, or a NUL, is an attack or a mistake.
_FORBIDDEN = re.compile(rb"[\0\r\n]")

_NOT_UTF8 = Reply(501, "Syntax error (8-bit characters not allowed)", "5.5.2")
_BAD_CHARACTER = Reply(500, "Syntax error (control characters not allowed)", "5.5.2")
_BAD_MAIL_FROM = Reply(501, "Invalid MAIL FROM address", "5.1.7")
_BAD_RCPT_TO = Reply(501, "Invalid RCPT TO address", "5.1.3")


def parse_command(line: bytes) -> tuple[str, str]:
    """Split a command line (without CRLF) into the verb in upper case and its argument without outer blanks.

    Raises ProtocolError for bytes that are not UTF-8 and for NUL, CR and LF.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ProtocolError(_BAD_CHARACTER if _FORBIDDEN.search(line) else _NOT_UTF8) from None
    if not text.isprintable() and _FORBIDDEN.search(line):
        raise ProtocolError(_BAD_CHARACTER)
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
