"""A next hop that works but for one fault: the one of a cell of the fault table, in every session until it is healed."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

PATIENCE = 30.0  # seconds after which a session of a test that failed ends by itself
BODY_READ = 1000  # bytes of a message that have come when a fault in its middle strikes
SMALL_SEGMENT = 536  # with it the client's system takes little of a message before the hop reads
SMALL_BUFFER = 8192
ENDLESS = b"250-and another line\r\n" * 100
LAST_CHUNK = re.compile(rb"BDAT (\d+) LAST\r\n")
TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal, handshake_failure

NONSENSE = {
    "text": b"hello, this is no reply\r\n",
    "binary": bytes(range(128, 256)) + b"\0\r\n",
    "long": b"250 " + b"x" * 5000 + b"\r\n",
}


class Gone(Exception):
    """The session is over."""


@dataclass
class Taken:
    """One message that the hop would deliver, and the connection it came over."""

    rcpts: list[str]
    data: bytes
    session: Session


@dataclass
class FaultyHop:
    """Listens from construction to close().

    phase, kind: the fault, none when the phase is "". wire: smtp, lmtp, bdat, tls, required. refuses: a recipient that never is
    accepted. reused: how often a message came over a connection that had talked nonsense.
    """

    host: str
    wire: str
    phase: str = ""
    kind: str = ""
    refuses: str = ""
    tls: ssl.SSLContext | None = None
    taken: list[Taken] = field(default_factory=list)
    reused: int = 0
    sessions: int = 0
    quits: int = 0

    def __post_init__(self) -> None:
        self._open: set[socket.socket] = set()
        self._plugs: list[socket.socket] = []
        self.port = 0
        if (self.phase, self.kind) == ("connect", "refuse"):
            self._listener: socket.socket | None = None
            self._reserve()
        else:
            self._listen()

    def close(self) -> None:
        """Stop listening and hang up on everybody."""
        for sock in [*self._plugs, *self._open, *([self._listener] if self._listener else [])]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def heal(self) -> None:
        """Work from now on as a next hop should."""
        self.phase = self.kind = ""
        if self._listener is None:
            self._listen()
        for plug in self._plugs:
            plug.close()
        if self._plugs:
            self._plugs = []
            self._serve_all()

    def fault(self, phase: str) -> str:
        """The kind of fault that strikes in this phase; empty when all is well."""
        return self.kind if phase == self.phase else ""

    def _reserve(self) -> None:
        """Choose a port that nobody listens on."""
        with socket.create_server((self.host, 0)) as probe:
            self.port = probe.getsockname()[1]

    def _listen(self) -> None:
        self._listener = listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.phase == "body":
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        listener.bind((self.host, self.port))
        self.port = listener.getsockname()[1]
        if (self.phase, self.kind) == ("connect", "hang"):
            self._plug(listener)
        else:
            listener.listen(64)
            self._serve_all()

    def _plug(self, listener: socket.socket) -> None:
        """Fill the queue of connections that nobody accepts: Linux then drops what asks for another."""
        listener.listen(0)
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sock.connect((self.host, self.port))
            self._plugs.append(sock)

    def _serve_all(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self.sessions += 1
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(sock)
        session = Session(self, sock)
        with contextlib.suppress(OSError, Gone):
            session.run()
        self._open.discard(sock)
        session.sock.close()


class Session:
    """One connection to a FaultyHop."""

    def __init__(self, hop: FaultyHop, sock: socket.socket) -> None:
        self.hop = hop
        self.sock = sock
        self.buffer = b""
        self.secured = False
        self.mails = 0
        self.inside = False
        self.confused_since: int | None = None
        self.rcpts: list[str] = []
        self.asked = 0  # RCPT commands of this transaction
        self.chunks = b""
        self.failed = False

    def run(self) -> None:
        self.strike_at_once("connect")
        if not self.reply("banner", "220 hop.test ESMTP").startswith("220"):
            self.drain()
        while True:
            verb, _, argument = self.line().decode("utf-8", "replace").partition(" ")
            handler: Callable[[str], None] | None = getattr(self, f"do_{verb.lower()}", None)
            if handler is None:
                self.send(b"500 5.5.1 what?\r\n")
            else:
                handler(argument)

    # -- commands

    def do_ehlo(self, _: str) -> None:
        hop = self.hop
        if hop.phase == "helo":
            self.send(b"500 5.5.1 EHLO is unknown here\r\n")
            return
        offers = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "AUTH PLAIN"]
        if hop.wire == "bdat":
            offers.append("CHUNKING")
        if hop.tls is not None and not self.secured:
            offers.append("STARTTLS")
        text = "".join(f"250-{line}\r\n" for line in ["hop.test", *offers[:-1]]) + f"250 {offers[-1]}"
        self.reply("ehlo2" if self.secured else "ehlo", text)

    do_lhlo = do_ehlo

    def do_helo(self, _: str) -> None:
        self.reply("helo", "250 hop.test")

    def do_starttls(self, _: str) -> None:
        if not self.reply("starttls", "220 2.0.0 go ahead").startswith("220"):
            return
        kind = self.hop.fault("handshake")
        if kind in ("text", "alert"):
            self.sock.recv(4096)
            self.send(TLS_ALERT if kind == "alert" else b"454 4.7.0 no TLS today\r\n")
            self.finish()
        self.strike_at_once("handshake")
        assert self.hop.tls is not None
        self.sock = self.hop.tls.wrap_socket(self.sock, server_side=True)
        self.buffer, self.secured = b"", True

    def do_auth(self, _: str) -> None:
        self.reply("auth", "235 2.7.0 welcome")

    def do_mail(self, _: str) -> None:
        self.mails += 1
        if self.confused_since is not None and self.mails > self.confused_since:
            self.hop.reused += 1
        self.rcpts, self.asked, self.chunks, self.failed = [], 0, b"", False
        self.inside = self.reply("mail", "250 2.1.0 ok").startswith("250")

    def do_rcpt(self, argument: str) -> None:
        if not self.inside:
            self.send(b"503 5.5.1 MAIL first\r\n")
            return
        self.asked += 1
        rcpt = argument.partition("<")[2].partition(">")[0]
        if rcpt == self.hop.refuses:
            self.send(b"550 5.1.1 nobody of that name\r\n")
        elif self.reply(f"rcpt{self.asked}", "250 2.1.5 ok").startswith("250"):
            self.rcpts.append(rcpt)

    def do_data(self, _: str) -> None:
        if not self.rcpts:
            self.send(b"554 5.5.1 no recipients\r\n")
        elif self.reply("data", "354 go ahead").startswith("354"):
            self.take(self.body())

    def do_bdat(self, argument: str) -> None:
        size, _, last = argument.partition(" ")
        while len(self.buffer) < int(size):
            self.receive()
        chunk, self.buffer = self.buffer[: int(size)], self.buffer[int(size) :]
        if not self.rcpts or self.failed:
            self.send(b"503 5.5.1 no recipients\r\n")
            return
        self.chunks += chunk
        if last:
            self.take(self.chunks)
        else:
            if self.hop.fault("chunk"):
                self.await_last()
            # RFC 3030 2: after a chunk was refused the others are, too.
            self.failed = not self.reply("chunk", "250 2.0.0 more").startswith("250")

    def await_last(self) -> None:
        """Until all of the message is here, so that no fault meets a client that is still writing."""
        while not (last := LAST_CHUNK.search(self.buffer)) or len(self.buffer) < last.end() + int(last[1]):
            self.receive()

    def do_rset(self, _: str) -> None:
        self.rcpts, self.inside = [], False
        self.send(b"250 2.0.0 ok\r\n")

    def do_quit(self, _: str) -> None:
        self.hop.quits += 1
        self.reply("quit", "221 2.0.0 bye")
        self.finish()

    # -- the message

    def body(self) -> bytes | None:
        """The message; None when it was answered before it ended."""
        answered = False
        if self.hop.phase == "body":
            while len(self.buffer) < BODY_READ:
                self.receive()
            for _ in self.rcpts if self.hop.wire == "lmtp" else [""]:
                self.reply("body", "")
            answered = True
        while b"\r\n.\r\n" not in self.buffer:
            self.receive()
        body, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
        return None if answered else body

    def take(self, body: bytes | None) -> None:
        """Answer the dot. Who leaves the client in doubt has taken the message: that is the worse case."""
        rcpts, self.rcpts = self.rcpts, []
        if body is None:
            return
        taken = Taken([], body, self)
        self.hop.taken.append(taken)
        for rcpt in rcpts if self.hop.wire == "lmtp" else rcpts[:1]:
            phase = (
                f"dot{rcpts.index(rcpt) + 1 + bool(self.hop.refuses)}" if self.hop.wire == "lmtp" else "dot"
            )
            if self.hop.fault(phase) not in ("refuse5", "refuse4", "wrong", "bye421"):
                taken.rcpts.extend([rcpt] if self.hop.wire == "lmtp" else rcpts)
            self.reply(phase, "250 2.0.0 taken")

    # -- faults

    def reply(self, phase: str, text: str) -> str:
        """Say the reply, or what the fault puts into its place; returns the reply that the hop itself goes by."""
        kind = self.hop.fault(phase)
        if not kind:
            self.send(text.encode() + b"\r\n" if text else b"")
            return text
        if kind in ("refuse5", "refuse4", "wrong", "bye421"):
            text = {
                "refuse5": "535 5.7.8 no" if phase == "auth" else "554 5.7.1 no",
                "refuse4": "450 4.2.0 later",
                "wrong": "250 2.0.0 what?" if phase == "data" else "354 what?",
                "bye421": "421 4.3.2 closing",
            }[kind]
            self.send(text.encode() + b"\r\n")
            if kind == "wrong" and phase != "starttls":
                self.confused_since = self.mails
            if kind == "bye421":
                self.finish()
            return text
        self.strike(kind)
        return text

    def strike_at_once(self, phase: str) -> None:
        if self.hop.fault(phase):
            self.strike(self.hop.kind)

    def strike(self, kind: str) -> None:
        if kind == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.sock.close()
            raise Gone
        if kind == "close":
            self.finish()
        if kind == "hang":
            self.hang()
        self.confused_since = self.mails
        if kind == "endless":
            while True:
                self.send(ENDLESS)
        self.send(NONSENSE[kind])

    def finish(self) -> None:
        """Close this direction, so that what was said before arrives, then wait for the other."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self.drain()

    def drain(self) -> None:
        while self.sock.recv(65536):
            pass
        raise Gone

    def hang(self) -> None:
        """Neither read nor write, until the client has gone."""
        hung_up = threading.Event()
        while not hung_up.wait(0.1):
            info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
            if info[0] != 1:  # not ESTABLISHED any more
                raise Gone

    # -- lines

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self.receive()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def receive(self) -> None:
        chunk = self.sock.recv(65536)
        if not chunk:
            raise Gone
        self.buffer += chunk

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)
