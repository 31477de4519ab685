"""A next hop that speaks TLS: the fake MX with STARTTLS, or with TLS from the start."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import trustme

from tests.support.fake_mx import FakeMx, _Session


def server_context(leaf: trustme.LeafCert, root: trustme.CA | None = None) -> ssl.SSLContext:
    """A server's context; with `root` the whole chain is sent, its end included, as DANE-TA(2) wants it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    chain = [blob.bytes() for blob in leaf.cert_chain_pems] + ([root.cert_pem.bytes()] if root else [])
    with trustme.Blob(leaf.private_key_pem.bytes() + b"".join(chain)).tempfile() as path:
        context.load_cert_chain(path)
    return context


class TlsMx(FakeMx):
    """context: for the handshake, None for a server that offers no STARTTLS. implicit: TLS before the banner.

    broken: the handshake never succeeds. offers: extensions inside TLS. secured: sessions with TLS; names: what the
    clients asked for by SNI; clients: their certificates.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        *,
        implicit: bool = False,
        broken: bool = False,
        offers: tuple[str, ...] = ("8BITMIME",),
        **more: Any,
    ) -> None:
        self.context = context
        self.implicit = implicit
        self.broken = broken
        self.offers = offers
        self.secured = 0
        self.names: list[str | None] = []
        self.clients: list[dict[str, Any]] = []
        if context is not None:
            context.sni_callback = lambda sock, name, _: self.names.append(name)
        super().__init__(extensions=("8BITMIME",), **more)

    def _serve(self, sock: socket.socket) -> None:
        if self.implicit:
            try:
                sock = self.encrypted(sock)
            except (OSError, EOFError):
                self._shut(sock)
                return
        super()._serve(sock)

    def encrypted(self, sock: socket.socket) -> socket.socket:
        if self.broken:
            sock.recv(1)
            raise EOFError("handshake")
        assert self.context is not None
        secured = self.context.wrap_socket(sock, server_side=True)
        self.secured += 1
        self.clients.append(secured.getpeercert() or {})
        self._open.add(secured)
        return secured

    def session(self, sock: socket.socket, number: int) -> _Session:
        return _TlsSession(self, sock, number)


class _TlsSession(_Session):
    server: TlsMx

    @property
    def is_secure(self) -> bool:
        return isinstance(self.sock, ssl.SSLSocket)

    def greet(self) -> None:
        offered = (
            self.server.offers if self.is_secure else ("STARTTLS",) if self.server.context else ("8BITMIME",)
        )
        lines = ["tls.mx", *offered]
        self.say("ehlo", "\n".join(f"250-{line}" for line in lines[:-1]) + f"\n250 {lines[-1]}")

    def obey(self, verb: str, argument: str) -> bool:
        if verb != "STARTTLS":
            return super().obey(verb, argument)
        self.sock.sendall(b"220 go\r\n")
        self.sock = self.server.encrypted(self.sock)
        self.lines = self.sock.makefile("rb")
        while raw := self.lines.readline():
            command = raw.rstrip(b"\r\n").decode()
            self.server.commands.append(command)
            verb, _, argument = command.partition(" ")
            if not self.obey(verb.upper(), argument):
                break
        return False


def write_ca(authority: trustme.CA, path: Path) -> str:
    """The authority as a PEM file; its path."""
    authority.cert_pem.write_to_path(path)
    return str(path)
