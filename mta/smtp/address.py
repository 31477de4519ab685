"""An envelope address: its grammar (RFC 5321 4.1.2 and 4.1.3, RFC 6531 3.3) and its value."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import NoReturn

# RFC 5321 4.5.3.1.1 to 4.5.3.1.3, in octets.
MAX_LOCAL_PART = 64
MAX_DOMAIN = 255
MAX_PATH = 256

# UTF8-non-ascii (RFC 6531 3.3) is allowed wherever it is not named here, without the C1 controls, which are invisible and have
# no use in an address. Said by what is not allowed, as a set with a million characters takes ten times as long to compile.
_NO_UTF8 = r"\x7f-\x9f\ud800-\udfff"
# atext = ALPHA / DIGIT / "!" / "#" ... "~" / UTF8-non-ascii;  Dot-string = Atom *("." Atom)
_ATEXT = rf'[^\x00- "(),.:;<>@\[-\]{_NO_UTF8}]'
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
# Quoted-string = DQUOTE *QcontentSMTP DQUOTE;  QcontentSMTP = qtextSMTP / quoted-pairSMTP
_QUOTED_STRING = rf'"(?:[^\x00-\x1f"\\{_NO_UTF8}]|\\[ -~])*"'
# sub-domain = Let-dig [Ldh-str] / U-label. A label has at most 63 octets (RFC 1035 2.3.4).
_LET_DIG = r"[^\x00-/:-@\[-`{-\x9f\ud800-\udfff]"
_LDH = r"[^\x00-,./:-@\[-`{-\x9f\ud800-\udfff]"
_LABEL = rf"{_LET_DIG}(?:{_LDH}{{0,61}}{_LET_DIG})?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
# address-literal = "[" ( IPv4 / "IPv6:" IPv6-addr / Standardized-tag ":" 1*dcontent ) "]"; what is inside is checked later
_LITERAL = r"\[[!-Z^-~]+\]"
# Path = "<" [ A-d-l ":" ] Mailbox ">"
_MAILBOX = rf"(?:(?P<plain>{_DOT_STRING})|(?P<quoted>{_QUOTED_STRING}))@(?P<host>{_DOMAIN}|{_LITERAL})>"
_PATH = re.compile(f"<{_MAILBOX}")
_GENERAL_LITERAL = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+")
_POSTMASTER = re.compile(r"<(postmaster)>", re.IGNORECASE)

_DOT_STRING_ONLY = re.compile(_DOT_STRING)
_QUOTED_PAIR = re.compile(r"\\(.)")
_NEEDS_BACKSLASH = re.compile(r'(["\\])')
_FORBIDDEN_IN_USER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FORBIDDEN_IN_HOST = re.compile(r"[\x00- <>@\"\x7f-\x9f\ud800-\udfff]")


class AddressError(ValueError):
    """The text is not an address by RFC 5321 and RFC 6531."""


class Address:
    """One mailbox: user (unquoted) and host (lower case, A-labels). Immutable; equal by (user, host).

    original and original_host default to what user and host give. The null reverse-path has an empty user and host.
    Raises AddressError for control characters and for a domain that has no A-label form.
    """

    __slots__ = ("address", "host", "is_utf8", "original", "original_host", "user")

    user: str
    """What stands before the @, without quotes."""
    host: str
    """The domain in lower case, international ones as A-labels; "" for `postmaster` and the null reverse-path."""
    original: str
    """The address as it was written."""
    original_host: str
    """The domain as it was written."""
    address: str
    """user@host, user quoted where the grammar asks for it; "" for the null reverse-path."""
    is_utf8: bool
    """True when the address as written needs SMTPUTF8."""

    def __init__(
        self, user: str, host: str, original: str | None = None, original_host: str | None = None
    ) -> None:
        if _FORBIDDEN_IN_USER.search(user) or _FORBIDDEN_IN_HOST.search(host):
            raise AddressError(f"forbidden characters in an address: {user!r} at {host!r}")
        ascii_host = host.lower() if host.isascii() else _to_a_labels(host)
        written_host = host if original_host is None else original_host
        address = f"{_quote(user)}@{ascii_host}" if ascii_host else user and _quote(user)
        fill = object.__setattr__
        fill(self, "user", user)
        fill(self, "host", ascii_host)
        fill(self, "original_host", written_host)
        fill(self, "original", address if original is None else original)
        fill(self, "address", address)
        fill(self, "is_utf8", not (user.isascii() and written_host.isascii()))

    @staticmethod
    def parse(text: str) -> Address:
        """Read `user@host`, `<user@host>`, `<>` or `postmaster`. Raises AddressError."""
        address, rest = parse_path(text if text.startswith("<") else f"<{text}>")
        if rest:
            raise AddressError(f"text after the address: {rest!r}")
        return address

    @property
    def is_null(self) -> bool:
        """True for the null reverse-path `<>`, the sender of bounces."""
        return not self.address

    def to_json(self) -> dict[str, object]:
        """The address as Haraka writes it into a queue file: same keys, same order, `original` in angle brackets."""
        if self.is_null:
            return {"original": "<>", "user": None, "host": None}
        record: dict[str, object] = {"original": f"<{self.original}>", "original_host": self.original_host}
        if self.is_utf8:
            record["is_utf8"] = True
        return {**record, "host": self.host, "user": _quote(self.user)}

    @staticmethod
    def from_json(record: Mapping[str, object]) -> Address:
        """Read back what to_json, or Haraka, wrote. Raises AddressError when it is no address."""
        user, host = record.get("user") or "", record.get("host") or ""
        original, original_host = record.get("original"), record.get("original_host") or host
        if not (isinstance(user, str) and isinstance(host, str) and isinstance(original_host, str)):
            raise AddressError(f"not an address record: {record!r}")
        if len(user) > 1 and user[0] == user[-1] == '"':
            user = _QUOTED_PAIR.sub(r"\1", user[1:-1])
        if isinstance(original, str):
            original = original.removeprefix("<").removesuffix(">")
        return Address(user, host, original if isinstance(original, str) else None, original_host)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.user == other.user and self.host == other.host

    def __hash__(self) -> int:
        return hash((self.user, self.host))

    def __str__(self) -> str:
        return f"<{self.address}>"

    def __repr__(self) -> str:
        return f"Address({self.user!r}, {self.host!r})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Address does not change: {name}")

    def __reduce__(self) -> tuple[type[Address], tuple[str, str, str, str]]:
        return Address, (self.user, self.host, self.original, self.original_host)


def parse_path(text: str) -> tuple[Address, str]:
    """Read the path that the text begins with: `<user@host> SIZE=1` gives the address and ` SIZE=1`.

    `<>` is the null reverse-path and `<postmaster>` needs no domain. Source routes are dropped. Raises AddressError.
    """
    # Without a quote the first ">" ends the path, and the cache need not know what follows it.
    if '"' not in text:
        end = text.find(">") + 1
        return _parse(text[:end] if end else text)[0], text[end:]
    address, length = _parse(text)
    return address, text[length:]


@lru_cache(maxsize=4096)
def _parse(text: str) -> tuple[Address, int]:
    match = _with_route().match(text) if text.startswith("<@") else _PATH.match(text)
    if match is None:
        return _parse_special(text)
    path, plain, quoted, host = match[0], match["plain"], match["quoted"], match["host"]
    _check_lengths(path, plain or quoted, host)
    if host[0] == "[":
        _check_literal(host[1:-1])
    user = plain or _QUOTED_PAIR.sub(r"\1", quoted[1:-1])
    return Address(user, host, path[1:-1], host), len(path)


@cache
def _with_route() -> re.Pattern[str]:
    """The source route A-d-l is read and ignored (RFC 5321 appendix C). Hardly anybody sends one, and to compile it takes 5 ms."""
    return re.compile(rf"<@{_DOMAIN}(?:,@{_DOMAIN})*:{_MAILBOX}")


def _parse_special(text: str) -> tuple[Address, int]:
    if text.startswith("<>"):
        return NULL, 2
    match = _POSTMASTER.match(text)  # RFC 5321 4.1.1.3: in any case, and without a domain
    if match is None:
        raise AddressError(f"not a mailbox: {text[:MAX_PATH]!r}")
    return Address("postmaster", "", match[1], ""), match.end()


def _check_lengths(path: str, local_part: str, host: str) -> None:
    for what, text, limit in (
        ("path", path, MAX_PATH),
        ("local part", local_part, MAX_LOCAL_PART),
        ("domain", host, MAX_DOMAIN),
    ):
        # A text of up to a quarter of the limit fits whatever its characters are.
        if len(text) * 4 > limit and len(text.encode()) > limit:
            raise AddressError(f"{what} longer than {limit} octets")


def _check_literal(literal: str) -> None:
    try:
        if literal[:5].lower() != "ipv6:":
            # General-address-literal: only its form is checked, as no tag but IPv6 is registered so far.
            if not _GENERAL_LITERAL.fullmatch(literal):
                ipaddress.IPv4Address(literal)
        elif "%" in literal:
            raise ValueError("a zone has no meaning elsewhere")
        else:
            ipaddress.IPv6Address(literal[5:])
    except ValueError as error:
        raise AddressError(f"not an address literal: [{literal}]") from error


def _to_a_labels(host: str) -> str:
    """The domain in ASCII, as DNS knows it (RFC 5891); UTS 46 folds case and width first."""
    import idna  # only for the few messages that need it: the tables take 5 MB

    try:
        a_labels = idna.encode(host, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError(f"not an international domain name: {host!r}") from error
    if _FORBIDDEN_IN_HOST.search(a_labels) or len(a_labels) > MAX_DOMAIN:
        raise AddressError(f"not an international domain name: {host!r}")
    return a_labels


def _quote(user: str) -> str:
    """The local part as the grammar wants it: a Dot-string where it is one, else a Quoted-string."""
    if _DOT_STRING_ONLY.fullmatch(user):
        return user
    return '"' + _NEEDS_BACKSLASH.sub(r"\\\1", user) + '"'


NULL = Address("", "")
"""The null reverse-path `<>`, from which bounces come."""
