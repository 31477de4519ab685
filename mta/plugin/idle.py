"""The server that plugins get where they are loaded but nothing is served."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mta.notes import Notes
from mta.smtp.address import Address
from mta.smtp.reply import Reply


class IdleHttp:
    """Takes routes to pages that nobody will see."""

    def route(self, path: str, app: Any) -> None:
        """Take a route."""


class IdleServer:
    """Notes to share, and no queue to send mail to."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.http = IdleHttp()

    def send_email(self, mail_from: Address, rcpts: Sequence[Address], contents: bytes) -> Reply:
        """Refuse: this process has no queue."""
        return Reply(451, "this process only looks at plugins", "4.3.0")
