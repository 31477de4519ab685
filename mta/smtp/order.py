"""The order of commands (RFC 5321 4.1.4) as a table: which verb is refused in which phase, and how."""

from __future__ import annotations

from enum import Enum

from mta.smtp.reply import Reply


class Phase(Enum):
    """How far the session has come. RCPT: at least one recipient was accepted. CHUNKS: BDAT has begun, LAST is to come."""

    CONNECTED = "connected"
    GREETED = "greeted"
    MAIL = "mail"
    RCPT = "rcpt"
    CHUNKS = "chunks"

    # Members are compared by identity; the default hash of Enum hashes the name anew, in Python.
    __hash__ = object.__hash__


def _refuse(text: str) -> Reply:
    return Reply(503, text, "5.5.1")


_NO_HELLO = _refuse("Use EHLO/HELO before MAIL")
_NO_HELLO_AUTH = _refuse("Use EHLO before AUTH")
_NESTED_MAIL = _refuse("nested MAIL command")
_NO_MAIL = _refuse("Use MAIL before RCPT")
_DATA_NO_MAIL = _refuse("MAIL required first")
_DATA_NO_RCPT = _refuse("RCPT required first")
_IN_CHUNKS = _refuse("BDAT has begun: only BDAT, or RSET")
_ETRN_IN_MAIL = _refuse("ETRN not permitted during a mail transaction")
_AUTH_IN_MAIL = _refuse("AUTH not permitted during a mail transaction")

# A pair that is missing here is in order. HELO, EHLO, RSET, NOOP, VRFY, HELP and QUIT always are. BDAT looks itself, since
# its octets have to be read whatever the answer is.
OUT_OF_ORDER: dict[tuple[str, Phase], Reply] = {
    ("MAIL", Phase.CONNECTED): _NO_HELLO,
    ("MAIL", Phase.MAIL): _NESTED_MAIL,
    ("MAIL", Phase.RCPT): _NESTED_MAIL,
    ("RCPT", Phase.CONNECTED): _NO_MAIL,
    ("RCPT", Phase.GREETED): _NO_MAIL,
    ("DATA", Phase.CONNECTED): _DATA_NO_MAIL,
    ("DATA", Phase.GREETED): _DATA_NO_MAIL,
    ("DATA", Phase.MAIL): _DATA_NO_RCPT,
    ("AUTH", Phase.CONNECTED): _NO_HELLO_AUTH,
    ("AUTH", Phase.MAIL): _AUTH_IN_MAIL,  # RFC 4954 4
    ("AUTH", Phase.RCPT): _AUTH_IN_MAIL,
    ("ETRN", Phase.MAIL): _ETRN_IN_MAIL,  # RFC 1985 3
    ("ETRN", Phase.RCPT): _ETRN_IN_MAIL,
}

# RFC 3030 2: DATA and BDAT do not mix, and the envelope is complete. What a transaction forbids is forbidden here too.
OUT_OF_ORDER |= {
    (verb, Phase.CHUNKS): reply for (verb, phase), reply in OUT_OF_ORDER.items() if phase is Phase.RCPT
}
OUT_OF_ORDER |= dict.fromkeys([("RCPT", Phase.CHUNKS), ("DATA", Phase.CHUNKS)], _IN_CHUNKS)


def check(verb: str, phase: Phase) -> Reply | None:
    """The reply that refuses verb (upper case) in this phase, or None when it may go on."""
    return OUT_OF_ORDER.get((verb, phase))
