"""early_talker: clients that speak before the greeting are caught, and nobody waits but they."""

from __future__ import annotations

import socket
import time

import pytest

from mta.plugin import OK, ClientGone, Plugin
from tests.support.bundled import Talker, deliver, inbound_with
from tests.support.install import eventually
from tests.support.plugins import connection_from, plugins_of
from tests.support.service import Client, Local
from tests.support.tls import Authority, Site, TlsClient, trusting

PROXY = b"PROXY TCP4 192.0.2.1 198.51.100.3 40001 25\r\n"
BRIEF = {"early_talker.ini": "[main]\npause=0.3\n"}
FOR_EVER = {"early_talker.ini": "[main]\npause=3600\n"}
BEHIND_PROXY = {"haproxy_hosts": ("127.0.0.1",)}


class Stranger(Plugin):
    """Makes the loopback client look like one from the Internet, and notes what was found out about it."""

    name = "stranger"

    def __init__(self, ip="192.0.2.1", **remote):
        self.ip, self.remote = ip, remote
        self.results = []

    def hook_connect_init(self, connection):
        connection.remote.ip = self.ip
        connection.remote.is_local = connection.remote.is_private = False
        for name, value in self.remote.items():
            setattr(connection.remote, name, value)

    def hook_lookup_rdns(self, connection):
        return OK, "client.example"

    def hook_disconnect(self, connection):
        self.results.append((connection.early_talker, dict(connection.results.get("early_talker") or {})))


def test_who_speaks_first_is_refused_long_before_the_pause_is_over(tmp_path):
    stranger = Stranger()
    with inbound_with(tmp_path, ["early_talker"], FOR_EVER, before=[stranger]) as inbound:
        client = Talker(inbound.port, b"EHLO me\r\n")
        assert client.read() == "554 5.7.1 You talk too soon"
        assert client.read() == ""
        client.close()
        assert eventually(lambda: stranger.results)
    [(early, result)] = stranger.results
    assert early and result["fail"] == ["early"]


def test_who_speaks_in_the_middle_of_the_pause_is_refused_as_well(tmp_path):
    with inbound_with(tmp_path, ["early_talker"], FOR_EVER, before=[Stranger()]) as inbound:
        client = Talker(inbound.port)
        time.sleep(0.2)
        client.send(b"E")
        assert client.read() == "554 5.7.1 You talk too soon"
        client.close()


def test_who_waits_is_served(tmp_path):
    stranger, local = Stranger(), Local()
    with inbound_with(tmp_path, ["early_talker"], BRIEF, before=[stranger], after=[local]) as inbound:
        client = Client(inbound.port)
        assert client.banner.startswith("220 ")
        assert deliver(client)[-1].startswith("250 ")
        client.close()
        assert eventually(lambda: stranger.results)
    assert local.mails and stranger.results == [(False, {"pass": ["early"]})]


def test_pipelining_after_the_greeting_is_no_early_talk(tmp_path):
    local = Local()
    with inbound_with(tmp_path, ["early_talker"], BRIEF, before=[Stranger()], after=[local]) as inbound:
        client = Client(inbound.port)
        client.ask("EHLO client.test")
        client.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        assert [client.read()[:3] for _ in range(3)] == ["250", "250", "354"]
        client.close()


