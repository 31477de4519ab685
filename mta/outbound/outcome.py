"""What one delivery attempt came to, recipient by recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from mta.net.next_hop import NextHop
from mta.net.tls_security import TlsOutcome
from mta.smtp.address import Address
from mta.smtp.reply import Reply

IN_CLEAR = TlsOutcome()


class Fate(Enum):
    """The three ways a recipient can leave an attempt."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


DELIVERED, DEFERRED, FAILED = Fate.DELIVERED, Fate.DEFERRED, Fate.FAILED

# Why a deferral became a failure: no retry is left, or no time.
NO_RETRIES, NO_TIME = "Too many failures", "Delivery time expired"


@dataclass(slots=True, eq=False)
class Peer:
    """The next hop that answered: the name it was looked up by, its address, and how we spoke. One for each connection.

    dsn: it offers DSN and was told what its reports shall be (RFC 3461), so that success is for it to report. tls: what came of
    encryption.
    """

    host: str
    ip: str
    port: int
    mode: str
    secured: bool
    authenticated: bool
    hop: NextHop
    dsn: bool = False
    tls: TlsOutcome = IN_CLEAR


@dataclass(slots=True, unsafe_hash=True)  # made five times as fast as a frozen one; nobody changes it
class Outcome:
    """One recipient's fate, the reply that decided it, and who gave it (None: nobody outside did).

    expired: NO_RETRIES or NO_TIME for a deferral that became a failure, else "". uncertain: the next hop had the whole
    message when the conversation broke off, and may have taken it.
    """

    fate: Fate
    reply: Reply
    peer: Peer | None = None
    expired: str = ""
    uncertain: bool = False

    @property
    def reason(self) -> str:
        """Why, in words for people."""
        return f"{self.expired} ({self.reply})" if self.expired else str(self.reply)

    def give_up(self, why: str = NO_RETRIES) -> Outcome:
        """This deferral as the failure it becomes when no retry, or no time, is left."""
        return replace(self, fate=FAILED, expired=why)


Outcomes: TypeAlias = Mapping[Address, Outcome]


def fate_of(reply: Reply) -> Fate:
    """2yz delivered, 5yz failed (RFC 5321 4.2.1); anything else may be better next time."""
    kind = reply.code // 100
    if kind == 2:
        return DELIVERED
    return FAILED if kind == 5 else DEFERRED


def of_reply(reply: Reply, peer: Peer | None = None) -> Outcome:
    """The outcome that a reply means for the recipient it was given for."""
    return Outcome(fate_of(reply), reply, peer)


def of_replies(replies: Mapping[Address, Reply], peer: Peer) -> dict[Address, Outcome]:
    """The outcomes of one transaction; a reply that is one for several recipients is one outcome."""
    if len(replies) == 1:
        (reply,) = replies.values()
        return dict.fromkeys(replies, of_reply(reply, peer))
    seen: dict[int, Outcome] = {}
    outcomes = {}
    for rcpt, reply in replies.items():
        outcome = seen.get(id(reply))
        if outcome is None:
            outcome = seen[id(reply)] = of_reply(reply, peer)
        outcomes[rcpt] = outcome
    return outcomes


def select(outcomes: Outcomes, fate: Fate) -> list[Address]:
    """The recipients with that fate, in the order they were tried."""
    return [rcpt for rcpt, outcome in outcomes.items() if outcome.fate is fate]
