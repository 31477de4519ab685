"""Refuse mail that contains one of the texts in data.signatures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mta.plugin import DENY, Answer, Connection, Plugin

SMALL = 10_000_000  # characters times signatures: what is searched in a few milliseconds


class DataSignatures(Plugin):
    """The texts of a mail are searched as they are shown: decoded, not line by line as they came."""

    signatures: tuple[str, ...] = ()

    def register(self) -> None:
        self.load(self.config.get("data.signatures", "list", on_change=self.load))

    def load(self, lines: Iterable[str]) -> None:
        self.signatures = tuple(filter(None, lines))

    def hook_data_post(self, connection: Connection) -> Answer:
        if not self.signatures or connection.transaction is None:
            return None
        texts = [part.bodytext for part in connection.transaction.body.texts()]
        if self.find(texts) is None:
            return None
        return DENY, "Mail matches a known spam signature"

    def find(self, texts: Sequence[str]) -> str | None:
        """The first signature that is in one of the texts. Much work is done in a thread."""
        if sum(map(len, texts)) * len(self.signatures) <= SMALL:
            return search(self.signatures, texts)
        return self.offload(search, self.signatures, texts)


def search(signatures: Sequence[str], texts: Sequence[str]) -> str | None:
    return next((one for one in signatures if any(one in text for text in texts)), None)
