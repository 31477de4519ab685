"""Certificates made for a test, a server's end of TLS over a throw-away installation, and clients that speak TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme

from mta.logger import INFO, Logger
from mta.net.tls_server import TlsServer
from mta.plugin.hooks import Plugin
from tests.support.install import Install
from tests.support.plugins import plugins_of
from tests.support.service import Client, Inbound

RSA, ECDSA = trustme.KeyType.RSA, trustme.KeyType.ECDSA


class Authority:
    """Signs certificates; an intermediate authority stands between it and them."""

    def __init__(self) -> None:
        self.root = trustme.CA()
        self._ca = self.root.create_child_ca()

    def pair(self, *names: str, kind: trustme.KeyType = ECDSA, days: float = 30) -> tuple[bytes, bytes]:
        """Key, and certificate with chain, in PEM; `days` may be negative: it expired then."""
        end = datetime.now(UTC) + timedelta(days=days)
        leaf = self._ca.issue_cert(
            *names, common_name=names[0], not_before=end - timedelta(days=90), not_after=end, key_type=kind
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return leaf.private_key_pem.bytes(), chain

    def client(self, *names: str) -> trustme.LeafCert:
        """A client's own certificate."""
        return self._ca.issue_cert(*(names or ("client.test",)))


class Site:
    """An installation's TLS: `main(...)` and `write` put files into config/, `inbound` serves them."""

    def __init__(self, directory: Path) -> None:
        self.install = Install(directory)
        self.directory = directory
        self.lines: list[str] = []
        self.logger = Logger(INFO, write=self.lines.append)
        self.logger.plugins_ready(None)

    def write(self, name: str, text: str | bytes) -> Path:
        return self.install.write(name, text)

    def main(self, pair: tuple[bytes, bytes]) -> None:
        """The pair of tls.ini."""
        self.write("tls_key.pem", pair[0])
        self.write("tls_cert.pem", pair[1])

    def server(self) -> TlsServer:
        return TlsServer(self.install.config, self.logger)

    def inbound(self, *extra: Plugin, smtps: bool = False, plugin: bool = True, **settings: Any) -> Inbound:
        """A listener, not started yet, with the plugin tls unless told otherwise."""
        plugins = plugins_of(self.directory, ["tls"], {}, self.logger) if plugin else []
        inbound = Inbound([*plugins, *extra], **{"log_level": INFO, **settings})
        inbound.service.tls = self.server()
        if smtps:
            inbound.service.smtp = replace(inbound.service.smtp, smtps_port=(inbound.port,))
        return inbound


def trusting(authority: Authority | None = None, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client's context: one that believes in the authority, or in anything."""
    context = ssl.create_default_context()
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        authority.root.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    return context


class TlsClient(Client):
    """A client that has TLS on from the start, or turns it on."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, name: str = "mail.test") -> None:
        """With a context: implicit TLS."""
        if context is None:
            super().__init__(port)
            return
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.handshake(context, name)
        self.banner = self.read()

    def handshake(
        self, context: ssl.SSLContext, name: str = "mail.test", session: ssl.SSLSession | None = None
    ) -> None:
        self.sock = context.wrap_socket(self.sock, server_hostname=name or None, session=session)
        self.file = self.sock.makefile("rb")

    def start_tls(self, context: ssl.SSLContext, name: str = "mail.test", **more: Any) -> None:
        """EHLO, STARTTLS, handshake."""
        assert "STARTTLS" in self.ask("EHLO client.test")
        assert self.ask("STARTTLS") == "220 2.0.0 Go ahead."
        self.handshake(context, name, **more)

    @property
    def certificate(self) -> dict[str, Any]:
        """The server's, as the ssl module tells it; only when it was verified."""
        return self.sock.getpeercert()  # type: ignore[attr-defined]


def names(certificate: dict[str, Any]) -> Sequence[str]:
    return [name for _, name in certificate["subjectAltName"]]
