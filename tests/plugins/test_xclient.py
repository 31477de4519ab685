"""XCLIENT and XFORWARD: parsing, who may, and whole sessions."""

from __future__ import annotations

import pytest

from mta.plugin import DENY, NEXT_HOOK, OK, Plugin
from mta.plugin.verdict import CONT
from mta.testing import MailServer
from tests.support.plugins import connection_from, loaded, with_mail


def command(runner, connection, line):
    verb, _, argument = line.partition(" ")
    verdict = runner.run("unrecognized_command", connection, verb, argument)
    message = verdict.message
    if verdict.code is DENY:
        return f"{message.code} {message.enhanced} {message.msg}"
    return (verdict.code, message)


@pytest.fixture
def xclient(tmp_path):
    return loaded("xclient", tmp_path)[0]


# ---- XCLIENT


def test_the_client_takes_the_place_of_the_proxy(xclient):
    c = connection_from("127.0.0.1", relaying=True)
    old = c.uuid
    c.notes.update(auth_user="proxy", auth_method="PLAIN")
    line = "XCLIENT ADDR=192.0.2.1 PORT=40001 NAME=mail.example.com PROTO=ESMTP HELO=mail+20x LOGIN=bob+40example.com"
    assert command(xclient, c, line + " DESTADDR=10.1.2.3 DESTPORT=587") == (NEXT_HOOK, "connect")
    assert (c.remote.ip, c.remote.port, c.remote.host) == ("192.0.2.1", 40001, "mail.example.com")
    assert c.remote.info == "mail.example.com" and c.remote.login == "bob@example.com"
    assert (c.local.ip, c.local.port, c.local.is_private) == ("10.1.2.3", 587, True)
    assert (c.hello.verb, c.hello.host, c.esmtp) == ("EHLO", "mail x", True)
    assert not c.relaying and not c.authenticated
    assert c.uuid != old
    assert c.notes["xclient"]["LOGIN"] == "bob@example.com"


def test_what_is_not_said_is_unknown(xclient):
    c = connection_from("::1")
    c.hello.verb, c.hello.host, c.esmtp = "EHLO", "proxy", True
    assert command(xclient, c, "XCLIENT ADDR=IPV6:2001:DB8::1") == (NEXT_HOOK, "lookup_rdns")
    assert (c.remote.ip, c.remote.port, c.remote.host, c.remote.login) == ("2001:db8::1", 0, None, "")
    assert (c.local.ip, c.local.port) == ("127.0.0.1", 25)
    assert (c.hello.verb, c.hello.host, c.esmtp) == ("", "", False)


@pytest.mark.parametrize(
    ("written", "ip", "local", "private"),
    [
        ("192.0.2.1", "192.0.2.1", False, False),
        ("10.1.2.3", "10.1.2.3", False, True),
        ("127.0.0.2", "127.0.0.2", True, True),
        ("IPV6:2001:db8::1", "2001:db8::1", False, False),
        ("ipv6:fc00::1", "fc00::1", False, True),
        ("2001:db8::1", "2001:db8::1", False, False),
        ("IPV6:::ffff:10.1.2.3", "10.1.2.3", False, True),
        ("192+2E0.2.1", "192.0.2.1", False, False),
    ],
)
def test_addresses(xclient, written, ip, local, private):
    c = connection_from("127.0.0.1")
    assert command(xclient, c, f"XCLIENT addr={written}")[0] is NEXT_HOOK
    assert (c.remote.ip, c.remote.is_local, c.remote.is_private) == (ip, local, private)


