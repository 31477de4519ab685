"""Command lines as the log may show them: no password, and nothing that may be one."""

from __future__ import annotations

from typing import Final, NamedTuple

from mta.inbound.verbs import VERBS

MASK: Final = "***"

# What may be shown behind AUTH: the names in the IANA registry that are in use. Anything else may be a password.
MECHANISMS: Final = frozenset(
    {
        *("PLAIN", "LOGIN", "EXTERNAL", "ANONYMOUS", "CRAM-MD5", "DIGEST-MD5", "NTLM", "GSSAPI", "GS2-KRB5"),
        *("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512"),
        *("SCRAM-SHA-512-PLUS", "XOAUTH", "XOAUTH2", "OAUTHBEARER"),
    }
)
KNOWN: Final = frozenset({*VERBS, "STARTTLS", "XCLIENT", "XFORWARD", "BDAT", "ETRN", "HELP", "EXPN"})


class Shown(NamedTuple):
    """A line for the log; after_auth: AUTH came, and no command since, so the next line may be an answer to it."""

    text: str
    after_auth: bool


def shown(line: bytes, after_auth: bool) -> Shown:
    """A command line as it may be logged.

    Behind AUTH only the mechanism is shown. A client may send its answers although AUTH was refused: until it sends a
    command that there is, nothing it sends is shown.
    """
    text = line.decode("utf-8", "replace")
    words = text.split(None, 2)
    verb = words[0].upper() if words else ""
    if verb.startswith("AUTH"):
        return Shown(_auth(verb, words), True)
    if after_auth and verb not in KNOWN:
        return Shown(MASK, True)
    return Shown(text, False)


def _auth(verb: str, words: list[str]) -> str:
    if verb != "AUTH":  # AUTH=PLAIN and the like
        return f"AUTH {MASK}"
    if len(words) > 1 and words[1].upper() not in MECHANISMS:
        return f"{words[0]} {MASK}"
    return " ".join([*words[:2], MASK] if len(words) > 2 else words)
