"""Sessions behind a load balancer: the PROXY header over real sockets, and everything that is not one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from mta.connection import Connection, Endpoint
from mta.inbound.proxy import INVALID, TIMED_OUT, meet_proxy, read_header
from mta.inbound.session import Session
from mta.net.wire import Wire, WireTimeout
from mta.plugin import OK, Plugin
from mta.smtp.proxy import SIGNATURE, ProxyHeader
from tests.support.server import eventually
from tests.support.service import Client, Inbound, Local

V1 = b"PROXY TCP4 192.0.2.1 10.1.2.3 40001 25\r\n"
V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("10.1.2.3") + (40001).to_bytes(2) + (25).to_bytes(2)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "fc00::2")
    + (40001).to_bytes(2)
    + (25).to_bytes(2)
)
HOSTS = ("127.0.0.1", "2001:db8:5::/48")


def v2(command: int = 0x21, family: int = 0x11, block: bytes = V4) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(block).to_bytes(2) + block


class Witness(Plugin):
    """Remembers what each hook of the greeting saw, and the sessions that ended."""

    name = "witness"

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int, str, int]] = []
        self.connections: list[Connection] = []
        self.ended = 0

    def see(self, hook: str, c: Connection) -> None:
        self.seen.append((hook, c.remote.ip, c.remote.port, c.local.ip, c.local.port))
        self.connections.append(c)

    def hook_connect_init(self, connection):
        self.see("connect_init", connection)

    def hook_lookup_rdns(self, connection):
        self.see("lookup_rdns", connection)
        return OK, "client.example"

    def hook_connect(self, connection):
        self.see("connect", connection)

    def hook_disconnect(self, connection):
        self.ended += 1


class RelayForLoopback(Plugin):
    """Lets the load balancer itself relay, as relay_acl_allow with 127.0.0.0/8 would."""

    name = "loopback"

    def hook_connect_init(self, connection):
        if connection.remote.ip == "127.0.0.1":
            connection.relaying = True


class Proxied(Client):
    """A client whose first bytes are given; it has not read the banner."""

    def __init__(self, port: int, first: bytes = b"") -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")
        self.send(first)


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def server(witness: Witness) -> Iterator[Inbound]:
    with Inbound([witness, Local(), RelayForLoopback()], haproxy_hosts=HOSTS) as inbound:
        yield inbound


def troubles(server: Inbound) -> list[str]:
    return [line for line in server.lines if line.startswith(("[ERROR]", "[CRIT]", "[ALERT]", "[EMERG]"))]


# ---- the client takes the place of the load balancer


@pytest.mark.parametrize(
    ("header", "client", "here"),
    [
        (V1, ("192.0.2.1", 40001), ("10.1.2.3", 25)),
        (v2(), ("192.0.2.1", 40001), ("10.1.2.3", 25)),
        (v2(family=0x21, block=V6), ("2001:db8::1", 40001), ("fc00::2", 25)),
        (b"PROXY TCP6 2001:db8::1 fc00::2 40001 25\r\n", ("2001:db8::1", 40001), ("fc00::2", 25)),
    ],
)
def test_every_hook_sees_the_client_that_the_header_names(
    server: Inbound, witness: Witness, header: bytes, client: tuple[str, int], here: tuple[str, int]
) -> None:
    c = Proxied(server.port, header)
    assert c.read().startswith("220 ")
    assert "Hello client.example [" + client[0] in c.ask("EHLO x")
    assert witness.seen == [(hook, *client, *here) for hook in ("connect_init", "lookup_rdns", "connect")]
    connection = witness.connections[0]
    assert (connection.proxy.ip, connection.proxy.type, connection.proxy.allowed) == (
        "127.0.0.1",
        "haproxy",
        True,
    )
    assert (connection.remote.is_local, connection.remote.is_private) == (False, False)
    assert (connection.local.is_local, connection.local.is_private) == (False, True)
    assert connection.local.host == "mx.example.test"
    assert connection.notes["proxy"]["src_ip"] == client[0]
    assert connection.notes["proxy"]["proxy_ip"] == "127.0.0.1"
    assert not connection.relaying
    assert [line for line in server.lines if f"src_ip={client[0]}" in line]


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN 192.0.2.1 10.1.2.3 40001 25\r\n",
        v2(command=0x20, family=0, block=b""),
        v2(command=0x20),
        v2(family=0, block=b""),
        v2(family=0x31, block=bytes(216)),
    ],
)
def test_a_header_without_addresses_leaves_the_real_ones(
    server: Inbound, witness: Witness, header: bytes
) -> None:
    c = Proxied(server.port, header)
    assert c.read().startswith("220 ")
    assert c.ask("NOOP").startswith("250 ")
    assert {(ip, port) for _, ip, port, _, _ in witness.seen} == {c.sock.getsockname()}
    assert {(ip, port) for _, _, _, ip, port in witness.seen} == {("127.0.0.1", server.port)}
    connection = witness.connections[0]
    assert connection.proxy.allowed and connection.proxy.ip == "127.0.0.1"
    assert connection.remote.is_local
    assert connection.relaying  # hook connect_init judged the load balancer, as the only client there is


def test_the_tlvs_of_version_2_are_noted(server: Inbound, witness: Witness) -> None:
    c = Proxied(server.port, v2(block=V4 + b"\2\0\4mail" + b"\4\0\0"))
    assert c.read().startswith("220 ")
    assert witness.connections[0].notes["proxy"]["tlvs"] == ((2, b"mail"), (4, b""))


def test_mail_carries_the_address_of_the_client() -> None:
    local = Local()
    with Inbound([local], haproxy_hosts=HOSTS) as server:
        c = Proxied(server.port, V1)
        c.read()
        assert c.envelope().startswith("354 ")
        assert c.ask(b"Subject: x\r\n\r\nbody\r\n.").startswith("250 ")
    [(_, _, message)] = local.mails
    assert b"[192.0.2.1])" in message.split(b"\r\n\tby ")[0]
    assert b"127.0.0.1" not in message


def test_the_port_that_the_client_came_to_counts(server: Inbound) -> None:
    c = Proxied(server.port, b"PROXY TCP4 192.0.2.1 10.1.2.3 40001 587\r\n")
    c.read()
    c.ask("EHLO x")
    assert "Authentication required" in c.ask("MAIL FROM:<a@example.org>")


def test_an_unlisted_client_is_greeted_at_once_and_has_no_proxy(witness: Witness) -> None:
    with Inbound([witness], haproxy_hosts=("192.0.2.7",)) as server:
        assert server.client().banner.startswith("220 ")
        assert not witness.connections[0].proxy.allowed
        assert witness.connections[0].proxy.ip == ""


# ---- the header on the wire


@pytest.mark.parametrize("header", [V1, v2(), v2(command=0x20, family=0, block=b"")])
def test_no_banner_before_the_whole_header(server: Inbound, header: bytes) -> None:
    c = Proxied(server.port, header[:-1])
    c.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        c.sock.recv(1)
    c.sock.settimeout(10)
    c.send(header[-1:])
    assert c.sock.recv(3) == b"220"


@pytest.mark.parametrize("header", [V1, v2(block=V4 + b"\4\0\3abc")])
def test_a_header_may_come_byte_by_byte(server: Inbound, witness: Witness, header: bytes) -> None:
    c = Proxied(server.port)
    for position in range(len(header)):
        c.send(header[position : position + 1])
        time.sleep(0.001)
    assert c.read().startswith("220 ")
    assert witness.connections[0].remote.ip == "192.0.2.1"


@pytest.mark.parametrize("header", [V1, v2()])
@pytest.mark.parametrize(
    ("rest", "early"),
    [(b"EHLO x\r\n", False), (b"helo x\r\n", False), (b"NOOP\r\n", True), (b"EHLO x\r\nNOOP\r\n", True)],
)
def test_what_comes_with_the_header_is_answered_after_the_banner(
    server: Inbound, witness: Witness, header: bytes, rest: bytes, early: bool
) -> None:
    c = Proxied(server.port, header + rest)
    assert c.read().startswith("220 ")
    assert c.read().startswith("250")
    assert witness.connections[0].early_talker is early


# ---- what is not a header


@pytest.mark.parametrize(
    "junk",
    [
        b"EHLO x\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"PROXY TCP4 192.0.2.1 10.1.2.3 40001\r\n",
        b"PROXY TCP4 192.0.2.1 10.1.2.3 40001 25\n",
        b"PROXY TCP4 192.0.2.1 10.1.2.3 40001 25\rEHLO x\r\n",
        b"PROXY UNKNOWN " + b"x" * 200,
        v2(command=0x2F),
        v2(family=0x12),
        v2(block=b"short"),
        v2(block=V4 + b"\3\0\4\0\0\0\0"),
        v2(block=V4 + b"\4\xff\xff"),
        SIGNATURE + b"\x21\x11\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_a_bad_header_ends_that_connection_and_no_other(
    server: Inbound, witness: Witness, junk: bytes
) -> None:
    c = Proxied(server.port, junk)
    assert c.read() == "421 4.5.2 Invalid PROXY format"
    assert c.read() == ""
    assert witness.seen == [] and eventually(lambda: not server.listener.count)
    assert witness.ended == 0  # hooks connect_init and disconnect come in pairs
    assert [line for line in troubles(server) if "no PROXY header from 127.0.0.1" in line]
    assert Proxied(server.port, V1).read().startswith("220 ")


@pytest.mark.parametrize("part", [b"", b"P", V1[:-1], SIGNATURE[:5], SIGNATURE, v2()[:-1]])
def test_a_peer_that_leaves_is_not_an_error(server: Inbound, part: bytes) -> None:
    Proxied(server.port, part).close()
    assert eventually(lambda: any("disconnect" in line for line in server.lines))
    assert troubles(server) == []


@pytest.mark.parametrize("header", [v2(command=0x20, family=0, block=b""), b"PROXY UNKNOWN\r\n"])
def test_a_health_check_is_not_an_error(server: Inbound, header: bytes) -> None:
    for linger in (b"\0\0\0\0\0\0\0\0", b"\1\0\0\0\0\0\0\0"):  # closed with FIN, and with RST
        c = Proxied(server.port, header)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        c.close()
    assert eventually(lambda: sum("disconnect" in line for line in server.lines) == 2)
    assert troubles(server) == []


def session_of(server: Inbound) -> tuple[Session, socket.socket]:
    """A session that nobody serves, and its peer."""
    here, there = socket.socketpair()
    connection = Connection(server.logger, Endpoint("127.0.0.1", 40000), Endpoint("127.0.0.1", 25))
    return Session(connection, Wire(here), server.service), there


def test_a_header_that_does_not_come_in_time(server: Inbound) -> None:
    session, there = session_of(server)
    there.sendall(V1[:20])
    assert meet_proxy(session, seconds=0.1) is TIMED_OUT
    assert str(TIMED_OUT) == "421 4.4.2 PROXY timed out" and TIMED_OUT.close and INVALID.close
    assert session.connection.remote.ip == "127.0.0.1"


def test_dripping_bytes_do_not_buy_time(server: Inbound) -> None:
    session, there = session_of(server)
    usual = session.wire.timeout
    over = threading.Event()

    def drip() -> None:
        for byte in V1:
            if over.wait(0.2):
                return
            there.sendall(bytes([byte]))

    dripping = threading.Thread(target=drip)
    dripping.start()
    started = time.monotonic()
    with pytest.raises(WireTimeout):
        read_header(session.wire, seconds=1.0)
    assert time.monotonic() - started < 4
    assert session.wire.timeout == usual
    over.set()
    dripping.join()


def test_others_are_served_while_a_load_balancer_is_silent(server: Inbound) -> None:
    silent = Proxied(server.port)
    assert Proxied(server.port, V1).read().startswith("220 ")
    silent.send(V1)
    assert silent.read().startswith("220 ")


def test_a_stop_does_not_wait_for_a_header(server: Inbound) -> None:
    silent = Proxied(server.port)
    assert eventually(lambda: server.listener.count == 1)
    time.sleep(0.05)
    server.listener.stop()
    assert silent.read().startswith("421 4.3.2")
    assert eventually(lambda: not server.listener.count)


def test_the_header_parsed_from_a_wire_leaves_the_rest() -> None:
    here, there = socket.socketpair()
    there.sendall(v2(command=0x20, family=0, block=b"") + b"rest")
    assert read_header(Wire(here), 5) == (ProxyHeader(2, "LOCAL"), b"rest")


# ---- strangers


@pytest.mark.parametrize("line", [V1.strip(), b"PROXY", b"proxy UNKNOWN", b"Proxy TCP4 x"])
def test_a_stranger_who_says_proxy_is_sent_away(line: bytes) -> None:
    with Inbound(haproxy_hosts=("192.0.2.7",)) as server:
        c = server.client()
        assert c.ask(line) == "421 4.7.0 PROXY not allowed from 127.0.0.1"
        assert c.read() == ""


def test_a_client_behind_the_load_balancer_is_a_stranger(server: Inbound) -> None:
    c = Proxied(server.port, V1)
    c.read()
    assert c.ask("PROXY TCP4 127.0.0.1 10.1.2.3 40001 25") == "421 4.7.0 PROXY not allowed from 192.0.2.1"
    assert c.read() == ""


def test_even_the_load_balancer_speaks_for_one_client_only(server: Inbound) -> None:
    c = Proxied(server.port, b"PROXY UNKNOWN\r\n")
    c.read()
    assert c.ask(V1.strip()) == "421 4.7.0 PROXY not allowed from 127.0.0.1"


def test_version_2_from_a_stranger_is_a_bad_command() -> None:
    with Inbound() as server:
        c = server.client()
        c.send(v2() + b"\r\nNOOP\r\n")
        replies = []
        while not (reply := c.read()).startswith("250 "):
            replies.append(reply)
        assert replies
        assert all(reply.startswith("50") for reply in replies), replies
