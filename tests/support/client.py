"""A client that puts exactly the octets on the wire that a test wants, cut where the test wants."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from types import TracebackType

PAUSE = 0.002  # seconds; long enough on loopback for the server to read one piece before the next comes


def stuff(message: bytes) -> bytes:
    """Return a message of CRLF lines in SMTP form (RFC 5321 4.5.2), without the final dot."""
    stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    return stuffed if not stuffed or stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


class RawClient:
    """One SMTP session. Every method returns the reply text, codes included."""

    def __init__(self, port: int, *, hello: str = "EHLO client.test", timeout: float = 30.0) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = self.sock.makefile("rb")
        self.banner = self.read()
        self.extensions = self.command(hello)

    def read(self) -> str:
        """Return the next reply, its lines joined by LF. Raises EOFError when the server hung up."""
        lines = []
        while True:
            line = self._replies.readline()
            if not line.endswith(b"\r\n"):
                raise EOFError(f"hung up after {lines}")
            lines.append(line.rstrip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def write(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def command(self, line: str | bytes) -> str:
        self.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.read()

    def envelope(self, mail_from: str, *rcpts: str, params: str = "") -> str:
        """Send MAIL, RCPT and DATA; the reply to DATA. Raises AssertionError when one is refused."""
        for line in (f"MAIL FROM:<{mail_from}>{params}", *(f"RCPT TO:<{rcpt}>" for rcpt in rcpts)):
            reply = self.command(line)
            assert reply.startswith("250"), f"{line}: {reply}"
        return self.command("DATA")

    def pieces(self, pieces: Iterable[bytes]) -> str:
        """Write pieces that the server is to read one by one; the reply that follows."""
        for piece in pieces:
            self.write(piece)
            time.sleep(PAUSE)
        return self.read()

    def send(self, mail_from: str, rcpts: str | Iterable[str], message: bytes, params: str = "") -> str:
        """Send one message of CRLF lines; the reply to its final dot."""
        envelope = self.envelope(mail_from, *([rcpts] if isinstance(rcpts, str) else rcpts), params=params)
        assert envelope.startswith("354"), envelope
        self.write(stuff(message) + b".\r\n")
        return self.read()

    def close(self) -> None:
        self._replies.close()
        self.sock.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
