"""Next hops for tests: one that records every octet and answers as told, and Postfix's smtp-sink."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.needs import program
from tests.support.ports import free_port
from tests.support.server import eventually

CRLF = b"\r\n"
END_OF_DATA = b"\r\n.\r\n"
EXTENSIONS = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

# What a RecordingSink is told to answer: (stage, address, attempt from 1) -> a reply line, or None for its usual
# one. Stages are connect, mail, rcpt and dot; the address is the client's, the sender's, the recipient's and the
# first accepted recipient's; attempts count per stage and address.
Script = Callable[[str, str, int], str | None]


@dataclass(frozen=True)
class Received:
    """One message that was answered with 250, and its envelope."""

    mail_from: str
    rcpts: tuple[str, ...]
    mail_params: str
    wire: bytes  # as it came after DATA: dot-stuffed, the line with the final dot left out
    when: float  # time.monotonic() of the end of data
    session: int  # which connection it came on, from 1

    @property
    def data(self) -> bytes:
        """The message without the dots that SMTP adds (RFC 5321 4.5.2)."""
        return (CRLF + self.wire).replace(b"\r\n.", CRLF)[2:]


class RecordingSink:
    """An SMTP server on a free loopback port that keeps what it receives, octet by octet."""

    def __init__(self, script: Script | None = None, *, extensions: tuple[str, ...] = EXTENSIONS) -> None:
        self.script = script or (lambda _stage, _address, _attempt: None)
        self.extensions = extensions
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.sessions = 0
        self.attempts: Counter[tuple[str, str]] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # closed
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sessions += 1
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock, self.sessions), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, EOFError):
            _Session(self, sock, number).run()
        self._open.discard(sock)
        sock.close()

    def answer(self, stage: str, address: str, usual: str) -> str:
        """Count the attempt and return the reply line: the script's, or the usual one."""
        self.attempts[stage, address] += 1
        return self.script(stage, address, self.attempts[stage, address]) or usual

    def to(self, rcpt: str) -> list[Received]:
        """Return the messages that a recipient got."""
        return [message for message in self.messages if rcpt in message.rcpts]

    def wait_for(self, count: int, timeout: float = 15.0) -> list[Received]:
        """Wait until so many messages are here and return all. Raises AssertionError."""
        arrived = eventually(lambda: len(self.messages) >= count, timeout, 0.01)
        assert arrived, f"{len(self.messages)} of {count} messages arrived in {timeout} s"
        return self.messages

    def wait_for_rcpt(self, rcpt: str, timeout: float = 15.0) -> Received:
        """Wait until a recipient got a message and return the first. Raises AssertionError."""
        assert eventually(lambda: self.to(rcpt), timeout, 0.01), f"nothing for {rcpt} in {timeout} s"
        return self.to(rcpt)[0]

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def __enter__(self) -> RecordingSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Session:
    """One connection to a RecordingSink."""

    def __init__(self, sink: RecordingSink, sock: socket.socket, number: int) -> None:
        self.sink = sink
        self.sock = sock
        self.number = number
        self.buffer = bytearray()
        self._forget_envelope()

    def _forget_envelope(self) -> None:
        self.mail_from = ""
        self.mail_params = ""
        self.rcpts: list[str] = []

    def run(self) -> None:
        banner = self.sink.answer("connect", self.sock.getpeername()[0], "220 sink.test ESMTP")
        self._reply(banner)
        while banner.startswith("2"):
            line = self._line().decode("utf-8", "surrogateescape")
            self.sink.commands.append(line)
            if not self._command(line):
                return

    def _command(self, line: str) -> bool:
        """Answer one command; False after QUIT."""
        verb = line[:4].upper()
        if verb == "EHLO":
            self._reply(
                "\r\n".join(["250-sink.test", *(f"250-{name}" for name in self.sink.extensions), "250 HELP"])
            )
        elif verb == "MAIL":
            self._mail(line)
        elif verb == "RCPT":
            self._rcpt(line)
        elif verb == "DATA":
            self._data()
        elif verb == "QUIT":
            self._reply("221 2.0.0 Bye")
            return False
        else:
            if verb == "RSET":
                self._forget_envelope()
            self._reply("250 2.0.0 Ok" if verb in ("HELO", "RSET", "NOOP") else "500 5.5.2 Unknown command")
        return True

    def _mail(self, line: str) -> None:
        self._forget_envelope()
        self.mail_from, self.mail_params = _path(line)
        self._reply(self.sink.answer("mail", self.mail_from, "250 2.1.0 Ok"))

    def _rcpt(self, line: str) -> None:
        rcpt, _ = _path(line)
        reply = self.sink.answer("rcpt", rcpt, "250 2.1.5 Ok")
        if reply.startswith("2"):
            self.rcpts.append(rcpt)
        self._reply(reply)

    def _data(self) -> None:
        if not self.rcpts:
            self._reply("554 5.5.1 No valid recipients")
            return
        self._reply("354 End data with <CR><LF>.<CR><LF>")
        wire = self._until_final_dot()
        when = time.monotonic()
        reply = self.sink.answer("dot", self.rcpts[0], f"250 2.0.0 Ok: message {len(self.sink.messages) + 1}")
        if reply.startswith("2"):
            kept = Received(self.mail_from, tuple(self.rcpts), self.mail_params, wire, when, self.number)
            self.sink.messages.append(kept)
        self._forget_envelope()
        self._reply(reply)

    def _until_final_dot(self) -> bytes:
        self.buffer[:0] = CRLF  # so that a message of no line at all ends as every other does
        searched = 0
        while (end := self.buffer.find(END_OF_DATA, searched)) < 0:
            searched = max(0, len(self.buffer) - len(END_OF_DATA) + 1)
            self._receive()
        wire = bytes(self.buffer[2 : end + 2])
        del self.buffer[: end + len(END_OF_DATA)]
        return wire

    def _line(self) -> bytes:
        while (end := self.buffer.find(CRLF)) < 0:
            self._receive()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line

    def _receive(self) -> None:
        chunk = self.sock.recv(1 << 18)
        if not chunk:
            raise EOFError
        self.buffer += chunk

    def _reply(self, line: str) -> None:
        self.sock.sendall(line.encode() + CRLF)


