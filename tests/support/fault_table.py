"""What must become of a mail when its next hop misbehaves: every fault, where it can strike, and the fate of each recipient.

The fates follow from RFC 5321 (3.1, 3.2, 3.8, 4.2.1, 4.5.4.1, 5.1), RFC 2033 4.2, RFC 3207 4 and DESIGN 7, in this order:

1. A host that cannot be reached, hangs up, falls silent, says 421 or talks nonsense before it was given the final dot has taken
   nothing: the next host is asked, and when there is none the mail waits.
2. What a host answers to MAIL, RCPT, DATA or the dot is the last word of this attempt: 5yz fails, 4yz and replies of a class
   that cannot be meant (3yz; 2yz to DATA) defer; no other host is asked.
3. Before MAIL a refusal turns away the connection, not the mail: the next host is asked, and only when no host is left a 5yz
   fails. A refusal of AUTH or of a TLS that is required is about our settings, and never fails a mail.
4. After the final dot, or the last chunk of BDAT, silence, a lost connection or nonsense leave open whether the mail was
   taken: it waits, and no other host is asked, since that would make a second copy likelier.
5. In LMTP each recipient has a reply of its own after the dot, and those that have come stay true.
6. Opportunistic TLS that cannot be had is done without: in the same connection when STARTTLS was refused, over another one
   when the handshake failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Fate = Literal["delivered", "backup", "deferred", "failed"]
Wire = Literal["smtp", "lmtp", "tls", "required", "bdat"]

REFUSALS = ("refuse5", "refuse4", "wrong")
HANG_UPS = ("reset", "close", "hang")
NONSENSE = ("text", "binary", "long", "endless")
REPLIES = (*REFUSALS, "bye421", *HANG_UPS, *NONSENSE)
KINDS = {
    "connect": ("refuse", *HANG_UPS),
    "handshake": (*HANG_UPS, "text", "alert"),
    # An endless reply can only be read to its limit by who has sent all of the message.
    "body": tuple(kind for kind in REPLIES if kind != "endless"),
}
OPENING = ("banner", "ehlo", "helo", "ehlo2", "auth")


@dataclass(frozen=True)
class Cell:
    """One next hop and its fault. rcpts: how many recipients; backup: there is a second, healthy host.

    refused: the first recipient was refused for good before the fault strikes.
    """

    number: int
    wire: Wire
    phase: str
    kind: str
    rcpts: int
    backup: bool
    refused: bool = False

    @property
    def domain(self) -> str:
        return f"c{self.number}.test"

    @property
    def recipients(self) -> list[str]:
        return [f"r{n}@{self.domain}" for n in range(1, self.rcpts + 1)]

    def __str__(self) -> str:
        first = " after a refused recipient" if self.refused else ""
        second = " and a second host" if self.backup else ""
        return f"{self.wire}: {self.kind} at {self.phase}{first}, {self.rcpts} recipients{second}"


def cells() -> list[Cell]:
    """All of them, numbered from 0."""
    found = [
        (wire, phase, kind, rcpts, backup, False)
        for wire in ("smtp", "lmtp", "tls", "required", "bdat")
        for rcpts in (1, 3)
        for phase in _phases(wire, rcpts)
        for kind in KINDS.get(phase, REPLIES)
        for backup in (False, True)
    ]
    found += [
        (wire, phase, kind, 3, backup, True)
        for wire in ("smtp", "lmtp")
        for phase in ("rcpt3", "data", "dot" if wire == "smtp" else "dot2")
        for kind in REPLIES
        for backup in (False, True)
    ]
    return [Cell(number, *values) for number, values in enumerate(found)]  # type: ignore[arg-type]


def _phases(wire: str, rcpts: int) -> Iterator[str]:
    if wire == "required":
        yield from ("starttls", "handshake")
        return
    if wire == "bdat":
        yield from ("mail", *(f"rcpt{n}" for n in range(1, rcpts + 1)), "chunk", "dot")
        return
    yield from ("connect", "banner", "ehlo")
    if wire == "tls":
        yield from ("starttls", "handshake", "ehlo2")
    if wire != "lmtp":
        yield "helo"
    yield from ("auth", "mail")
    yield from (f"rcpt{n}" for n in range(1, rcpts + 1))
    yield from ("data", "body")
    yield from (f"dot{n}" for n in range(1, rcpts + 1)) if wire == "lmtp" else ("dot",)
    yield "quit"


def expected(cell: Cell) -> dict[str, Fate]:
    """The fate of each recipient after the first attempt."""
    fates: dict[str, Fate] = {}
    for n, rcpt in enumerate(cell.recipients, start=1):
        fates[rcpt] = "failed" if cell.refused and n == 1 else _fate(cell, n)
    return fates


def unknown(cell: Cell) -> bool:
    """Whether the fault leaves open if the host has taken the message, so that it may come twice (rule 4)."""
    if cell.wire == "bdat":
        return _unknown_in_bdat(cell)
    if cell.phase == "body":
        # Nonsense will be taken for the answer to the dot. And who only closes the direction that nobody reads at that
        # moment is given the rest of the message, dot included.
        return cell.kind in NONSENSE or cell.kind == "close"
    return cell.phase.startswith("dot") and cell.kind in (*HANG_UPS, *NONSENSE)


def _unknown_in_bdat(cell: Cell) -> bool:
    """A client that pipelines has sent all of a message of this size before it reads the first reply (RFC 3030 4.2).

    Only who hangs up without having answered anything will not have taken it.
    """
    if cell.phase == "mail" and cell.kind in ("reset", "close"):
        return False
    return cell.kind in (*HANG_UPS, *NONSENSE)


def confusing(cell: Cell) -> bool:
    """Whether it is unknown after the fault which reply belongs to which command: the connection must not be used again."""
    return cell.kind in NONSENSE or (cell.kind == "wrong" and cell.phase not in ("starttls", "quit"))


def _fate(cell: Cell, n: int) -> Fate:
    if cell.phase == "quit":
        return "delivered"
    if cell.phase in ("starttls", "handshake"):
        return _fate_without_tls(cell)
    if cell.phase in OPENING:
        return _fate_of_opening(cell)
    if cell.phase.startswith("dot") and n < _position(cell):
        return "delivered"
    if unknown(cell):
        return "deferred"
    if cell.phase == "connect" or cell.kind not in REFUSALS:
        return _next_host(cell, "deferred")
    if _position(cell) not in (0, n):
        return "delivered"
    return "failed" if cell.kind == "refuse5" else "deferred"


def _fate_of_opening(cell: Cell) -> Fate:
    if cell.kind != "refuse5" or cell.phase == "auth":
        return _next_host(cell, "deferred")
    if cell.phase in ("ehlo", "ehlo2") and cell.wire != "lmtp":
        return "delivered"  # RFC 5321 3.2: HELO is tried, and works
    return _next_host(cell, "failed")


def _fate_without_tls(cell: Cell) -> Fate:
    if cell.wire == "tls" and (cell.phase == "handshake" or cell.kind in REFUSALS):
        return "delivered"
    return _next_host(cell, "deferred")


def _position(cell: Cell) -> int:
    """The recipient that the fault is about, from 1; 0 when it is about all."""
    return int(cell.phase[-1]) if cell.phase[:-1] in ("rcpt", "dot") else 0


def _next_host(cell: Cell, otherwise: Fate) -> Fate:
    return "backup" if cell.backup else otherwise
