"""A next hop of which each test writes out the whole conversation, byte by byte if it wants."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from mta.net.next_hop import NextHop


class Peer:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if sock.family != socket.AF_UNIX else None
        sock.settimeout(10)
        self.sock = sock

    def say(self, text: str | bytes) -> None:
        """Send replies; line ends of a text become CRLF, bytes are sent as they are."""
        data = text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode() + b"\r\n"
        self.sock.sendall(data)

    def hear(self) -> str:
        """The next line, without its line end; "" at the end."""
        line = b""
        while not line.endswith(b"\n"):
            octet = self.sock.recv(1)
            if not octet:
                break
            line += octet
        return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")

    def gulp(self) -> bytes:
        """Whatever one read gives."""
        return self.sock.recv(1 << 20)

    def until(self, end: bytes) -> bytes:
        """Everything up to `end`."""
        data = b""
        while not data.endswith(end):
            chunk = self.sock.recv(1 << 16)
            if not chunk:
                break
            data += chunk
        return data

    def is_quiet(self, seconds: float = 0.1) -> bool:
        """True when nothing arrives for a while."""
        self.sock.settimeout(seconds)
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(10)

    def greet(self, *extensions: str) -> str:
        """Banner and EHLO; returns the line that was heard."""
        self.say("220 peer.test ESMTP")
        return self.hello(*extensions)

    def hello(self, *extensions: str) -> str:
        """Only the EHLO."""
        line = self.hear()
        lines = ["peer.test", *extensions]
        self.say("\n".join([*(f"250-{text}" for text in lines[:-1]), f"250 {lines[-1]}"]))
        return line

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt, after the 220 has been said."""
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def take(self, answers: Iterable[str]) -> list[str]:
        """Hear a line for each answer and give it; returns the lines."""
        lines = []
        for answer in answers:
            lines.append(self.hear())
            self.say(answer)
        return lines


Session = Callable[[Peer], object]


class ScriptedPeer:
    """Runs one function per connection, in the order they come; then refuses. `failed` raises what went wrong there."""

    def __init__(self, *sessions: Session, path: str = "") -> None:
        self.accepted = 0
        self.clients: list[object] = []
        self._error: BaseException | None = None
        self._current: Peer | None = None
        self._sessions = sessions
        if path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
        self.hop = NextHop("", path=path) if path else NextHop("127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for session in self._sessions:
            try:
                sock, client = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.clients.append(client)
            peer = self._current = Peer(sock)
            try:
                session(peer)
            except (OSError, AssertionError) as error:
                self._error = error
            finally:
                peer.sock.close()
        self._listener.close()

    def _wake(self) -> None:
        """A client that nobody closed shall not keep its session waiting."""
        if self._current is not None:
            try:
                self._current.sock.shutdown(socket.SHUT_RD)
            except OSError:
                pass

    def __enter__(self) -> ScriptedPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.accepted == len(self._sessions):
            self._thread.join(0.05)
            self._wake()
            self._thread.join(5)
        self._listener.close()
        if kind is None and isinstance(self._error, AssertionError):
            raise self._error


def wait_for(happened: Callable[[], object], seconds: float = 5.0) -> bool:
    """True as soon as `happened()` is, False after so many seconds."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Letter:
    """A message of these chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    @property
    def size(self) -> int:
        return sum(map(len, self._chunks))

    def chunks(self) -> Iterable[bytes]:
        return iter(self._chunks)
