"""prevent_credential_leaks: a user's own password does not leave, and nowhere else it is kept."""

from __future__ import annotations

import base64
import json

import pytest

from mta.plugin import AuthPlugin, Secret
from mta.smtp.sasl import cram_md5
from tests.support.bundled import deliver, inbound_with
from tests.support.plugins import StandInServer
from tests.support.service import Client, Local

PASSWORD = "Pa$$w0rd (x)"
LEAK = "550 5.7.1 Credential leak detected: never give out your username/password to anyone!"


class Backend(AuthPlugin):
    """Knows two users; hook noop notes what the connection remembers of the password."""

    name = "backend"

    def __init__(self, server=None):
        self.noted = []
        if server is not None:
            self.server = server

    def may_authenticate(self, connection):
        return True

    def password_of(self, connection, user):
        return {"bob@example.org": PASSWORD, "ann": "secret"}.get(user)

    def hook_noop(self, connection, argument):
        self.noted.append(connection.notes.get("auth_passwd"))


def log_in(client, user, password):
    client.ask("EHLO client.test")
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    assert client.ask(f"AUTH PLAIN {plain}").startswith("235 ")


def side(tmp_path, backend=None):
    """The server object that the bundled plugin was given is the backend's too, as in a real server."""
    backend = backend or Backend()
    inbound = inbound_with(tmp_path, ["prevent_credential_leaks"], after=[backend, Local()], log_level=9)
    [bundled] = [one for one in inbound.service.hooks._plugins if one.name == "prevent_credential_leaks"]
    backend.server = bundled.server
    return inbound


def answer(tmp_path, message, user="bob@example.org", password=PASSWORD):
    with side(tmp_path) as inbound:
        client = Client(inbound.port)
        if user:
            log_in(client, user, password)
        replies = deliver(client, message)
        client.close()
    assert not [line for line in inbound.lines if "0rd (x)" in line and "[core] C: " not in line]
    return replies[-1]


def mail(text, subject="x", kind="text/plain"):
    return f"Subject: {subject}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    "message",
    [
        mail(f"I am bob and my password is {PASSWORD}."),
        mail(f"user: BOB@Example.org\r\npassword: {PASSWORD}"),
        mail(f"password: {PASSWORD}", subject="account of bob"),
        mail("<p>bob</p><p>Pa$$<b>w0rd</b> (x)</p>", kind="text/html"),
        mail("bob <i>Pa&#36;&#36;w0rd (x)</i>", kind="text/html"),
    ],
)
def test_user_and_password_do_not_leave(tmp_path, message):
    assert answer(tmp_path, message) == LEAK


@pytest.mark.parametrize(
    "message",
    [
        mail("I am bob."),
        mail(f"It is {PASSWORD}."),
        mail("bob, pa$$w0rd (x) in other case"),
        mail(f"bobby, {PASSWORD}"),
    ],
)
def test_one_without_the_other_does(tmp_path, message):
    assert answer(tmp_path, message).startswith("250 ")


def test_a_user_without_a_domain_must_be_named_as_well(tmp_path):
    assert answer(tmp_path, mail("my secret recipe"), "ann", "secret").startswith("250 ")
    assert answer(tmp_path, mail("ann, secret"), "ann", "secret") == LEAK
    assert answer(tmp_path, mail("ann, secretary"), "ann", "secret").startswith("250 ")


def test_who_has_not_logged_in_has_none(tmp_path):
    assert answer(tmp_path, mail(f"bob, {PASSWORD}"), user="").startswith("250 ")


def test_a_mechanism_that_hides_the_password_is_looked_up(tmp_path):
    backend = Backend()
    with side(tmp_path, backend) as inbound:
        client = Client(inbound.port)
        client.ask("EHLO client.test")
        challenge = client.ask("AUTH CRAM-MD5").removeprefix("334 ")
        assert client.ask(cram_md5("ann", "secret", challenge)).startswith("235 ")
        assert deliver(client, mail("ann, secret"))[-1] == LEAK
        client.close()


# ---- the password


def test_a_secret_shows_itself_to_nobody():
    secret = Secret("open sesame")
    assert (secret.reveal(), str(secret), repr(secret), f"{secret}") == ("open sesame", "***", "***", "***")
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_without_a_plugin_that_asks_no_password_is_kept(tmp_path):
    backend = Backend(StandInServer())
    with inbound_with(tmp_path, [], after=[backend]) as inbound:
        client = Client(inbound.port)
        log_in(client, "bob@example.org", PASSWORD)
        client.ask("NOOP")
        client.close()
    assert backend.noted == [None]


def test_another_client_behind_xclient_has_not_got_the_proxys(tmp_path):
    backend = Backend()
    inbound = inbound_with(tmp_path, ["prevent_credential_leaks", "xclient"], after=[backend, Local()])
    backend.server = inbound.service.hooks._plugins[0].server
    with inbound:
        client = Client(inbound.port)
        log_in(client, "bob@example.org", PASSWORD)
        client.ask("XCLIENT ADDR=192.0.2.1 NAME=client.example")
        client.ask("NOOP")
        client.close()
    assert backend.noted == [None]