@pytest.mark.parametrize("nothing", ["[UNAVAILABLE]", "[TEMPUNAVAIL]", "[unavailable]", ""])
def test_unavailable_is_as_good_as_nothing(xclient, nothing):
    c = connection_from("127.0.0.1")
    said = " ".join(
        f"{name}={nothing}" for name in ("NAME", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
    )
    assert command(xclient, c, f"XCLIENT ADDR=192.0.2.1 {said}") == (NEXT_HOOK, "lookup_rdns")
    assert c.notes["xclient"] == {"ADDR": "192.0.2.1"}
    assert (c.remote.port, c.remote.host, c.remote.login, c.hello.verb) == (0, None, "", "")


@pytest.mark.parametrize(
    ("protocol", "verb", "esmtp"),
    [
        ("SMTP", "HELO", False),
        ("esmtp", "EHLO", True),
        ("ESMTPSA", "EHLO", True),
        ("[UNAVAILABLE]", "HELO", False),
    ],
)
def test_hello_comes_with_its_protocol(xclient, protocol, verb, esmtp):
    c = connection_from("127.0.0.1")
    command(xclient, c, f"XCLIENT ADDR=192.0.2.1 HELO=x PROTO={protocol}")
    assert (c.hello.verb, c.esmtp) == (verb, esmtp)


BAD = [
    ("", "Syntax: XCLIENT attribute=value..."),
    ("NAME=mail.example.com", "No valid IP address found"),
    ("ADDR=[UNAVAILABLE]", "No valid IP address found"),
    ("ADDR=", "No valid IP address found"),
    ("ADDR", "attribute value expected"),
    ("ADDR=192.0.2.256", "Bad address syntax: 192.0.2.256"),
    ("ADDR=[192.0.2.1]", "Bad address syntax: [192.0.2.1]"),
    ("ADDR=mail.example.com", "Bad address syntax: mail.example.com"),
    ("ADDR=IPV6:fe80::1%eth0", "Bad address syntax: IPV6:fe80::1%eth0"),
    ("ADDR=192.0.2.1 DESTADDR=here", "Bad address syntax: here"),
    ("ADDR=192.0.2.1 PORT=65536", "Bad port syntax: 65536"),
    ("ADDR=192.0.2.1 PORT=-1", "Bad port syntax: -1"),
    ("ADDR=192.0.2.1 DESTPORT=smtp", "Bad port syntax: smtp"),
    ("ADDR=192.0.2.1 PROTO=HTTP", "Bad protocol syntax: HTTP"),
    ("ADDR=192.0.2.1 NAME=a+20b", "Bad hostname syntax: a b"),
    ("ADDR=192.0.2.1 NAME=-", "Bad hostname syntax: -"),
    ("ADDR=192.0.2.1 COLOUR=red", "Bad XCLIENT attribute name: COLOUR"),
    ("ADDR=192.0.2.1 HELO=a+", "Bad attribute value syntax: a+"),
    ("ADDR=192.0.2.1 HELO=a+0D+0Ab", "Bad attribute value syntax: a+0D+0Ab"),
    ("ADDR=192.0.2.1 HELO=a+00", "Bad attribute value syntax: a+00"),
    ("ADDR=192.0.2.1 HELO=a+FF", "Bad attribute value syntax: a+FF"),
    ("ADDR=192.0.2.1 HELO=a=b", "Bad attribute value syntax: a=b"),
    ("ADDR=192.0.2.1 HELO=" + 256 * "x", "attribute value too long"),
]


@pytest.mark.parametrize(("argument", "text"), BAD)
def test_bad_attributes_change_nothing(xclient, argument, text):
    c = connection_from("127.0.0.1", relaying=True)
    before = c.uuid
    text = text.replace("attribute value expected", "attribute=value expected")
    assert command(xclient, c, f"XCLIENT {argument}") == f"501 5.5.4 {text}"
    assert (c.remote.ip, c.uuid, c.relaying, c.hello.verb) == ("127.0.0.1", before, True, "")


# ---- who may


@pytest.mark.parametrize(
    ("ip", "may"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("127.0.0.2", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8:5::9", True),
        ("2001:db8:6::9", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("line", ["XCLIENT ADDR=203.0.113.1", "XFORWARD ADDR=203.0.113.1"])
def test_only_listed_hosts_may(tmp_path, ip, may, line):
    runner, lines = loaded(
        "xclient", tmp_path, {"xclient.hosts": "192.0.2.7\n2001:db8:5::/48\nproxy.example\n"}
    )
    assert any("'proxy.example'" in line for line in lines)
    c = connection_from(ip)
    runner.run("capabilities", c)
    assert [offer.split()[0] for offer in c.capabilities] == (["XCLIENT", "XFORWARD"] if may else [])
    answer = command(runner, c, line)
    assert answer != "550 5.5.0 Not authorized" if may else answer == "550 5.5.0 Not authorized"


def test_a_client_that_was_introduced_introduces_nobody(xclient):
    c = connection_from("127.0.0.1")
    command(xclient, c, "XCLIENT ADDR=192.0.2.1")
    assert command(xclient, c, "XCLIENT ADDR=127.0.0.1") == "550 5.5.0 Not authorized"
    assert command(xclient, c, "XFORWARD NAME=x") == "550 5.5.0 Not authorized"
    assert c.remote.ip == "192.0.2.1"


@pytest.mark.parametrize("verb", ["XCLIENT", "XFORWARD"])
def test_not_inside_a_transaction(xclient, verb):
    c = with_mail(connection_from("127.0.0.1"))
    assert command(xclient, c, f"{verb} ADDR=192.0.2.1") == "503 5.5.0 Mail transaction in progress"
    assert c.remote.ip == "127.0.0.1"


def test_other_commands_are_not_answered(xclient):
    assert command(xclient, connection_from("127.0.0.1"), "XCLIENTS ADDR=192.0.2.1") == (CONT, None)


# ---- XFORWARD


def test_what_is_forwarded_is_noted_until_the_next_mail_is_done(xclient):
    c = connection_from("127.0.0.1", relaying=True)
    code, reply = command(xclient, c, "XFORWARD NAME=mail.example.com ADDR=192.0.2.1 HELO=[UNAVAILABLE]")
    assert code is OK and str(reply) == "250 2.0.0 OK"
    assert command(xclient, c, "xforward".upper() + " ident=4bXyZ source=REMOTE port=1")[0] is OK
    assert c.notes["xforward"] == {
        "NAME": "mail.example.com", "ADDR": "192.0.2.1", "IDENT": "4bXyZ", "SOURCE": "REMOTE", "PORT": "1",
    }  # fmt: skip
    assert c.forwarded_for == "mail.example.com [192.0.2.1]"
    assert c.remote.ip == "127.0.0.1" and c.relaying
    xclient.run("reset_transaction", with_mail(c))
    assert c.forwarded_for == "" and "xforward" not in c.notes


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("ADDR=192.0.2.1", "[192.0.2.1]"),
        ("ADDR=IPV6:2001:db8::1 NAME=a.example", "a.example [2001:db8::1]"),
        ("NAME=a.example", "a.example"),
        ("NAME=a+29+20id+20x ADDR=not+20an+20address", ""),
        ("IDENT=1", ""),
    ],
)
def test_the_trace_holds_names_and_addresses_only(xclient, said, shown):
    c = connection_from("127.0.0.1")
    assert command(xclient, c, f"XFORWARD {said}")[0] is OK
    assert c.forwarded_for == shown


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("", "Syntax: XFORWARD attribute=value..."),
        ("LOGIN=x", "Bad XFORWARD attribute name: LOGIN"),
        ("NAME", "attribute=value expected"),
        ("NAME=a+0Db", "Bad attribute value syntax: a+0Db"),
    ],
)
def test_bad_forwarding(xclient, argument, text):
    c = connection_from("127.0.0.1")
    assert command(xclient, c, f"XFORWARD {argument}") == f"501 5.5.4 {text}"
    assert "xforward" not in c.notes


# ---- whole sessions


class Witness(Plugin):
    name = "witness"

    def __init__(self):
        self.seen = []

    def hook_lookup_rdns(self, connection):
        self.seen.append(("lookup_rdns", connection.remote.ip))
        return OK, "found.example"

    def hook_connect(self, connection):
        self.seen.append(("connect", connection.remote.ip))
        return (DENY, "not you") if connection.remote.ip == "203.0.113.66" else None


@pytest.fixture
def server():
    with MailServer("xclient", Witness) as server:
        server.seen = server.plugin("witness").seen
        yield server


@pytest.fixture
def proxy(server):
    """A client that may say who its own client is, and has said EHLO."""
    client = server.connect(ip="127.0.0.1")
    client.ehlo("proxy.test")
    server.seen.clear()
    return client


@pytest.mark.parametrize("verb", ["XCLIENT", "xclient", "XClient"])
def test_a_session_begins_anew(server, proxy, verb):
    assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" in proxy.capabilities
    banner = proxy.command(f"{verb} ADDR=203.0.113.5")
    assert banner.code == 220 and banner.text.startswith("mx.example.com ESMTP") and banner != proxy.banner
    assert server.seen == [("lookup_rdns", "203.0.113.5"), ("connect", "203.0.113.5")]
    assert proxy.command("MAIL FROM:<a@example.org>").code == 503
    assert "Hello found.example [203.0.113.5]" in proxy.ehlo("client.test").text
    assert "XCLIENT" not in " ".join(proxy.capabilities)
    assert proxy.send_mail().code == 250
    received = server.queued[0].header.get("Received")
    assert received.startswith("from client.test (found.example [203.0.113.5])")


def test_with_name_and_helo_the_client_may_go_on(server, proxy):
    proxy.command("XCLIENT ADDR=203.0.113.5 NAME=given.example PROTO=SMTP HELO=client.example")
    assert server.seen == [("connect", "203.0.113.5")]
    assert proxy.command("MAIL FROM:<a@example.org>").code == 250


def test_a_client_that_is_not_welcome_is_met_with_the_refusal(proxy):
    assert str(proxy.command("XCLIENT ADDR=203.0.113.66")) == "554 5.7.1 not you"
    assert str(proxy.ehlo("client.test")) == "554 5.7.1 not you"


def test_a_mail_behind_a_content_filter(server):
    client = server.connect(ip="127.0.0.1")
    client.ehlo("filter.test")
    forwarded = client.command("XFORWARD NAME=spike.example ADDR=203.0.113.5 PROTO=ESMTP HELO=spike")
    assert str(forwarded) == "250 2.0.0 OK"
    for subject in ("first", "second"):
        assert client.send_mail("a@example.org", message=f"Subject: {subject}\n\nbody\n").code == 250
    first, second = (mail.message.split(b"Subject:")[0] for mail in server.queued)
    assert first.startswith(b"Received: from filter.test (")
    assert b"envelope-from <a@example.org> (forwarded for spike.example [203.0.113.5]);\r\n" in first
    assert b"forwarded" not in second
    assert any("xforward" in line and "addr=203.0.113.5" in line for line in server.log)


@pytest.mark.parametrize("order", [["xclient", "relay"], ["relay", "xclient"]], ids=" ".join)
@pytest.mark.parametrize("name", ["", " NAME=given.example"])
@pytest.mark.parametrize("login", ["", " LOGIN=bob"])
def test_who_may_relay_behind_a_proxy(order, name, login):
    """The proxy may, its clients only when relay_acl_allow says so; who is logged in there is not for us to believe."""
    files = {"relay_acl_allow": "127.0.0.1\n192.0.2.0/24\n", "relay.ini": "[relay]\nacl=true\n"}
    with MailServer(*order, config=files) as server:
        for ip, code in (("192.0.2.7", 250), ("203.0.113.5", 550), (None, 250)):
            client = server.connect(ip="127.0.0.1")
            client.ehlo("proxy.test")
            if ip:
                assert client.command(f"XCLIENT ADDR={ip}{name}{login}").code == 220
                client.ehlo("client.test")
            client.mail()
            assert client.rcpt("b@elsewhere.example").code == code, ip


def test_a_second_client_does_not_inherit_what_the_first_might():
    files = {"relay_acl_allow": "192.0.2.7\n", "xclient.hosts": "192.0.2.7\n"}
    with MailServer("xclient", "relay", config=files) as server:
        client = server.connect(ip="127.0.0.1")
        for ip, code in (("192.0.2.7", 250), ("203.0.113.5", 550)):
            assert client.command(f"XCLIENT ADDR={ip}").code == 220
            client.ehlo("client.test")
            client.mail()
            assert client.rcpt("b@elsewhere.example").code == code
            client.rset()
