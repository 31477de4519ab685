"""Commands out, replies in: the conversation with a next hop, with its log lines, phases and failures."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

from mta.logger import PROTOCOL
from mta.net.smtp_errors import ConnectionLost, MalformedReply, TlsFailed
from mta.net.wire_waiting import NEVER, SLACK
from mta.smtp.reply import Reply, read_reply

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.net.openssl_layer import OpenSslLayer
    from mta.net.wire import Wire

# RFC 5321 4.5.3.1.5 allows 512; some hosts write whole paragraphs.
MAX_REPLY_LINE = 4096
MAX_TOGETHER = 1024  # bytes of replies that are read, and remembered, as one piece
ORIGIN = "outbound"


class Dialogue:
    """Speaks lines over a wire and hears replies; every failure comes out as a ClientError.

    peer: address and port of the other side; tls: what was agreed, None in clear; farewell: the 421 that the peer has said; it will answer nothing more (RFC 5321 3.8).
    """

    __slots__ = ("_logged", "_read_line", "_secrets", "farewell", "logger", "peer", "tls", "uuid", "wire")

    def __init__(self, wire: Wire, logger: Logger | None, uuid: str) -> None:
        self.wire = wire
        self.logger = logger
        self.uuid = uuid
        self.peer = _peer(wire)
        self.farewell: Reply | None = None
        self.tls: OpenSslLayer | None = None
        self._secrets: list[str] | None = None  # credentials since the last command that was none
        self._logged = self._is_logged()
        self._read_line = partial(wire.read_line, MAX_REPLY_LINE)

    def say(self, lines: Sequence[str], phase: str, shown: str | None = None) -> None:
        """Write command lines, in one piece with whatever else is written before the next reply is read.

        shown: what the log says instead, for credentials. Raises ValueError for a line that would be more than one line,
        before anything is sent; ConnectionLost.
        """
        data = encode(lines)
        self._secrets = None if shown is None else (self._secrets or []) + secrets_of(lines, shown)
        self._logged = self._is_logged()
        if self._logged:
            self._note("C", lines if shown is None else [shown])
        try:
            self.wire.write(data)
        except OSError as error:
            raise _lost(error, phase) from error

    def hear(self, phase: str, timeout: float) -> Reply:
        """The next reply. timeout: seconds. Raises ConnectionLost, MalformedReply."""
        wire = self.wire
        wire.timeout = timeout
        try:
            line = self._read_line()
            reply = _single(line) if line[3:4] != b"-" else self._multiline(line)
        except (OSError, EOFError) as error:
            raise _lost(error, phase) from error
        except ValueError as error:
            why = censored(_why(error), self._secrets or ())
            raise MalformedReply(f"malformed reply, phase {phase}: {why}", phase) from error
        if self._secrets:
            reply = _censored(reply, self._secrets)
        if reply.code == 421:
            self.farewell = reply
        if self._logged:
            self._note("S", [str(reply)])
        return reply

    def hear_yes(self, count: int, phase: str, timeout: float) -> Reply | None:
        """Hear as many replies when all of them are 2yz and the last is 3yz, and have come in one piece; that last one.

        Nearly always it is so. None: it is not, and every reply is still to be heard. Raises ConnectionLost.
        """
        if self._secrets or self._logged:
            return None
        wire = self.wire
        wire.timeout = timeout
        try:
            data = wire.read_chunk()
        except OSError as error:
            raise _lost(error, phase) from error
        if not data:
            raise _lost(EOFError("the peer closed the connection"), phase)
        agreed = _agreed(data, count) if len(data) <= MAX_TOGETHER else None
        if agreed is None:
            wire.unread(data)
        return agreed

    def _multiline(self, first: bytes) -> Reply:
        """A reply of several lines; they share the time of one, or a peer could hold us for as long as it has lines."""
        wire = self.wire
        lines = chain((first,), iter(self._read_line, None))
        wire.until = min(wire.until, wire.now + wire.timeout + SLACK)
        try:
            return read_reply(lambda: next(lines))
        finally:
            wire.until = NEVER

    def ask(self, line: str, phase: str, timeout: float, shown: str | None = None) -> Reply:
        """Say one line, hear its reply. Raises as say() and hear() do."""
        self.say((line,), phase, shown)
        return self.hear(phase, timeout)

    def pour(self, chunks: Iterable[bytes], timeout: float) -> None:
        """Write the message; its end leaves when the reply is asked for. Raises ConnectionLost.

        timeout: seconds that the peer may take no byte.
        """
        self.wire.timeout = timeout
        try:
            self.wire.send(chunks)
        except OSError as error:
            raise _lost(error, "chunk") from error

    def start_tls(self, layer: OpenSslLayer, hostname: str, timeout: float) -> None:
        """Encrypt what follows; whatever the peer said before in clear is forgotten. Raises TlsFailed."""
        self.wire.timeout = timeout
        try:
            self.wire.secure(layer)
            self.tls = layer
        except (OSError, EOFError, ValueError) as error:
            raise TlsFailed(f"TLS handshake with {hostname} failed: {_why(error)}") from error

    def _is_logged(self) -> bool:
        return self.logger is not None and self.logger.level >= PROTOCOL

    def _note(self, who: str, lines: Iterable[str]) -> None:
        if self.logger is not None:
            for line in lines:
                self.logger.protocol(f"{who}: {line}", origin=ORIGIN, uuid=self.uuid)


@lru_cache(maxsize=1024)
def _single(line: bytes) -> Reply:
    """The reply that is one line: a host says the same few all day, and reading them is a third of our work."""
    return read_reply(lambda: line)


@lru_cache(maxsize=1024)
def _agreed(data: bytes, count: int) -> Reply | None:
    """The last one of so many replies of one line each, when they agree to an envelope and nothing else has come."""
    *lines, rest = data.split(b"\r\n")
    if rest or len(lines) != count or any(b"\n" in line or line[3:4] == b"-" for line in lines):
        return None
    try:
        replies = [_single(line) for line in lines]
    except ValueError:
        return None
    kinds = [reply.kind for reply in replies]
    return replies[-1] if kinds.pop() == 3 and set(kinds) == {2} else None


def secrets_of(lines: Iterable[str], shown: str) -> list[str]:
    """The credentials in lines of AUTH: the last words, unless the log may show them."""
    words = [line.rpartition(" ")[2] for line in lines]
    return [word for word in words if len(word) > 3 and word not in shown]


def censored(text: str, secrets: Iterable[str]) -> str:
    """A text of the peer's, which may quote what it was told, without the credentials."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _censored(reply: Reply, secrets: Iterable[str]) -> Reply:
    text = "\n".join(reply.lines)
    safe = censored(text, secrets)
    return reply if safe == text else Reply(reply.code, safe, reply.enhanced, reply.close)


def encode(lines: Sequence[str]) -> bytes:
    """Command lines as they go over the wire. Raises ValueError for a line that would not be exactly one line there."""
    text = "\r\n".join(lines) + "\r\n"
    if text.count("\r") != len(lines) or text.count("\n") != len(lines) or "\0" in text:
        raise ValueError("line end or NUL inside an SMTP command")
    return text.encode()


def refusal(reply: Reply) -> Reply:
    """The reply, of which it is known that it does not mean success, as 4xx or 5xx."""
    return reply if reply.kind in (4, 5) else Reply(451, f"unexpected reply: {reply}", "4.5.0")


def _peer(wire: Wire) -> tuple[str, int]:
    try:
        return wire.peer
    except OSError:
        return "", 0  # it has hung up already: whoever reads next will be told


def _lost(error: BaseException, phase: str) -> ConnectionLost:
    return ConnectionLost(f"connection lost, phase {phase}: {_why(error)}", phase)


def _why(error: BaseException) -> str:
    """One line: the reason of a TLS or system error, without numbers and file positions of the library."""
    if isinstance(error, ssl.SSLError) and len(error.args) > 1:
        return str(error.args[1])
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
