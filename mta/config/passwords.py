"""How a password may be written in a file: its hash in one of the usual forms, or itself."""

from __future__ import annotations

import re
from dataclasses import field

from mta.config.kinds import scalar
from mta.record import record

PLAIN = "plain"
ARGON2 = "argon2"
BCRYPT = "bcrypt"
SHA_CRYPT = "sha-crypt"
SCRAM = "scram-sha-256"

_B64 = r"[A-Za-z0-9+/]"
_FORMS = {
    ARGON2: re.compile(r"\$argon2(?:id|i|d)\$(?:v=\d+\$)?m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"),
    BCRYPT: re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}"),
    SHA_CRYPT: re.compile(
        r"\$5\$(?:rounds=\d+\$)?[./A-Za-z0-9]{0,16}\$[./A-Za-z0-9]{43}"
        r"|\$6\$(?:rounds=\d+\$)?[./A-Za-z0-9]{0,16}\$[./A-Za-z0-9]{86}"
    ),
    # RFC 5803 3, with the name of the mechanism as PostgreSQL writes it; the salt has at least 12 octets.
    SCRAM: re.compile(
        rf"SCRAM-SHA-256\$(?:[4-9]\d{{3}}|[1-9]\d{{4,6}}):{_B64}{{16,}}={{0,2}}\${_B64}{{43}}=:{_B64}{{43}}="
    ),
}
_SCHEMES = ("ARGON2I", "ARGON2ID", "BLF-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT", "CRYPT")  # Dovecot's names
_SCHEME = re.compile(r"\{([A-Z0-9.-]+)\}")
_LOOKS_HASHED = re.compile(r"\$[a-z0-9-]{1,16}\$|SCRAM-")


@record
class StoredPassword:
    """One password as a file has it; `text` is the password itself when the scheme is PLAIN, otherwise its hash."""

    scheme: str
    text: str = field(repr=False)

    @property
    def is_plain(self) -> bool:
        """True when it can be read from the file."""
        return self.scheme == PLAIN

    @property
    def is_scram(self) -> bool:
        """True when it is the salted keys of SCRAM-SHA-256."""
        return self.scheme == SCRAM


def parse_password(text: str) -> StoredPassword:
    """Tell the form of a stored password. Raises ValueError for an empty one, or a hash that nothing here can check."""
    if not text:
        raise ValueError("the password is empty")
    prefix = _SCHEME.match(text)
    if prefix is None:
        return _hashed(text) or _plain(text)
    rest = text[prefix.end() :]
    if prefix[1] == "PLAIN" and rest:
        return StoredPassword(PLAIN, rest)
    stored = _hashed(rest) if prefix[1] in _SCHEMES else None
    if stored is None:
        raise ValueError(f"{prefix[0]} is no scheme that is known, or this is no hash of that kind")
    return stored


def _hashed(text: str) -> StoredPassword | None:
    return next(
        (StoredPassword(scheme, text) for scheme, form in _FORMS.items() if form.fullmatch(text)), None
    )


def _plain(text: str) -> StoredPassword:
    if _LOOKS_HASHED.match(text):
        raise ValueError("this looks like a hash, but of no kind that is known")
    return StoredPassword(PLAIN, text)


PASSWORD = scalar(
    "a hash ($argon2id$..., $2b$..., $6$..., $5$..., SCRAM-SHA-256$...), or the password itself",
    parse_password,
    secret=True,
)
