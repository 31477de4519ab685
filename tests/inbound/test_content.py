"""What becomes of the message between DATA and the queue: long lines, results, banners, MIME limits."""

from collections.abc import Callable, Iterator

import gevent
import pytest

from mta.message import mime
from mta.message.header import Header
from mta.plugin import Connection, Plugin
from tests.support.service import Client, Inbound, Local

PARTS = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5 + b"--b--\r\n.\r\n"
PLAIN = b"Subject: x\r\n\r\nHi\r\n.\r\n"

Ways = Callable[[Client, bytes], str]


class At(Plugin):
    """Runs a function at a hook."""

    def __init__(self, hook: str, act: Callable[[Connection], object]) -> None:
        self.name = "at"
        self.register_hook(hook, lambda connection, *_: act(connection))


def through(message: bytes, *plugins: Plugin, **settings: object) -> tuple[str, bytes]:
    """Send one message by DATA: the reply, and what was queued without its Received field."""
    local = Local()
    with Inbound([*plugins, local], add_received=False, **settings) as inbound:
        client = inbound.client()
        assert client.envelope().startswith("354")
        client.send(message)
        reply = client.read()
        client.close()
    return reply, local.mails[0][2] if local.mails else b""


TOO_MANY = "554 5.6.0 Transaction failed due to too many MIME parts"


def parse_body(connection: Connection) -> None:
    connection.transaction.parse_body = True


def look(connection: Connection) -> None:
    assert connection.transaction.mime_part_count >= 0


@pytest.mark.parametrize(("hook", "act"), [("data", parse_body), ("data_post", look)])
def test_too_many_parts_are_refused(hook: str, act: Callable[[Connection], None]) -> None:
    assert through(PARTS, At(hook, act), max_mime_parts=4) == (TOO_MANY, b"")
    assert through(PARTS, At(hook, act), max_mime_parts=5)[0].startswith("250")


@pytest.mark.parametrize("hook", ["data_post", "queue"])
def test_a_plugin_that_meets_too_many_parts_has_not_failed(hook: str) -> None:
    with Inbound([At(hook, look), Local()], max_mime_parts=4) as inbound:
        client = inbound.client()
        assert client.envelope().startswith("354")
        client.send(PARTS)
        assert client.read().startswith("554 5.6.0 Transaction failed due to too many MIME parts")
        client.close()
    (line,) = [line for line in inbound.lines if "more than 4 MIME parts" in line]
    assert line.startswith("[NOTICE] [") and f"Plugin at gave up on hook {hook}" in line
    assert "Traceback" not in "".join(inbound.lines)


def test_parts_that_nobody_looks_at_are_not_counted() -> None:
    assert through(PARTS, max_mime_parts=1)[0].startswith("250")


@pytest.mark.parametrize("hook", ["mail", "data", "data_post"])
def test_a_banner_can_be_set_until_data_post(hook: str) -> None:
    plugin = At("rcpt_ok" if hook == "mail" else hook, lambda c: c.transaction.set_banner("Bye"))
    assert through(PLAIN, plugin)[1] == b"Subject: x\r\n\r\nHi\r\n\r\nBye\r\n"


def test_a_filter_that_raises_defers_the_mail() -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("broken filter")

    local = Local()
    plugin = At("data", lambda c: c.transaction.add_body_filter("text/", fail))
    with Inbound([plugin, local]) as inbound:
        client = inbound.client()
        client.envelope()
        client.send(PLAIN)
        assert client.read() == "451 4.3.0 Message could not be processed, try again later"
        assert client.ask("NOOP").startswith("250")
        client.close()
        assert any("broken filter" in line for line in inbound.lines)
    assert local.mails == []


def test_discarded_data_leaves_the_header() -> None:
    def discard(connection: Connection) -> None:
        connection.transaction.discard_data = True

    reply, mail = through(PLAIN, At("data", discard))
    assert reply.startswith("250")
    assert mail == b"Subject: x\r\n\r\n"


RESULTS = b"Authentication-Results: mx.example.test; spf=pass\r\nSubject: x\r\n\r\nHi\r\n.\r\n"


@pytest.mark.parametrize("clean", [True, False])
def test_results_that_a_message_brings_are_not_ours(clean: bool) -> None:
    _, mail = through(RESULTS, clean_auth_results=clean)
    assert mail == (b"Original-" if clean else b"") + RESULTS[:-3]


def test_our_results_come_first() -> None:
    early = At("connect", lambda c: c.auth_results("iprev=pass") and None)
    late = At("data_post", lambda c: c.auth_results("dkim=pass") and None)
    _, mail = through(RESULTS, early, late)
    ours = b"Authentication-Results: mx.example.test;\r\n\tiprev=pass;\r\n\tdkim=pass\r\n"
    assert mail == ours + b"Original-" + RESULTS[:-3]


LONG = b"x" * 2000


@pytest.fixture(params=["DATA", "BDAT"])
def send(request: pytest.FixtureRequest) -> Iterator[Ways]:
    def by_data(client: Client, message: bytes) -> str:
        client.ask("DATA")
        client.send(message + b".\r\n")
        return client.read()

    def by_bdat(client: Client, message: bytes) -> str:
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
        return client.read()

    yield by_data if request.param == "DATA" else by_bdat


@pytest.mark.parametrize(
    ("limit", "body"),
    [
        (992, b"x" * 990 + b"\r\n " + b"x" * 989 + b"\r\n " + b"x" * 21 + b"\r\n"),
        (2002, LONG + b"\r\n"),
        (0, LONG + b"\r\n"),
    ],
)
def test_long_lines_are_folded(send: Ways, limit: int, body: bytes) -> None:
    local, notes = Local(), []
    watch = At("data_post", lambda c: notes.append(c.transaction.notes.get("data_line_length_exceeded")))
    with Inbound([watch, local], add_received=False, data_line_length=limit) as inbound:
        client = inbound.client()
        client.ask("EHLO client.test")
        client.ask("MAIL FROM:<a@example.org>")
        client.ask("RCPT TO:<b@example.com>")
        assert send(client, b"Subject: x\r\n\r\n" + LONG + b"\r\n").startswith("250")
        client.close()
    assert local.mails[0][2] == b"Subject: x\r\n\r\n" + body
    assert notes == [True if limit == 992 else None]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n\r\n" + b"--c\r\n" * 200_000),
        (b"Content-Type: text/plain; charset=cp1252\r\n", b"\x81" * 2_000_000),
        (b"Content-Transfer-Encoding: base64\r\n", b"YWJj\r\n" * 500_000),
    ],
)
def test_a_hostile_body_does_not_hold_up_others(header: bytes, body: bytes) -> None:
    turns = 0

    def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    greenlet = gevent.spawn(others)
    try:
        for part in mime.parse(Header(header), body).walk():
            assert isinstance(part.bodytext, str)
    finally:
        greenlet.kill()
    assert turns > 10
