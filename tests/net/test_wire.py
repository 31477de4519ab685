"""The wire over real sockets: lines, chunks, timeouts, big writes, TLS."""

import socket
import ssl
import time

import gevent
import pytest
import trustme

from mta.net.clock import Clock, default_clock
from mta.net.connect import connect
from mta.net.wire import BareNewline, LineTooLong, Wire, WireTimeout
from tests.support.server import eventually
from tests.support.tls_layer import TlsLayer


@pytest.fixture
def pair():
    """A wire and the plain socket of its peer."""
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    wire = Wire(accepted)
    yield wire, peer
    wire.close()
    peer.close()
    listener.close()


def test_lines_cut_anywhere(pair) -> None:
    wire, peer = pair

    def send() -> None:
        for byte in b"EHLO a\r\nNOOP\r\n":
            peer.sendall(bytes([byte]))
            gevent.sleep(0)

    gevent.spawn(send)
    assert wire.read_line() == b"EHLO a"
    assert wire.read_line() == b"NOOP"


def test_many_lines_in_one_read_need_no_second_wait(pair) -> None:
    wire, peer = pair
    peer.sendall(b"a\r\nb\r\nc\r\n")
    assert wire.read_line() == b"a"
    assert wire.pending
    assert [wire.read_line(), wire.read_line()] == [b"b", b"c"]
    assert not wire.pending


@pytest.mark.parametrize("data", [b"x" * 511 + b"\r\n", b"x" * 600])
def test_line_limit_counts_the_crlf(pair, data: bytes) -> None:
    wire, peer = pair
    peer.sendall(data)
    with pytest.raises(LineTooLong):
        wire.read_line(512)


def test_a_line_of_exactly_the_limit_is_read(pair) -> None:
    wire, peer = pair
    peer.sendall(b"x" * 510 + b"\r\n")
    assert len(wire.read_line(512)) == 510


def test_a_bare_line_feed_is_no_line_end(pair) -> None:
    wire, peer = pair
    peer.sendall(b"NOOP\nMAIL FROM:<a@b>\r\n\n\r\n")
    with pytest.raises(BareNewline):
        wire.read_line()
    assert wire.read_line() == b"MAIL FROM:<a@b>"
    with pytest.raises(BareNewline):
        wire.read_line()
    assert wire.read_line() == b""


def test_a_line_with_a_bare_line_feed_only_is_answered_at_once(pair) -> None:
    wire, peer = pair
    peer.sendall(b"EHLO a\n")
    with pytest.raises(BareNewline):
        wire.read_line()


def test_a_lenient_wire_takes_both_line_ends(pair) -> None:
    wire, peer = pair
    wire.lenient = True
    peer.sendall(b"a\nb\r\nc\n")
    assert [wire.read_line() for _ in range(3)] == [b"a", b"b", b"c"]


def test_end_of_file(pair) -> None:
    wire, peer = pair
    peer.sendall(b"half a li")
    peer.close()
    with pytest.raises(EOFError):
        wire.read_line()


def test_chunks_and_unread(pair) -> None:
    wire, peer = pair
    peer.sendall(b"DATA\r\nbody")
    assert wire.read_line() == b"DATA"
    assert wire.read_chunk() == b"body"
    wire.unread(b"dy")
    assert wire.read_chunk() == b"dy"
    peer.close()
    assert wire.read_chunk() == b""


def test_writes_wait_until_the_wire_would_block(pair) -> None:
    wire, peer = pair
    peer.setblocking(False)
    wire.write(b"250 a\r\n")
    wire.write(b"250 b\r\n")
    with pytest.raises(BlockingIOError):
        peer.recv(100)
    reader = gevent.spawn(wire.read_line)
    gevent.sleep(0.05)
    assert peer.recv(100) == b"250 a\r\n250 b\r\n"
    peer.send(b"x\r\n")
    assert reader.get(timeout=2) == b"x"


