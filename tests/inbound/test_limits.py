"""What one client may cost: time, connections, commands, mistakes; and clients that do not speak SMTP."""

import socket
import struct
import time

import gevent
import pytest

from mta.config.schema import ConnectionSettings
from mta.inbound.limits import Crowd
from mta.inbound.strangers import is_http, may_be_tls
from tests.support.install import eventually
from tests.support.service import Client, Inbound, Local

TIMEOUT = "421 4.4.2 timeout"
HELLO = b"EHLO client.test\r\n"
ENVELOPE = HELLO + b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\n"
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xa5" * 40
UNKNOWN = b"WIZ\r\n"
FLOODS = [b"NOOP\r\n", b"HELP\r\n", b"EHLO client.test\r\n", b"VRFY someone\r\n"]


def log_line(inbound: Inbound, word: str) -> str:
    """The newest log line with this word; waits for it."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [line for line in inbound.lines if word in line]
        return bool(found)

    assert eventually(look), inbound.lines
    return found[-1]


def everything(client: Client, seconds: float = 10.0) -> list[str]:
    """All replies until the server hangs up."""
    client.sock.settimeout(seconds)
    replies = []
    try:
        while reply := client.read():
            replies.append(reply)
    except ConnectionResetError:
        pass  # the end, too: it hung up while we were still sending
    return replies


def drip(client: Client, data: bytes) -> None:
    """Send byte after byte, each well within the inactivity timeout, until the server hangs up."""
    try:
        for byte in data:
            client.sock.send(bytes([byte]))
            gevent.sleep(0.2)
    except OSError:
        pass


# What is sent at once, then what drips in for ever.
SLOW = {
    "nothing at all": (b"", b""),
    "half a command": (HELLO + b"MAIL FR", b""),
    "the first command": (b"", b"EHLO " + b"x" * 400),
    "a later command": (HELLO, b"NOOP " + b"x" * 400),
    "behind pipelined commands": (HELLO + b"NOOP\r\nNOO", b"P " + b"x" * 400),
    "an endless header line": (ENVELOPE + b"DATA\r\n", b"Subject: " + b"x" * 400),
    "an endless header": (ENVELOPE + b"DATA\r\n", b"A: b\r\n" * 100),
    "an endless body": (ENVELOPE + b"DATA\r\nA: b\r\n\r\n", b"x\r\n" * 100),
    "a message without its dot": (ENVELOPE + b"DATA\r\nA: b\r\n\r\nx\r\n", b""),
    "half a TLS record": (b"", b"\x16"),
}


def test_slow_clients_are_ended_however_they_drip() -> None:
    with Inbound([Local()], inactivity_timeout=1, min_data_rate=1000) as inbound:

        def suffer(at_once: bytes, dripping: bytes) -> tuple[str, float]:
            started = time.monotonic()
            client = inbound.client()
            client.send(at_once)
            gevent.spawn(drip, client, dripping)
            return everything(client)[-1], time.monotonic() - started

        jobs = {name: gevent.spawn(suffer, *data) for name, data in SLOW.items()}
        ends = {name: job.get(timeout=20) for name, job in jobs.items()}
        assert {name: last for name, (last, _) in ends.items()} == dict.fromkeys(SLOW, TIMEOUT)
        assert max(seconds for _, seconds in ends.values()) < 6
        assert 'lr="421 4.4.2 timeout"' in log_line(inbound, "disconnect")
        assert eventually(lambda: inbound.listener.count == 0)


def test_a_slow_message_that_keeps_its_pace_is_taken() -> None:
    local = Local()
    with Inbound([local], inactivity_timeout=1, min_data_rate=10) as inbound:
        client = inbound.client()
        assert client.envelope().startswith("354")
        for _ in range(16):
            client.send(b"twenty-six bytes in a line\r\n")
            gevent.sleep(0.25)
        assert client.ask(".").startswith("250")
    assert len(local.mails) == 1


def test_a_session_ends_at_its_age_though_it_is_busy() -> None:
    with Inbound(max_session_seconds=1) as inbound:
        client = inbound.client()
        started = time.monotonic()
        while (reply := client.ask("NOOP")).startswith("250"):
            assert time.monotonic() - started < 8
            gevent.sleep(0.05)
        assert reply == TIMEOUT
        assert client.read() == ""


def test_a_client_that_reads_no_replies_is_read_no_further_and_then_ended() -> None:
    with Inbound(inactivity_timeout=1) as inbound:
        client = inbound.client()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sock.settimeout(1)
        sent = 0
        with pytest.raises(OSError):
            while True:
                sent += client.sock.send(b"HELP\r\n" * 10_000)
        started = time.monotonic()
        # What fits into the buffers of both kernels and one read of ours; then the sender stands still.
        assert sent < 30_000_000
        log_line(inbound, "disconnect")
        assert time.monotonic() - started < 4


def test_a_stop_does_not_wait_for_clients_that_read_nothing() -> None:
    with Inbound() as inbound:
        client = inbound.client()
        client.sock.settimeout(0.5)
        with pytest.raises(OSError):
            while True:
                client.sock.send(b"HELP\r\n" * 10_000)
        started = time.monotonic()
        inbound.listener.stop()
        inbound.listener.join(15)
        assert time.monotonic() - started < 10
        log_line(inbound, "disconnect")


@pytest.mark.parametrize("command", FLOODS)
def test_a_pipelined_flood_does_not_keep_others_waiting(command: bytes) -> None:
    with Inbound(max_commands=0) as inbound:
        flooder, other = inbound.client(), inbound.client()

        def flood() -> None:
            for _ in range(20):
                flooder.send(command * 400)
            flooder.send(b"QUIT\r\n")

        gevent.spawn(flood)
        reading = gevent.spawn(everything, flooder)
        gevent.sleep(0.01)
        waits = []
        while not reading.ready():
            started = time.perf_counter()
            assert other.ask("NOOP").startswith("250")
            waits.append(time.perf_counter() - started)
        replies = reading.get(timeout=20)
        assert len(replies) == 8001
        assert replies[-1].startswith("221")
        assert sorted(waits)[len(waits) // 2] < 0.1, max(waits)


def test_a_flood_of_commands_ends_at_the_limit() -> None:
    with Inbound(max_commands=500) as inbound:
        client = inbound.client()
        client.send(b"NOOP\r\n" * 600)
        replies = everything(client)
    assert replies == ["250 2.0.0 OK"] * 500 + ["421 4.7.0 Too many commands"]


@pytest.mark.parametrize(
    ("settings", "line", "usual", "last"),
    [
        ({}, UNKNOWN, 10, "421 4.7.0 Too many unrecognized commands"),
        ({"max_unrecognized": 0}, UNKNOWN, 20, "421 4.7.0 Too many errors"),
        ({"max_unrecognized": 3}, UNKNOWN, 3, "421 4.7.0 Too many unrecognized commands"),
        ({}, b"MAIL FROM:<\r\n", 20, "421 4.7.0 Too many errors"),
        ({}, b"RCPT TO:<a@example.com>\r\n", 20, "421 4.7.0 Too many errors"),
        ({}, b"NO\0OP\r\n", 20, "421 4.7.0 Too many errors"),
        ({}, b"NOOP\n\r\n", 20, "421 4.7.0 Too many errors"),
        ({"max_errors": 2}, b"DATA\r\n", 2, "421 4.7.0 Too many errors"),
    ],
)
def test_who_makes_too_many_mistakes_is_ended(settings, line, usual, last) -> None:
    with Inbound(**settings) as inbound:
        client = inbound.client()
        client.ask("EHLO client.test")
        client.send(line * (usual + 5))
        replies = everything(client)
        assert [reply[:1] for reply in replies[:-1]] == ["5"] * usual
        assert replies[-1] == last
        line = log_line(inbound, "disconnect")
        assert f"errors={usual + 1} " in line
        assert f'lr="{last}"' in line


def test_errors_can_be_left_uncounted() -> None:
    with Inbound(max_errors=0, max_unrecognized=0) as inbound:
        client = inbound.client()
        client.send(UNKNOWN * 200 + b"QUIT\r\n")
        assert len(everything(client)) == 201


def test_a_refused_recipient_is_no_mistake() -> None:
    with Inbound([Local()]) as inbound:
        client = inbound.client()
        client.send(
            HELLO + b"MAIL FROM:<a@b.test>\r\n" + b"RCPT TO:<x@elsewhere.test>\r\n" * 60 + b"QUIT\r\n"
        )
        replies = everything(client)
    assert [reply[:3] for reply in replies] == ["250", "250", *["550"] * 60, "221"]


# -- connections ------------------------------------------------------------------------------------------------------


def refused(port: int, source: str = "127.0.0.1") -> str:
    """Connect; the whole of what the server says if it hangs up at once."""
    with socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0)) as sock:
        sock.settimeout(5)
        return b"".join(iter(lambda: sock.recv(512), b"")).decode()


def test_the_limit_on_connections() -> None:
    with Inbound(max_connections=3) as inbound:
        clients = [inbound.client() for _ in range(3)]
        assert refused(inbound.port) == "421 4.7.0 Too many connections\r\n"
        assert log_line(inbound, "too many connections").endswith("ip=127.0.0.1 open=3 turned_away=1")
        clients[0].ask("QUIT")
        assert eventually(lambda: inbound.listener.count == 2)
        assert inbound.client().banner.startswith("220")


def test_the_limit_on_connections_from_one_address() -> None:
    with Inbound(max_connections_per_ip=2) as inbound:
        clients = [inbound.client() for _ in range(2)]
        assert refused(inbound.port) == "421 4.7.0 Too many connections\r\n"
        other = socket.create_connection(("127.0.0.1", inbound.port), source_address=("127.0.0.2", 0))
        assert other.recv(512).startswith(b"220")
        clients[0].close()
        assert eventually(lambda: inbound.listener.count == 2)
        assert inbound.client().banner.startswith("220")


def test_many_turned_away_are_one_line_in_the_log() -> None:
    with Inbound(max_connections=1) as inbound:
        sitting = inbound.client()
        for _ in range(50):
            refused(inbound.port)
        sitting.close()
        told = [line for line in inbound.lines if "too many connections" in line]
    assert 1 <= len(told) <= 2


def test_behind_a_load_balancer_the_client_counts() -> None:
    def through(inbound: Inbound, ip: str) -> str:
        sock = socket.create_connection(("127.0.0.1", inbound.port), timeout=5)
        held.append(sock)
        sock.sendall(f"PROXY TCP4 {ip} 127.0.0.1 40000 25\r\n".encode())
        return sock.recv(512).decode()

    held: list[socket.socket] = []
    with Inbound(max_connections_per_ip=2, haproxy_hosts=("127.0.0.1",)) as inbound:
        assert [through(inbound, "192.0.2.1")[:3] for _ in range(3)] == ["220", "220", "421"]
        assert through(inbound, "192.0.2.2").startswith("220")
        held[0].close()
        assert eventually(lambda: inbound.listener.count == 2)
        assert through(inbound, "192.0.2.1").startswith("220")
        # 192.0.2.1 twice and 192.0.2.2 once; whoever has not said who it is counts nowhere.
        quiet = socket.create_connection(("127.0.0.1", inbound.port))
        assert eventually(lambda: inbound.listener.count == 4)
        quiet.close()
        assert eventually(lambda: inbound.listener.count == 3)


class TestCrowd:
    def test_one_network_of_ipv6_is_one_address(self) -> None:
        crowd, settings = Crowd(1000), ConnectionSettings(max_connections_per_ip=1)
        seat = crowd.seat("2001:db8::1", settings)
        assert seat is not None
        assert crowd.seat("2001:db8::2", settings) is None
        assert crowd.seat("2001:db8:0:1::2", settings) is not None
        seat.leave()
        assert crowd.seat("2001:db8::2", settings) is not None
        assert crowd.count == 2

    def test_a_unix_socket_has_no_address(self) -> None:
        crowd, settings = Crowd(1000), ConnectionSettings(max_connections_per_ip=1)
        assert [crowd.seat("", settings) is not None for _ in range(3)] == [True] * 3

    def test_some_descriptors_are_kept_for_the_queue(self) -> None:
        crowd, settings = Crowd(100), ConnectionSettings(max_connections=0)
        seats = [crowd.seat("", settings) for _ in range(80)]
        assert [seat is not None for seat in seats] == [True] * 75 + [False] * 5

    def test_a_changed_limit_holds_for_the_next_client(self) -> None:
        crowd = Crowd(1000)
        for _ in range(5):
            assert crowd.seat("192.0.2.1", ConnectionSettings())
        assert crowd.seat("192.0.2.1", ConnectionSettings(max_connections_per_ip=5)) is None


# -- strangers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_tls_client_on_a_plain_port(version: int, cut: int) -> None:
    hello = CLIENT_HELLO[:2] + bytes([version]) + CLIENT_HELLO[3:]
    with Inbound() as inbound:
        client = inbound.client()
        for piece in (hello[:cut], hello[cut:]):
            client.send(piece)
            gevent.sleep(0.01)
        assert client.read() == "501 5.5.1 SSL attempted over a non-SSL socket"
        assert client.read() == ""
        assert 'lr="501 5.5.1 SSL' in log_line(inbound, "disconnect")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1",
        b"POST /x?y=MAIL HTTP/1.0",
        b"HEAD * HTTP/1.1",
        b"CONNECT mx:25 HTTP/1.1",
        b"PRI * HTTP/2.0",
    ],
)
@pytest.mark.parametrize("first", [b"", b"\r\n", b"EHLO a\r\n"])
def test_an_http_client(request_line: bytes, first: bytes) -> None:
    body = b"\r\nHost: mx\r\nContent-Length: 40\r\n\r\nEHLO a\r\nMAIL FROM:<a@b.test>\r\n"
    with Inbound() as inbound:
        client = inbound.client()
        client.send(first + request_line + body)
        replies = everything(client)
    assert replies[-1] == "421 4.7.0 This is an SMTP server, not an HTTP server"
    assert not any("sender" in reply for reply in replies)


@pytest.mark.parametrize(
    ("data", "tls"), [(b"", True), (b"\x16", True), (b"\x16\x03", True), (b"\x16E", False), (b"EHLO", False)]
)
def test_the_first_bytes_of_tls(data: bytes, tls: bool) -> None:
    assert may_be_tls(data) is tls


@pytest.mark.parametrize(
    "line", [b"GET", b"GET /", b"HELP me HTTP", b"noop / HTTP/1.1", b"VRFY a b HTTP/1.1"]
)
def test_what_is_no_request(line: bytes) -> None:
    assert not is_http(line)


# -- early talkers, odd bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "early"),
    [
        (
            [HELLO, b"MAIL FROM:<a@b.test>\r\nRCPT TO:<b@example.com>\r\nRSET\r\nMAIL FROM:<>\r\nQUIT\r\n"],
            "N",
        ),
        ([HELLO, b"RSET\r\nNOOP\r\n", b"QUIT\r\n"], "N"),
        ([HELLO, b"NOOP\r\nRSET\r\n", b"QUIT\r\n"], "Y"),
        ([HELLO, b"VRFY a\r\nRSET\r\n", b"QUIT\r\n"], "Y"),
        ([HELLO, b"QUIT\r\nRSET\r\n"], "Y"),
        ([HELLO + b"MAIL FROM:<a@b.test>\r\n", b"QUIT\r\n"], "Y"),
        ([b"HELO a\r\n", b"MAIL FROM:<a@b.test>\r\nRCPT TO:<b@example.com>\r\n", b"QUIT\r\n"], "Y"),
        ([b"HELO a\r\n", b"MAIL FROM:<a@b.test>\r\n", b"QUIT\r\n"], "N"),
        ([ENVELOPE + b"DATA\r\n.\r\n", b"QUIT\r\n"], "Y"),
    ],
)
def test_who_does_not_wait_for_a_reply_is_an_early_talker(groups: list[bytes], early: str) -> None:
    with Inbound([Local()]) as inbound:
        client = inbound.client()
        for group in groups:
            client.send(group)
            for _ in range(group.count(b"\r\n")):
                client.read()
        assert f"early={early} " in log_line(inbound, "disconnect")


def test_talking_before_the_banner_is_early_and_leaving_before_it_is_not() -> None:
    class Slow(Local):
        def hook_connect(self, connection):
            gevent.sleep(0.1)

    with Inbound([Slow()]) as inbound:
        for data, early in ((b"QUIT\r\n", "Y"), (b"", "N")):
            with socket.create_connection(("127.0.0.1", inbound.port)) as sock:
                sock.sendall(data)
                if not data:
                    sock.shutdown(socket.SHUT_WR)
                while sock.recv(512):
                    pass
            assert eventually(lambda: inbound.listener.count == 0)
            assert f"early={early} " in log_line(inbound, "disconnect")


def test_eight_bit_commands_need_ehlo() -> None:
    with Inbound() as inbound:
        client = inbound.client()
        assert client.ask("HELO client.test").startswith("250")
        assert client.ask("NOOP \u00e4") == "501 5.5.2 Syntax error (8-bit characters not allowed)"
        assert client.ask("EHLO client.test").startswith("250")
        assert client.ask("NOOP \u00e4").startswith("250")
        assert client.ask(b"NOOP \xff") == "501 5.5.2 Syntax error (8-bit characters not allowed)"
        assert client.ask(b"NOOP \0") == "500 5.5.2 Syntax error (control characters not allowed)"


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_half_closed_client_ends_and_a_reset_one_too() -> None:
    with Inbound() as inbound:
        half = inbound.client()
        half.sock.shutdown(socket.SHUT_WR)
        assert half.read() == ""
        reset = inbound.client()
        reset.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reset.close()
        assert eventually(lambda: inbound.listener.count == 0)
        assert len([line for line in inbound.lines if "disconnect" in line]) == 2
    assert not [line for line in inbound.lines if "Traceback" in line or "CRIT" in line]


def test_the_last_reply_is_read_though_more_was_sent() -> None:
    with Inbound(max_line_length=512) as inbound:
        client = inbound.client()
        client.send(b"x" * 300_000)
        assert everything(client) == ["521 5.5.2 Command line too long"]
