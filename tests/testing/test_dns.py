"""What plugins, and the server, are told when they look something up."""

from __future__ import annotations

import socket

import dns.exception
import dns.resolver
import pytest

from mta.plugin import Plugin
from mta.testing import NXDOMAIN, SERVFAIL, TIMEOUT, FakeDns, MailServer, Question

ZONE = {
    "a.test": {"MX": ["20 mx2.a.test", "10 mx1.a.test."], "TXT": 'v=spf1 include:"x" -all', "A": "192.0.2.1"},
    "www.a.test": {"CNAME": "a.test"},
    "six.test": {"AAAA": "2001:db8::1", "A": ["192.0.2.6", "192.0.2.7"]},
    "192.0.2.1": {"PTR": "a.test"},
    "slow.test": TIMEOUT,
    "broken.test": SERVFAIL,
    "half.test": {"A": "192.0.2.9", "MX": TIMEOUT},
}


class Looks(Plugin):
    """Notes what a look-up comes to; the test says how it is done."""

    def __init__(self, look):
        self.look = look

    def hook_noop(self, connection, argument):
        try:
            connection.notes.found = self.look()
        except (dns.exception.DNSException, OSError) as error:
            connection.notes.found = type(error).__name__


def texts(name, kind):
    return lambda: sorted(str(record) for record in dns.resolver.resolve(name, kind))


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (texts("a.test", "MX"), ["10 mx1.a.test.", "20 mx2.a.test."]),
        (texts("A.Test.", "A"), ["192.0.2.1"]),
        (texts("www.a.test", "A"), ["192.0.2.1"]),
        (texts("a.test", "TXT"), ['"v=spf1 include:\\"x\\" -all"']),
        (texts("a.test", "AAAA"), "NoAnswer"),
        (texts("nobody.test", "A"), "NXDOMAIN"),
        (texts("test", "A"), "NoAnswer"),
        (texts("broken.test", "A"), "NoNameservers"),
        (texts("slow.test", "A"), "LifetimeTimeout"),
        (texts("half.test", "MX"), "LifetimeTimeout"),
        (texts("half.test", "A"), ["192.0.2.9"]),
        (lambda: [str(r) for r in dns.resolver.resolve_address("192.0.2.1")], ["a.test."]),
        (lambda: socket.gethostbyname("www.a.test"), "192.0.2.1"),
        (lambda: socket.gethostbyname("192.0.2.77"), "192.0.2.77"),
        (lambda: socket.gethostbyname("nobody.test"), "gaierror"),
        (lambda: socket.gethostbyname_ex("six.test"), ("six.test", [], ["192.0.2.6", "192.0.2.7"])),
        (lambda: socket.gethostbyaddr("192.0.2.1"), ("a.test", [], ["192.0.2.1"])),
        (lambda: socket.gethostbyaddr("192.0.2.2"), "herror"),
        (
            lambda: [e[4][0] for e in socket.getaddrinfo("six.test", 25, type=socket.SOCK_STREAM)],
            ["192.0.2.6", "192.0.2.7", "2001:db8::1"],
        ),
        (lambda: socket.getaddrinfo("localhost", 25, socket.AF_INET)[0][4], ("127.0.0.1", 25)),
    ],
)
def test_look_ups(look, found):
    with MailServer(Looks(look), dns=ZONE) as server:
        client = server.connect()
        client.noop()
        assert client.notes.found == found


def test_the_server_looks_there_too():
    with MailServer(dns=ZONE) as server:
        assert server.connect(ip="192.0.2.1").connection.remote.host == "a.test"
        assert server.connect(ip="192.0.2.2").connection.remote.host == "NXDOMAIN"
        server.dns.fail("192.0.2.3", SERVFAIL)
        assert server.connect(ip="192.0.2.3").connection.remote.host == "DNSERROR"


def test_questions_are_noted_and_answers_can_change():
    with MailServer(Looks(texts("new.test", "A")), dns={"new.test": NXDOMAIN}) as server:
        client = server.connect(ip="127.0.0.1")
        client.noop()
        assert client.notes.found == "NXDOMAIN"
        server.dns.add("new.test", "A", "192.0.2.5")
        client.noop()
        assert client.notes.found == ["192.0.2.5"]
        assert server.dns.questions == [Question("new.test", "A")] * 2
        server.dns.remove("new.test")
        client.noop()
        assert client.notes.found == "NXDOMAIN"


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="not a failure of the DNS"):
        FakeDns({"a.test": "NXDOMIAN"})
    with pytest.raises(ValueError, match="not a domain name"):
        FakeDns({"a..test": {"A": "192.0.2.1"}})


def test_everything_is_put_back():
    before = socket.getaddrinfo, socket.gethostbyname, dns.query.udp, dns.resolver.default_resolver
    with MailServer(dns=ZONE):
        assert socket.getaddrinfo is not before[0]
    assert (socket.getaddrinfo, socket.gethostbyname, dns.query.udp, dns.resolver.default_resolver) == before
