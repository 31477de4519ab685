"""What can go wrong between us and a next hop, and how long we wait for it."""

from __future__ import annotations

from collections.abc import Mapping

from mta.config.schema import TimeoutSettings as Timeouts
from mta.smtp.address import Address
from mta.smtp.reply import Reply

__all__ = [
    "BrokenConversation",
    "ClientError",
    "ConnectFailed",
    "ConnectionLost",
    "MalformedReply",
    "MessageUnreadable",
    "Rejected",
    "Timeouts",
    "TlsFailed",
]


class ClientError(Exception):
    """Any failure of a conversation with a next hop; the message is one line for the log and the operator.

    phase: what we were doing: connect, banner, hello, starttls, tls, verify, auth, rset, mail, rcpt, data, chunk, dot.
    """

    def __init__(self, message: str, phase: str) -> None:
        super().__init__(message)
        self.phase = phase


class ConnectFailed(ClientError):
    """There is no connection: refused, unreachable, timeout, unknown name."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "connect")


class Rejected(ClientError):
    """The peer answered, and will not talk to us: its banner, EHLO or AUTH reply says so."""

    def __init__(self, reply: Reply, phase: str) -> None:
        super().__init__(f"{phase} refused: {reply}", phase)
        self.reply = reply


class TlsFailed(ClientError):
    """No encryption where it is needed, or a certificate that does not prove the host's name.

    kind: the word of RFC 8460 4.3 for it; phase: starttls, tls, or verify once the handshake is done.
    """

    def __init__(self, message: str, phase: str = "tls", kind: str = "validation-failure") -> None:
        super().__init__(message, phase)
        self.kind = kind


class BrokenConversation(ClientError):
    """The conversation ended in the middle.

    replies: what was final by then for single recipients; every other recipient's fate is unknown if phase is "dot",
    else nothing was delivered to it.
    """

    def __init__(self, message: str, phase: str) -> None:
        super().__init__(message, phase)
        self.replies: Mapping[Address, Reply] = {}


class ConnectionLost(BrokenConversation):
    """The peer closed the connection, reset it, or was silent for too long."""


class MalformedReply(BrokenConversation):
    """What the peer said is no SMTP reply, so it is unknown which command later replies would answer."""


class MessageUnreadable(ClientError):
    """The fault is ours: the message could not be read while it was being sent. Nothing was delivered."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "chunk")
