"""Let trusted users block a sender by forwarding one of its mails to a special address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mta.plugin import (
    BLOCK_ME_RECIPIENT,
    DENY,
    DENYSOFT,
    DSN,
    OK,
    Address,
    AddressError,
    Answer,
    Body,
    Connection,
    Params,
    Plugin,
    Transaction,
)

BLOCKLIST = "mail_from.blocklist"
LOOKED_AT = 100_000  # characters of each part
LONGEST_FIELD = 1000  # characters of a forwarded From field that are looked at
BRACKETED = re.compile(r"<([^<>\s]+@[^<>\s]+)>")
BARE = re.compile(r"[^\s<>\[\]()\"',;:]+@[^\s<>\[\]()\"',;:]+")


class BlockMe(Plugin):
    """Takes the orders, keeps the list of senders, and refuses them."""

    recipient: str = ""
    senders: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()

    def register(self) -> None:
        self.load_recipient(self.config.value(BLOCK_ME_RECIPIENT, self.load_recipient))
        self.load_senders(self.config.get("block_me.senders", "list", on_change=self.load_senders))
        self.load_blocked(self.config.get(BLOCKLIST, "list", on_change=self.load_blocked))
        self.register_hook("queue", self.take, -100)  # before anybody sends the order on
        self.register_hook("queue_outbound", self.take, -100)

    def load_recipient(self, address: str) -> None:
        self.recipient = address.lower()

    def load_senders(self, lines: Iterable[str]) -> None:
        self.senders = lower(lines)

    def load_blocked(self, lines: Iterable[str]) -> None:
        self.blocked = lower(lines)

    def hook_mail(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        if not connection.relaying and mail_from.address.lower() in self.blocked:
            return DENY, DSN.sec_unauthorized(f"mail from {mail_from.address} is not wanted here", 550)
        return None

    def hook_data_post(self, connection: Connection) -> Answer:
        transaction = connection.transaction
        if transaction is None or not connection.relaying or not self.is_order(transaction):
            return None
        sender = transaction.mail_from.address
        if sender.lower() not in self.senders:
            return DENY, f"You are not allowed to block mail, {sender}"
        spammer = forwarded_sender(transaction.body)
        if spammer is None:
            return DENY, "There is no sender in that mail: forward the mail that you want to block"
        return self.block(connection, spammer)

    def is_order(self, transaction: Transaction) -> bool:
        rcpts = transaction.rcpt_to
        return bool(self.recipient) and len(rcpts) == 1 and rcpts[0].address.lower() == self.recipient

    def block(self, connection: Connection, spammer: Address) -> Answer:
        address = spammer.address.lower()
        if address not in self.blocked:
            try:
                self.offload(append_line, self.config.directory / BLOCKLIST, address)
            except OSError as error:
                self.logerror(f"{BLOCKLIST} can not be written: {error.strerror}", connection)
                return DENYSOFT, "The list of blocked senders can not be written"
            self.blocked |= {address}
        self.lognotice("sender blocked", {"sender": address}, connection)
        assert connection.transaction is not None
        connection.transaction.notes["block_me"] = address
        return None

    def take(self, connection: Connection) -> Answer:
        """The order is carried out; nobody needs to read it."""
        transaction = connection.transaction
        if transaction is None or "block_me" not in transaction.notes:
            return None
        return OK, f"{transaction.notes['block_me']} is blocked"


def lower(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(line.lower() for line in lines)


def append_line(path: Path, line: str) -> None:
    """Add a line that is still there after a power cut. Raises OSError."""
    with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.seek(max(size - 1, 0))
        start = "" if file.read(1) in (b"\n", b"") else "\n"
        file.write(f"{start}{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def forwarded_sender(body: Body) -> Address | None:
    """Who the first From line in the text, or in an attached message, names; not the field of the mail itself."""
    for part in body.walk():
        for line in beginning(part).splitlines():
            name, colon, value = line.lstrip("> \t*").partition(":")
            if colon and name.rstrip("* \t").lower() == "from":
                found = address_in(value[:LONGEST_FIELD])
                if found is not None:
                    return found
    return None


def beginning(part: Body) -> str:
    """The first lines of a text, or of a message that was forwarded as an attachment."""
    if part.content_type == "message/rfc822" and part.is_attachment:
        return part.decoded()[:LOOKED_AT].decode("utf-8", "replace")
    return part.bodytext[:LOOKED_AT]


def address_in(field: str) -> Address | None:
    """`Name <a@example.com>`, `a@example.com` or `Name [mailto:a@example.com]`."""
    match = BRACKETED.search(field)
    text = match[1] if match else (bare[0] if (bare := BARE.search(field)) else "")
    try:
        return Address.parse(text) if text else None
    except AddressError:
        return None