def test_who_does_not_wait_for_the_reply_to_ehlo_is_refused_at_data(tmp_path):
    with inbound_with(tmp_path, ["early_talker"], BRIEF, before=[Stranger()], after=[Local()]) as inbound:
        client = Client(inbound.port)
        client.send(b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
        replies = [client.read() for _ in range(5)]
        assert replies[3:] == ["554 5.7.1 You talk too soon", ""]
        client.close()


def test_without_reject_it_is_only_noted(tmp_path):
    stranger = Stranger()
    files = {"early_talker.ini": "[main]\npause=3600\nreject=false\n"}
    with inbound_with(tmp_path, ["early_talker"], files, before=[stranger], after=[Local()]) as inbound:
        client = Talker(inbound.port, b"EHLO me\r\n")
        assert client.read().startswith("220 ") and client.read().startswith("250")
        assert deliver(client)[-1].startswith("250 ")
        client.close()
        assert eventually(lambda: stranger.results)
    assert stranger.results[0][1]["fail"][0] == "early"


@pytest.mark.parametrize(
    ("remote", "ini", "reason"),
    [
        ({"is_private": True}, "", "private"),
        ({}, "[ip_whitelist]\n192.0.2.0/24\n", "whitelist"),
        ({}, "[ip_whitelist]\n192.0.2.1=\n", "whitelist"),
    ],
)
def test_trusted_clients_do_not_wait(tmp_path, remote, ini, reason):
    stranger = Stranger(**remote)
    files = {"early_talker.ini": f"[main]\npause=3600\n{ini}"}
    with inbound_with(tmp_path, ["early_talker"], files, before=[stranger]) as inbound:
        client = Client(inbound.port)
        assert client.banner.startswith("220 ")
        client.close()
        assert eventually(lambda: stranger.results)
    assert stranger.results == [(False, {"skip": [reason]})]


def test_clients_that_may_relay_do_not_wait(tmp_path):
    class Trusting(Stranger):
        def hook_connect_init(self, connection):
            super().hook_connect_init(connection)
            connection.relaying = True

    stranger = Trusting()
    with inbound_with(tmp_path, ["early_talker"], FOR_EVER, before=[stranger]) as inbound:
        Client(inbound.port).close()
        assert eventually(lambda: stranger.results)
    assert stranger.results[0][1] == {"skip": ["relaying"]}


def test_others_are_served_meanwhile(tmp_path):
    class Some(Stranger):
        def hook_connect_init(self, connection):
            if not self.results:
                self.results.append("first")
                super().hook_connect_init(connection)

    with inbound_with(tmp_path, ["early_talker"], FOR_EVER, before=[Some()], after=[Local()]) as inbound:
        waiting = Talker(inbound.port)
        time.sleep(0.1)
        client = Client(inbound.port)
        assert deliver(client)[-1].startswith("250 ")
        client.close()
        waiting.close()


def test_a_client_that_hangs_up_does_not_hold_its_place(tmp_path):
    stranger = Stranger()
    with inbound_with(tmp_path, ["early_talker"], FOR_EVER, before=[stranger]) as inbound:
        client = Talker(inbound.port)
        time.sleep(0.1)
        client.close()
        assert eventually(lambda: stranger.results and inbound.listener.count == 0)
    assert stranger.results == [(False, {})]


# ---- behind a load balancer


def test_the_client_of_a_load_balancer_is_meant_not_its_private_address(tmp_path):
    names = ["early_talker"]
    with inbound_with(tmp_path, names, FOR_EVER, **BEHIND_PROXY) as inbound:
        client = Talker(inbound.port, PROXY)
        time.sleep(0.2)
        client.send(b"EHLO x\r\n")
        assert client.read() == "554 5.7.1 You talk too soon"
        client.close()


def test_the_header_itself_is_no_talk(tmp_path):
    with inbound_with(tmp_path, ["early_talker"], BRIEF, after=[Local()], **BEHIND_PROXY) as inbound:
        client = Talker(inbound.port, PROXY)
        assert client.read().startswith("220 ")
        assert deliver(client)[-1].startswith("250 ")
        client.close()


def test_a_hello_with_the_header_is_the_load_balancers(tmp_path):
    with inbound_with(tmp_path, ["early_talker"], BRIEF, after=[Local()], **BEHIND_PROXY) as inbound:
        client = Talker(inbound.port, PROXY + b"EHLO x\r\n")
        assert client.read().startswith("220 ") and client.read().startswith("250")
        assert deliver(client)[-1].startswith("250 ")
        client.close()


@pytest.mark.parametrize(
    "more", [b"MAIL FROM:<a@example.org>\r\n", b"EHLO x\r\nMAIL FROM:<a@example.org>\r\n"]
)
def test_anything_else_with_the_header_is_the_clients(tmp_path, more):
    with inbound_with(tmp_path, ["early_talker"], FOR_EVER, **BEHIND_PROXY) as inbound:
        client = Talker(inbound.port, PROXY + more)
        assert client.read() == "554 5.7.1 You talk too soon"
        client.close()


def test_the_client_of_a_proxy_was_greeted_there(tmp_path):
    local = Local()
    with inbound_with(tmp_path, ["xclient", "early_talker"], FOR_EVER, after=[local]) as inbound:
        client = Client(inbound.port)
        client.ask("EHLO proxy")
        client.send(b"XCLIENT ADDR=192.0.2.1 NAME=client.example\r\nEHLO client.example\r\n")
        assert client.read().startswith("220 ") and client.read().startswith("250")
        assert deliver(client)[-1].startswith("250 ")
        client.close()


# ---- TLS from the start


@pytest.fixture
def tls_side(tmp_path):
    site = Site(tmp_path)
    site.main(Authority().pair("mail.test"))

    def side(files, *after):
        bundled = plugins_of(tmp_path, ["early_talker"], files, site.logger)
        return site.inbound(Stranger(), *bundled, *after, smtps=True, plugin=False)

    return side


class EarlyTlsClient(TlsClient):
    """Speaks as soon as it can."""

    def handshake(self, context, name="mail.test", session=None):
        super().handshake(context, name, session)
        self.sock.sendall(b"EHLO x\r\n")


def test_behind_tls_it_is_what_is_said_inside_that_counts(tls_side):
    with tls_side(FOR_EVER) as inbound:
        client = EarlyTlsClient(inbound.port, trusting())
        assert client.banner == "554 5.7.1 You talk too soon"
        client.close()


def test_behind_tls_silence_is_served(tls_side):
    with tls_side(BRIEF, Local()) as inbound:
        client = TlsClient(inbound.port, trusting())
        assert client.banner.startswith("220 ") and deliver(client)[-1].startswith("250 ")
        client.close()


# ---- the API


def test_outside_a_session_there_is_nobody_to_listen_to():
    with pytest.raises(RuntimeError, match="no client to listen to"):
        connection_from().talks_early(0.1)


def test_a_plugin_is_told_that_the_client_has_gone(tmp_path):
    told = []

    class Listens(Plugin):
        name = "listens"
        timeout = 0.0

        def hook_connect(self, connection):
            told.append(connection.talks_early(0.0))
            try:
                connection.talks_early(3600)
            except ClientGone as gone:
                told.append(type(gone))
                raise

    with inbound_with(tmp_path, [], before=[Listens()]) as inbound:
        sock = socket.create_connection(("127.0.0.1", inbound.port))
        assert eventually(lambda: told)
        sock.close()
        assert eventually(lambda: len(told) == 2)
    assert told == [False, ClientGone]