def _path(line: str) -> tuple[str, str]:
    """Split MAIL FROM:<path> params into the path and the parameters."""
    inside, _, after = line.partition("<")[2].rpartition(">")
    return inside, after.strip()


class PostfixSink:
    """Postfix's smtp-sink as a process: counts messages, and keeps each in a file if told to."""

    def __init__(self, directory: Path, *, keep: bool = False) -> None:
        self.port = free_port()
        self.directory = directory / "messages"
        directory.mkdir(parents=True, exist_ok=True)
        self._counters = directory / "counters"
        options = ["-c", "-m", "1000"]
        if os.geteuid() == 0:
            options += ["-u", "root"]  # it insists on a name; the test's directories are root's own
        if keep:
            options += ["-d", f"{self.directory}/m."]
        with self._counters.open("wb") as out:
            command = [program("smtp-sink", "postfix"), *options, f"127.0.0.1:{self.port}", "1000"]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        assert eventually(self._listens, 5), f"smtp-sink does not listen: {self._counters.read_text()}"

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    @property
    def count(self) -> int:
        """How many messages came to their final dot so far."""
        with self._counters.open("rb") as counters:
            counters.seek(max(0, os.path.getsize(self._counters) - 200))
            found = re.findall(rb"mesg=(\d+)", counters.read())
        return int(found[-1]) if found else 0

    def wait_for(self, count: int, timeout: float = 15.0) -> None:
        """Wait until so many messages are counted. Raises AssertionError."""
        arrived = eventually(lambda: self.count >= count, timeout, 0.005)
        assert arrived, f"{self.count} of {count} messages arrived in {timeout} s"

    def messages(self) -> Iterator[bytes]:
        """Return the kept messages with LF line ends, without the dots of SMTP and the lines smtp-sink adds."""
        for path in sorted(self.directory.iterdir()):
            dump = path.read_bytes()
            yield re.sub(rb"\A(?:X-[A-Za-z-]+: .*\n)+Received: .*\n(?:\t.*\n)*", b"", dump)[:-1]

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def __enter__(self) -> PostfixSink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
