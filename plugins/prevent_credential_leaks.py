"""Keep users from mailing their password to somebody: the most simple protection against phishing."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from mta.plugin import DENY, Answer, Connection, Plugin, Secret, Transaction

# Markup that may stand inside a word; all other stands between two.
INLINE = re.compile(
    r"</?(?:a|b|big|code|em|font|i|mark|s|small|span|strong|sub|sup|tt|u)\b[^<>]*>", re.IGNORECASE
)
TAG = re.compile(r"<[^<>]*>")
LEAK = "Credential leak detected: never give out your username/password to anyone!"


class PreventCredentialLeaks(Plugin):
    """Looks into the mail of clients that have logged in, if the server got to know their password."""

    def register(self) -> None:
        self.server.keep_passwords = True

    def hook_data_post(self, connection: Connection) -> Answer:
        user, password = connection.notes.get("auth_user"), connection.notes.get("auth_passwd")
        if not user or not isinstance(password, Secret) or connection.transaction is None:
            return None
        texts = list(texts_of(connection.transaction))
        if not shows(password.reveal(), texts) or not names(user, texts):
            return None
        self.lognotice("credential leak", {"user": user}, connection)
        return DENY, LEAK


def shows(password: str, texts: list[str]) -> bool:
    """True when the password is there as it is written. Nearly always it is not, and a plain search tells so."""
    found = [text for text in texts if password in text]
    return bool(found) and occurs(password, found, 0)


def names(user: str, texts: list[str]) -> bool:
    """True when the user is named, in any case, with or without the domain."""
    return occurs(user.rpartition("@")[0] or user, texts, re.IGNORECASE)


def occurs(word: str, texts: list[str], flags: int) -> bool:
    """True when the word stands somewhere by itself: `pat` is not in `patient`."""
    before = r"(?<!\w)" if word[:1].isalnum() else ""
    after = r"(?!\w)" if word[-1:].isalnum() else ""
    pattern = re.compile(before + re.escape(word) + after, flags)
    return any(pattern.search(text) for text in texts)


def texts_of(transaction: Transaction) -> Iterator[str]:
    """What a reader of the mail is shown: subject and texts; those in HTML as they are written, and without markup."""
    yield transaction.header.get_decoded("Subject")
    for part in transaction.body.texts():
        yield part.bodytext
        if part.content_type == "text/html":
            yield html.unescape(TAG.sub(" ", INLINE.sub("", part.bodytext)))
