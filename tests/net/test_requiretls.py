"""REQUIRETLS towards a next hop (RFC 8689): said where it is offered inside TLS, and nothing is sent elsewhere."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from mta.net.smtp_client import SmtpClient
from mta.smtp.address import Address
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer

RCPT = Address.parse("ann@there.test")


@pytest.mark.parametrize("offered", [True, False])
def test_inside_tls(tmp_path: Path, offered: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mx.test").configure_cert(context)
    heard: list[str] = []

    def session(peer: Peer) -> None:
        peer.greet("STARTTLS")
        peer.hear()
        peer.say("220 go")
        peer.start_tls(context)
        peer.hello("REQUIRETLS" if offered else "SIZE")
        if offered:
            heard.extend(peer.take(["250 ok", "250 ok", "354 go"]))
            peer.until(b"\r\n.\r\n")
            peer.say("250 taken")

    with ScriptedPeer(session) as peer:
        hop = replace(peer.hop, from_dns="mx.test", tls="required")
        client = SmtpClient.connect(hop, helo="here.test", connect_timeout=5, cafile=str(tmp_path / "ca.pem"))
        reply = client.send(RCPT, [RCPT], Letter(b"A: b\r\n\r\n"), require_tls=True)[RCPT]
    if offered:
        assert heard[0] == "MAIL FROM:<ann@there.test> REQUIRETLS"
        assert reply.code == 250
    else:
        assert str(reply) == "550 5.7.30 REQUIRETLS support required"


def test_an_offer_in_clear_counts_for_nothing() -> None:
    with ScriptedPeer(lambda peer: peer.greet("REQUIRETLS")) as peer:
        client = SmtpClient.connect(replace(peer.hop, tls="off"), helo="here.test", connect_timeout=5)
        reply = client.send(RCPT, [RCPT], Letter(b"A: b\r\n\r\n"), require_tls=True)[RCPT]
    assert str(reply) == "550 5.7.30 REQUIRETLS support required"
