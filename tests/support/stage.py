"""Where dialogues are played: a receiving side with the plugins a dialogue asks for, and ways to speak to it."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gevent

from mta.config.schema import SETTINGS, ExtensionSettings
from mta.connection import Connection, Endpoint
from mta.inbound.session import Session
from mta.net.tls_server import TlsServer
from mta.net.wire import Wire
from mta.plugin import OK, Plugin
from mta.plugin import verdict as codes
from mta.smtp.reply import Reply
from mta.transaction import Transaction
from tests.support.dialogue import Dialogue, Side, play, unescape
from tests.support.plugins import config_of, logger_and_lines, plugins_of
from tests.support.service import Denier, Inbound, Local
from tests.support.tls import Authority, trusting

SECONDS = 15.0  # longer than any dialogue waits for a reply
SLOW = 0.05  # seconds that a plugin may take where a dialogue has one that takes longer


class Relaying(Plugin):
    """The client may send anywhere."""

    name = "relaying"

    def hook_connect(self, connection):
        connection.relaying = True


class Failing(Plugin):
    """Breaks at one hook."""

    name = "failing"

    def __init__(self, hook: str) -> None:
        def fail(*args: object) -> None:
            raise ValueError("deliberately")

        self.register_hook(hook, fail)


class Slow(Plugin):
    """Takes longer than it may at one hook."""

    name = "slow"
    timeout = SLOW

    def __init__(self, hook: str) -> None:
        self.register_hook(hook, lambda *args: time.sleep(20 * SLOW))


class Knows(Plugin):
    """Knows one more command, which is a dialogue."""

    name = "knows"

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def hook_unrecognized_command(self, connection, verb, argument):
        if verb != self.verb:
            return None
        return OK, Reply(250, f"you said {connection.ask(334, argument)}", "2.0.0")


def _denier(text: str) -> Plugin:
    hook, code, *message = text.split(" ", 2)
    answer = getattr(codes, code)
    if not message:
        return Denier(hook, answer)
    return Denier(hook, (answer, unescape(message[0]).decode()))


MADE: dict[str, Callable[[str], Plugin]] = {
    "denier": _denier,
    "failing": Failing,
    "slow": Slow,
    "knows": Knows,
    "relaying": lambda _: Relaying(),
}


class Stage:
    """A receiving side for one dialogue. `accepted` are the messages it took, `inbound.lines` is its log."""

    def __init__(self, dialogue: Dialogue, directory: Path, *, smtps: bool = False) -> None:
        self._submitted: list[bytes] = []
        self._local = Local()
        plugins = [plugin for spec in dialogue.plugins for plugin in self._plugins(spec, dialogue, directory)]
        self.inbound = Inbound(plugins, submit=self._submit, log_level=4, **_settings(dialogue))
        if smtps or "tls" in dialogue.plugins:
            self.inbound.service.tls = tls_server()
        if smtps:
            self.inbound.service.smtp = replace(self.inbound.service.smtp, smtps_port=(self.inbound.port,))

    def _plugins(self, spec: str, dialogue: Dialogue, directory: Path) -> list[Plugin]:
        kind, _, text = spec.partition(" ")
        if kind == "local":
            return [self._local]
        if kind in MADE:
            return [MADE[kind](text)]
        return plugins_of(directory, [kind], dict(dialogue.files), logger_and_lines()[0])

    def _submit(self, transaction: Transaction) -> Reply:
        self._submitted.append(b"".join(transaction.message_stream.chunks()))
        return Reply(250, f"Message Queued ({transaction.uuid})", "2.0.0")

    @property
    def accepted(self) -> list[bytes]:
        """Every message that was answered with 250, as it is stored."""
        return [*self._submitted, *(message for _, _, message in self._local.mails)]

    @property
    def troubles(self) -> list[str]:
        """Lines of the log at CRIT and above."""
        return [line for line in self.inbound.lines if line.startswith(("[CRIT]", "[ALERT]", "[EMERG]"))]


def _settings(dialogue: Dialogue) -> dict[str, Any]:
    """What `set:` says, by the names of ConnectionSettings and SmtpSettings; `extensions.NAME` for one of those."""
    found: dict[str, Any] = {}
    for name, text in dialogue.settings:
        kind = next(
            str(one.type)
            for settings in (*SETTINGS, ExtensionSettings)
            for one in dataclasses.fields(settings)
            if one.name == name.removeprefix("extensions.")
        )
        if name.startswith("extensions."):
            before = found.get("extensions", ExtensionSettings())
            found["extensions"] = replace(before, **{name.removeprefix("extensions."): _typed(kind, text)})
        else:
            found[name] = _typed(kind, text)
    return found


def _typed(kind: str, text: str) -> Any:
    if kind == "bool":
        return text == "true"
    if kind == "tuple[str, ...]":
        return tuple(text.split("|"))
    return {"int": int, "float": float}.get(kind, str)(text)


class SocketSide(Side):
    """A connected socket, written whole or byte by byte."""

    def __init__(self, sock: socket.socket, one_by_one: bool = False) -> None:
        sock.settimeout(SECONDS)
        self._sock = sock
        self._file = sock.makefile("rb")
        self._one_by_one = one_by_one

    def send(self, data: bytes) -> None:
        # Who hangs up on a line that is too long does so before its end: what it said is read below.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if not self._one_by_one:
                self._sock.sendall(data)
                return
            for index in range(len(data)):
                self._sock.sendall(data[index : index + 1])
                gevent.idle()  # lets the server read it

    def read_line(self) -> bytes:
        try:
            return self._file.readline()
        except ConnectionResetError:
            return b""

    def start_tls(self) -> None:
        self._file.close()
        self._sock = tls_client(self._sock)
        self._file = self._sock.makefile("rb")

    def half_close(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._sock.close()


@cache
def authority() -> Authority:
    """One certificate authority for all tests of a run."""
    return Authority()


@cache
def tls_server() -> TlsServer:
    """One server's end of TLS for all tests of a run: to read certificates takes longer than most dialogues."""
    key, chain = authority().pair("mx.example.test")
    with TemporaryDirectory() as directory:
        pair = {"tls_key.pem": key.decode(), "tls_cert.pem": chain.decode()}
        return TlsServer(config_of(Path(directory), pair), logger_and_lines()[0])