@pytest.mark.parametrize("size", [1, 70_000, 5_000_000])
def test_big_writes_arrive_whole_and_others_run_meanwhile(pair, size: int) -> None:
    wire, peer = pair
    data = bytes(range(256)) * (size // 256 + 1)
    got = bytearray()

    def read() -> None:
        while chunk := peer.recv(65536):
            got.extend(chunk)
            gevent.sleep(0)

    reader = gevent.spawn(read)
    wire.send(data[i : i + 100_000] for i in range(0, len(data), 100_000))
    wire.write(b".\r\n")
    wire.flush()
    wire.close()
    reader.join(timeout=10)
    assert bytes(got) == data + b".\r\n"


def test_a_silent_peer_runs_into_the_timeout(pair) -> None:
    wire, _ = pair
    wire.timeout = 0.1
    started = time.monotonic()
    with pytest.raises(WireTimeout):
        wire.read_line()
    assert time.monotonic() - started < 4


def test_a_peer_that_never_reads_runs_into_the_timeout(pair) -> None:
    wire, _ = pair
    wire.timeout = 0.1
    with pytest.raises(WireTimeout):
        wire.send([b"x" * 1_000_000] * 40)


def test_input_while_the_greenlet_is_elsewhere_does_not_spin_and_is_kept(pair) -> None:
    wire, peer = pair
    peer.sendall(b"a\r\n")
    assert wire.read_line() == b"a"
    peer.sendall(b"b\r\n")
    before = time.process_time()
    gevent.sleep(0.2)  # a plugin that blocks
    assert time.process_time() - before < 0.1
    assert wire.read_line() == b"b"


def test_abort_ends_a_wait_from_outside(pair) -> None:
    wire, _ = pair
    reader = gevent.spawn(wire.read_line)
    gevent.sleep(0.02)
    wire.abort()
    with pytest.raises(EOFError):
        reader.get(timeout=2)


def test_hears_what_comes_in_time_and_leaves_it_there(pair) -> None:
    wire, peer = pair
    assert not wire.hears(0) and not wire.hears(0.05)
    gevent.spawn_later(0.05, peer.sendall, b"EHLO a\r\n")
    assert wire.hears(10)
    assert wire.read_line() == b"EHLO a"


def test_hears_more_than_what_was_read_already(pair) -> None:
    wire, peer = pair
    wire.unread(b"EHLO a\r\n")
    assert not wire.hears(0.05)
    peer.sendall(b"MAIL")
    assert wire.hears(0) and wire.hears(10)
    assert wire.read_chunk() == b"EHLO a\r\nMAIL"


def test_hears_the_end(pair) -> None:
    wire, peer = pair
    peer.close()
    with pytest.raises(EOFError):
        wire.hears(10)
    assert not wire.hears(0)


def test_peek(pair) -> None:
    wire, peer = pair
    assert not wire.peek()
    peer.sendall(b"x")
    gevent.sleep(0.02)
    assert wire.peek()
    assert wire.read_chunk() == b"x"
    assert not wire.peek()
    peer.close()
    gevent.sleep(0.02)
    assert wire.peek()


def test_heard_is_only_what_was_said(pair) -> None:
    wire, peer = pair
    assert not wire.heard()
    peer.sendall(b"x")
    gevent.sleep(0.02)
    assert wire.heard()
    assert wire.read_chunk() == b"x"
    peer.close()
    gevent.sleep(0.02)
    assert not wire.heard()
    wire.close()
    assert not wire.heard()


def test_what_is_discarded_is_neither_read_nor_heard_any_more(pair) -> None:
    wire, peer = pair
    wire.discard_input()
    peer.sendall(b"QUIT\r\nNOOP\r\n")
    gevent.sleep(0.02)
    assert wire.read_line() == b"QUIT"
    peer.sendall(b"RSET\r\n")
    gevent.sleep(0.02)
    wire.discard_input()
    assert not wire.heard()
    peer.sendall(b"DATA\r\n")
    assert wire.read_line() == b"DATA"


def test_addresses(pair) -> None:
    wire, peer = pair
    assert wire.peer == peer.getsockname()
    assert wire.local == peer.getpeername()


def test_connect_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(OSError):
        connect("127.0.0.1", port, timeout=2)


def test_the_clock_forgets_closed_wires(pair) -> None:
    wire, _ = pair
    clock = default_clock()
    assert isinstance(clock, Clock)
    wire.close()
    wire.close()
    with pytest.raises(OSError):
        wire.read_line()


def test_gone(pair) -> None:
    wire, peer = pair
    assert not wire.gone
    peer.sendall(b"x")
    assert not wire.gone
    peer.close()
    assert eventually(lambda: wire.gone)  # though what it sent has not been read
    assert wire.read_chunk() == b"x" and wire.gone
    wire.close()
    assert wire.gone


def test_gone_on_a_unix_socket() -> None:
    ours, peer = socket.socketpair()
    wire = Wire(ours)
    assert not wire.gone
    peer.close()
    assert wire.gone
    wire.close()


@pytest.fixture(scope="module")
def contexts():
    ca = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.issue_cert("mx.example.test").configure_cert(server)
    ca.configure_trust(client)
    return server, client


class TestTls:
    def handshake(self, pair, contexts, hostname: str = "mx.example.test"):
        wire, peer = pair
        server, client = contexts
        other = Wire(peer)
        serving = gevent.spawn(wire.secure, TlsLayer(server, server_side=True))
        other.secure(TlsLayer(client, server_side=False, server_hostname=hostname))
        serving.get(timeout=5)
        return wire, other

    def test_both_ways(self, pair, contexts) -> None:
        wire, other = self.handshake(pair, contexts)
        other.write(b"EHLO a\r\n")
        other.flush()
        assert wire.read_line() == b"EHLO a"
        body = b"x" * 3_000_000
        sender = gevent.spawn(lambda: (wire.send([body, b".\r\n"]), wire.flush()))
        got = b""
        while len(got) < len(body) + 3:
            got += other.read_chunk(262144)
        sender.get(timeout=5)
        assert got == body + b".\r\n"

    def test_plaintext_sent_before_the_handshake_is_dropped(self, pair, contexts) -> None:
        wire, peer = pair
        peer.sendall(b"STARTTLS\r\nMAIL FROM:<evil@example.test>\r\n")
        assert wire.read_line() == b"STARTTLS"
        wire, other = self.handshake(pair, contexts)
        other.write(b"NOOP\r\n")
        other.flush()
        assert wire.read_line() == b"NOOP"

    def test_a_wrong_name_is_refused(self, pair, contexts) -> None:
        with pytest.raises(ssl.SSLError):
            self.handshake(pair, contexts, hostname="other.example.test")

    def test_end_of_file(self, pair, contexts) -> None:
        wire, other = self.handshake(pair, contexts)
        other.close()
        with pytest.raises((EOFError, ConnectionResetError)):
            wire.read_line()
