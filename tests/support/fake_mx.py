"""A next hop on a loopback socket that says what a test tells it to, and remembers what it was told."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from types import TracebackType

PHASES = ("connect", "banner", "ehlo", "helo", "mail", "rcpt", "data", "body", "bdat", "dot", "rset", "quit")


@dataclass
class Received:
    """One message that was taken, as it came over the wire: by DATA dots stuffed, without the final dot; by BDAT as it is."""

    mail_from: str
    rcpts: list[str]
    data: bytes
    params: str
    session: int
    rcpt_params: list[str] = field(default_factory=list)


@dataclass
class Script:
    """Replies to give for one verb; the last one is repeated for ever."""

    replies: list[str]

    def next(self) -> str:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@dataclass
class _Envelope:
    mail_from: str = ""
    params: str = ""
    rcpts: list[str] = field(default_factory=list)
    rcpt_params: list[str] = field(default_factory=list)
    chunks: bytes = b""


class FakeMx:
    """Listens from construction to close(); one thread per session. Use as a context manager."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 52428800", "SMTPUTF8"),
        lmtp: bool = False,
    ) -> None:
        self.host = host
        self.extensions = extensions
        self.lmtp = lmtp
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.peers: list[str] = []
        self.sessions = 0
        self.quits = 0
        self._scripts: dict[str, Script] = {}
        self._drops: dict[str, int] = {}
        self._slow: dict[str, float] = defaultdict(float)
        self._open: set[socket.socket] = set()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    # -- what a test says beforehand

    def reply(self, verb: str, *replies: str, rcpt: str = "") -> FakeMx:
        """Answer `verb` (a phase, in lower case) with each reply in turn; for "rcpt" and LMTP "dot" of one address."""
        assert verb in PHASES and replies, verb
        self._scripts[f"{verb} {rcpt}".strip()] = Script(list(replies))
        return self

    def drop(self, phase: str, times: int = 1) -> FakeMx:
        """Close the connection instead of answering; at "body" after the first bytes, at "dot" after the last."""
        assert phase in PHASES, phase
        self._drops[phase] = times
        return self

    def slow(self, phase: str, seconds: float) -> FakeMx:
        """Wait before each answer in that phase."""
        assert phase in PHASES, phase
        self._slow[phase] = seconds
        return self

    @property
    def smarthost(self) -> str:
        """The server as outbound.ini names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def rcpts(self) -> list[str]:
        """Every recipient a message was taken for."""
        return [rcpt for message in self.messages for rcpt in message.rcpts]

    def count(self, verb: str) -> int:
        """How often a command came."""
        return sum(command.upper().startswith(verb.upper()) for command in self.commands)

    # -- life

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        self._shut(self._listener)
        for sock in list(self._open):
            self._shut(sock)

    def hang_up(self) -> None:
        """Close the sessions, as a server does that found them idle; go on listening."""
        for sock in list(self._open):
            self._shut(sock)

    def __enter__(self) -> FakeMx:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- one session

    def _accept(self) -> None:
        while True:
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            self.peers.append(peer[0])
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self.sessions += 1
        self._open.add(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.session(sock, self.sessions).run()
        except (OSError, EOFError):
            pass
        finally:
            self._open.discard(sock)
            self._shut(sock)

    def session(self, sock: socket.socket, number: int) -> _Session:
        return _Session(self, sock, number)

    def _shut(self, sock: socket.socket) -> None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        sock.close()

    def _answer_to(self, phase: str, default: str, rcpt: str = "") -> str:
        """What to say now. Raises EOFError when the script wants the connection to end here."""
        if self._slow[phase]:
            time.sleep(self._slow[phase])
        self.maybe_drop(phase)
        script = self._scripts.get(f"{phase} {rcpt}") or self._scripts.get(phase)
        return script.next() if script else default

    def maybe_drop(self, phase: str) -> None:
        if self._drops.get(phase, 0) > 0:
            self._drops[phase] -= 1
            raise EOFError(phase)


class _Session:
    def __init__(self, server: FakeMx, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number
        self.lines = sock.makefile("rb")
        self.envelope = _Envelope()

    def run(self) -> None:
        self.server.maybe_drop("connect")
        self.say("banner", "220 fake.mx ESMTP")
        for raw in self.lines:
            command = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            self.server.commands.append(command)
            verb, _, argument = command.partition(" ")
            if not self.obey(verb.upper(), argument):
                return

    def say(self, phase: str, default: str, rcpt: str = "") -> str:
        text = self.server._answer_to(phase, default, rcpt)
        self.sock.sendall(text.replace("\n", "\r\n").encode() + b"\r\n")
        return text

    def obey(self, verb: str, argument: str) -> bool:
        if verb in ("EHLO", "LHLO"):
            self.greet()
        elif verb == "HELO":
            self.say("helo", "250 fake.mx")
        elif verb == "MAIL":
            self.mail(argument)
        elif verb == "RCPT":
            self.rcpt(argument)
        elif verb == "DATA":
            self.data()
        elif verb == "BDAT":
            self.bdat(argument)
        elif verb == "RSET":
            self.envelope = _Envelope()
            self.say("rset", "250 ok")
        elif verb == "QUIT":
            self.server.quits += 1
            self.say("quit", "221 bye")
            return False
        else:
            self.sock.sendall(b"500 what?\r\n")
        return True

    def greet(self) -> None:
        lines = ["fake.mx", *self.server.extensions]
        text = "\n".join(f"250-{line}" for line in lines[:-1]) + f"\n250 {lines[-1]}"
        self.say("ehlo", text.strip())

    def mail(self, argument: str) -> None:
        path, _, params = argument[len("FROM:") :].partition("> ")
        answer = self.say("mail", "250 2.1.0 ok")
        self.envelope = _Envelope(path.strip("<>"), params) if answer.startswith("2") else _Envelope()

    def rcpt(self, argument: str) -> None:
        path, _, params = argument[len("TO:") :].partition(">")
        rcpt = path.strip("<")
        if self.say("rcpt", "250 2.1.5 ok", rcpt).startswith("2"):
            self.envelope.rcpts.append(rcpt)
            self.envelope.rcpt_params.append(params.strip())

    def data(self) -> None:
        if not self.envelope.rcpts and "data" not in self.server._scripts:
            self.sock.sendall(b"554 5.5.1 no valid recipients\r\n")
            return
        if not self.say("data", "354 go ahead").startswith("354"):
            return
        self.take(self.body())

    def bdat(self, argument: str) -> None:
        size, _, last = argument.partition(" ")
        chunk = self.lines.read(
            int(size)
        )  # whatever the answer: it must not be read as commands (RFC 3030 2)
        self.server.maybe_drop("body")
        if len(chunk) < int(size):
            raise EOFError("body")
        if not self.envelope.rcpts:
            self.sock.sendall(b"503 5.5.1 no valid recipients\r\n")
            return
        self.envelope.chunks += chunk
        if last:
            self.take(self.envelope.chunks)
        elif not self.say("bdat", "250 2.0.0 go on").startswith("2"):
            self.envelope = _Envelope()

    def take(self, body: bytes) -> None:
        envelope, self.envelope = self.envelope, _Envelope()
        if taken := self.finish(envelope):
            message = Received(
                *(envelope.mail_from, taken, body, envelope.params, self.number, envelope.rcpt_params)
            )
            self.server.messages.append(message)

    def body(self) -> bytes:
        lines = []
        for line in self.lines:
            self.server.maybe_drop("body")
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line)
        raise EOFError("body")

    def finish(self, envelope: _Envelope) -> list[str]:
        if not self.server.lmtp:
            return envelope.rcpts if self.say("dot", "250 2.0.0 taken").startswith("2") else []
        taken = [(rcpt, self.say("dot", "250 2.0.0 taken", rcpt)) for rcpt in envelope.rcpts]
        return [rcpt for rcpt, answer in taken if answer.startswith("2")]