@cache
def client_context() -> ssl.SSLContext:
    """A client that checks the server's certificate."""
    return trusting(authority())


def tls_client(sock: socket.socket) -> ssl.SSLSocket:
    """The client's side of a handshake. Raises ssl.SSLError."""
    return client_context().wrap_socket(sock, server_hostname="mx.example.test")


@contextmanager
def scripted(inbound: Inbound) -> Iterator[socket.socket]:
    """The client's end of a pair of sockets in memory, a session of `inbound` at the other."""
    client, theirs = socket.socketpair()
    service = inbound.service

    def serve() -> None:
        lenient = service.settings.bare_newline == "repair"
        wire = Wire(theirs, timeout=service.smtp.inactivity_timeout, lenient=lenient)
        remote, local = Endpoint("127.0.0.1", 40000), Endpoint("127.0.0.1", 25)
        remote.is_local = remote.is_private = True
        Session(Connection(service.logger, remote, local), wire, service).run()

    session = gevent.spawn(serve)
    try:
        yield client
    finally:
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)  # a file made of it may still hold it open
        client.close()
        session.join(timeout=SECONDS)
        assert session.ready(), "the session does not end"


@contextmanager
def on_a_wire(stage: Stage) -> Iterator[Side]:
    with scripted(stage.inbound) as sock:
        yield SocketSide(sock)


@contextmanager
def byte_by_byte(stage: Stage) -> Iterator[Side]:
    with scripted(stage.inbound) as sock:
        yield SocketSide(sock, one_by_one=True)


@contextmanager
def over_a_socket(stage: Stage) -> Iterator[Side]:
    with (
        stage.inbound as inbound,
        socket.create_connection(("127.0.0.1", inbound.port), timeout=SECONDS) as sock,
    ):
        yield SocketSide(sock)


@contextmanager
def over_tls(stage: Stage) -> Iterator[Side]:
    with (
        stage.inbound as inbound,
        socket.create_connection(("127.0.0.1", inbound.port), timeout=SECONDS) as sock,
        tls_client(sock) as secured,
    ):
        yield SocketSide(secured)


PLACES = {"wire": on_a_wire, "bytes": byte_by_byte, "socket": over_a_socket, "tls": over_tls}


def perform(dialogue: Dialogue, place: str, directory: Path) -> Stage:
    """Play a dialogue in one of PLACES and hold the server to what must be true afterwards. Raises AssertionError."""
    stage = Stage(dialogue, directory, smtps=place == "tls")
    with PLACES[place](stage) as side:
        play(dialogue, side)
        side.close()
    if dialogue.mails is not None:
        assert len(stage.accepted) == dialogue.mails, stage.accepted
    if dialogue.kept is not None:
        assert stage.accepted[-1:] == [dialogue.kept], f"kept: {stage.accepted[-1:]!r}"
    log = "\n".join(stage.inbound.lines)
    for expected in dialogue.log:
        assert expected in log, log
    assert dialogue.log or not stage.troubles, stage.troubles
    return stage
