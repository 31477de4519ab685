"""BDAT over real sockets: what is stored, what is refused, and that no octet of a chunk is ever taken for a command."""

import email
import socket
import time
from dataclasses import replace

import pytest

from mta.config.schema import ExtensionSettings
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import DENY, DENYDISCONNECT, DENYSOFT
from tests.support.service import Client, Denier, Inbound, Local

EHLO, MAIL, RCPT = b"EHLO client.test\r\n", b"MAIL FROM:<a@example.org>\r\n", b"RCPT TO:<b@example.com>\r\n"
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def local() -> Local:
    return Local()


@pytest.fixture
def client(local: Local):
    with Inbound([local], add_received=False) as inbound:
        yield inbound.client()


def begin(client: Client, parameters: str = "") -> None:
    client.ask("EHLO client.test")
    assert client.ask(f"MAIL FROM:<a@example.org>{parameters}").startswith("250 ")
    assert client.ask("RCPT TO:<b@example.com>").startswith("250 ")


def chunk(client: Client, data: bytes, last: bool = False) -> str:
    client.send(b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data)
    return client.read()


def still_there(client: Client) -> bool:
    return client.ask("NOOP") == "250 2.0.0 OK"


# -- sound messages


def test_one_chunk(client: Client, local: Local) -> None:
    begin(client)
    assert chunk(client, MESSAGE, last=True).startswith("250 2.0.0 Message Queued (")
    assert local.mails == [("<a@example.org>", ["<b@example.com>"], MESSAGE)]
    assert still_there(client)


def test_several_chunks_cut_anywhere(client: Client, local: Local) -> None:
    message = b"Subject: x\r\nTo: b\r\n\r\n.dot\r\n..\r\nbody\r\n.\r\nQUIT\r\n"
    for size in (1, 2, 3, 7, 20):
        begin(client)
        for start in range(0, len(message), size):
            piece = message[start : start + size]
            assert chunk(client, piece) == f"250 2.0.0 {len(piece)} octets received"
        assert chunk(client, b"", last=True).startswith("250 2.0.0 Message Queued (")
        assert local.mails.pop()[2] == message.replace(b"\n.", b"\n..")


@pytest.mark.parametrize(
    ("pieces", "stored"),
    [
        ([b"", b""], b""),
        ([b"no header"], b"\r\nno header\r\n"),
        ([b"A: b"], b"A: b\r\n"),
        ([b"A: b\r\n\r\nlast line has no end"], b"A: b\r\n\r\nlast line has no end\r\n"),
        ([b".\r\n"], b"\r\n..\r\n"),
        ([b"A: b\r\n\r\n.", b"\r\n"], b"A: b\r\n\r\n..\r\n"),
        ([b"A: b\r\n\r\nx\r", b"\n.", b"\r", b"\n", b"y\r\n"], b"A: b\r\n\r\nx\r\n..\r\ny\r\n"),
    ],
)
def test_what_is_stored(client: Client, local: Local, pieces: list[bytes], stored: bytes) -> None:
    begin(client)
    for piece in pieces[:-1]:
        assert chunk(client, piece).startswith("250 ")
    assert chunk(client, pieces[-1], last=True).startswith("250 ")
    assert local.mails[0][2] == stored


def test_everything_in_one_write(client: Client, local: Local) -> None:
    client.send(
        EHLO + MAIL + RCPT + b"BDAT 12\r\nSubject: x\r\nBDAT 6\r\n\r\nQUITBDAT 2 LAST\r\n\r\n"
        + MAIL + RCPT + b"BDAT 0 LAST\r\nNOOP\r\n"
    )  # fmt: skip
    replies = [client.read().splitlines()[-1][:9] for _ in range(10)]
    assert replies == [
        "250 HELP",
        "250 2.1.0",
        "250 2.1.5",
        *["250 2.0.0"] * 3,
        "250 2.1.0",
        "250 2.1.5",
        *["250 2.0.0"] * 2,
    ]
    assert [mail[2] for mail in local.mails] == [b"Subject: x\r\n\r\nQUIT\r\n", b""]


def test_byte_by_byte(client: Client, local: Local) -> None:
    begin(client)
    for byte in b"BDAT 9\r\nA: b\r\n\r\nxBDAT 3 LAST\r\n\r\n.NOOP\r\n":
        client.send(bytes([byte]))
    assert [client.read()[:9] for _ in range(3)] == ["250 2.0.0"] * 3
    assert local.mails[0][2] == b"A: b\r\n\r\nx\r\n..\r\n"


def test_a_large_message_in_a_file(local: Local, tmp_path) -> None:
    with Inbound([local], add_received=False, spool_dir=str(tmp_path), spool_after=1000) as inbound:
        client = inbound.client()
        begin(client)
        body = b"A: b\r\n\r\n" + b"x" * 76 + b"\r\n" * 20_000
        assert chunk(client, body[:300_000]).startswith("250 ")
        assert chunk(client, body[300_000:], last=True).startswith("250 ")
        assert local.mails[0][2] == body
        assert list(tmp_path.iterdir()) == []


# -- out of order


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (b"", "503 5.5.1 MAIL required first"),
        (EHLO, "503 5.5.1 MAIL required first"),
        (EHLO + MAIL, "503 5.5.1 RCPT required first"),
        (EHLO + MAIL + b"RCPT TO:<b@elsewhere.test>\r\n", "503 5.5.1 RCPT required first"),
        (EHLO + MAIL + RCPT + b"BDAT 0 LAST\r\n", "503 5.5.1 MAIL required first"),
        (EHLO + MAIL + RCPT + b"BDAT 0\r\nRSET\r\n", "503 5.5.1 MAIL required first"),
        (EHLO + MAIL + RCPT + b"BDAT 0\r\nEHLO again\r\n", "503 5.5.1 MAIL required first"),
        (b"HELO client.test\r\n" + MAIL + RCPT, "502 5.5.1 BDAT is not offered"),
    ],
)
@pytest.mark.parametrize("last", [b"", b" LAST"])
def test_a_refused_chunk_is_read_off(
    client: Client, local: Local, before: bytes, expected: str, last: bytes
) -> None:
    kept = len(local.mails)
    client.send(before)
    for _ in range(before.count(b"\r\n")):
        client.read()
    kept = len(local.mails)
    client.send(b"BDAT 14%s\r\nQUIT\r\nRSET\r\n\r\n" % last)
    assert client.read() == expected
    assert still_there(client)
    assert len(local.mails) == kept


@pytest.mark.parametrize("command", ["DATA", "RCPT TO:<c@example.com>"])
def test_only_bdat_after_bdat(client: Client, local: Local, command: str) -> None:
    begin(client)
    chunk(client, b"A: b\r\n")
    assert client.ask(command) == "503 5.5.1 BDAT has begun: only BDAT, or RSET"
    assert client.ask("MAIL FROM:<x@example.org>") == "503 5.5.1 nested MAIL command"
    assert chunk(client, b"\r\nx", last=True).startswith("250 ")
    assert local.mails[0][1:] == (["<b@example.com>"], b"A: b\r\n\r\nx\r\n")


def test_rset_forgets_the_chunks(client: Client, local: Local) -> None:
    begin(client)
    chunk(client, b"A: forgotten\r\n")
    assert client.ask("RSET") == "250 2.0.0 OK"
    begin(client)
    chunk(client, MESSAGE, last=True)
    assert local.mails[0][2] == MESSAGE


def test_noop_and_vrfy_between_chunks(client: Client, local: Local) -> None:
    begin(client)
    chunk(client, MESSAGE)
    assert still_there(client)
    assert client.ask("VRFY b").startswith("252 ")
    chunk(client, b"", last=True)
    assert local.mails[0][2] == MESSAGE


@pytest.mark.parametrize("argument", ["", "LAST", "x", "-1", "5 LATE", "5LAST", "5 LAST LAST", "1" * 21])
def test_without_a_size_nothing_that_follows_can_be_trusted(client: Client, argument: str) -> None:
    begin(client)
    client.send(f"BDAT {argument}\r\nMAIL FROM:<smuggled@example.org>\r\n".encode())
    assert client.read() == "501 5.5.4 Syntax is BDAT size [LAST]"
    assert client.read() == ""


def test_switched_off(local: Local) -> None:
    with Inbound([local], extensions=replace(ExtensionSettings(), chunking=False)) as inbound:
        client = inbound.client()
        hello = client.ask("EHLO client.test")
        assert "CHUNKING" not in hello
        assert "BINARYMIME" not in hello
        begin(client)
        assert chunk(client, b"QUIT\r\n", last=True) == "502 5.5.1 BDAT is not offered"
        assert client.ask("DATA").startswith("354 ")


def test_a_client_that_leaves_inside_a_chunk(local: Local) -> None:
    with Inbound([local]) as inbound:
        client = inbound.client()
        begin(client)
        client.send(b"BDAT 1000 LAST\r\n" + MESSAGE)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read() == ""
        assert local.mails == []
        assert not any("CRIT" in line for line in inbound.lines)


def test_a_client_that_drips(local: Local) -> None:
    with Inbound([local], inactivity_timeout=1, min_data_rate=1000) as inbound:
        client = inbound.client()
        begin(client)
        client.send(b"BDAT 100000 LAST\r\n")
        client.sock.settimeout(0.2)
        begun = time.monotonic()
        reply = b""
        while not reply and time.monotonic() - begun < 8:
            client.send(b"x")
            try:
                reply = client.sock.recv(1000)
            except TimeoutError:
                continue
        assert reply.startswith(b"421 4.4.2 timeout")


# -- bare newlines


@pytest.mark.parametrize(
    "pieces",
    [
        [b"A: b\n\r\nx"],
        [b"A: b\r\n\r\nx\n.\r\nQUIT\r\n"],
        [b"A: b\r\n\r\nx\r\n.\rQUIT\r\n"],
        [b"A: b\r\n\r\nx\r", b"y\r\n"],
        [b"A: b\r\n\r\nx", b"\ny\r\n"],
        [b"A: b\r\n\r\nx\r"],
    ],
)
def test_bare_newlines_are_rejected(client: Client, local: Local, pieces: list[bytes]) -> None:
    begin(client)
    replies = [chunk(client, piece) for piece in pieces]
    replies.append(chunk(client, b"", last=True))
    assert replies[-1] == "550 5.6.0 Bare CR or LF in the message: lines end with CRLF"
    assert local.mails == []
    assert still_there(client)


def test_bare_newlines_are_repaired(local: Local) -> None:
    with Inbound([local], add_received=False, bare_newline="repair") as inbound:
        client = inbound.client()
        begin(client)
        for piece in (b"A: b\n\n", b"x\r", b".", b"\nMAIL FROM:<x>\n"):
            assert chunk(client, piece).startswith("250 ")
        assert chunk(client, b".\r", last=True).startswith("250 ")
        assert local.mails[0][2] == b"A: b\r\n\r\nx\r\n..\r\nMAIL FROM:<x>\r\n..\r\n"


# -- limits and hooks


def test_a_failed_message_stays_failed_until_last(client: Client, local: Local) -> None:
    begin(client)
    fault = "550 5.6.0 Bare CR or LF in the message: lines end with CRLF"
    assert chunk(client, b"\n") == fault
    assert chunk(client, b"QUIT\r\n") == fault
    assert chunk(client, b"QUIT\r\n", last=True) == fault
    assert chunk(client, b"QUIT\r\n", last=True) == "503 5.5.1 MAIL required first"
    begin(client)
    assert chunk(client, MESSAGE, last=True).startswith("250 ")
    assert len(local.mails) == 1


@pytest.mark.parametrize("sizes", [[101], [50, 51], [100, 1], [60, 60, 60]])
def test_too_big(local: Local, sizes: list[int]) -> None:
    with Inbound([local], max_bytes=100) as inbound:
        client = inbound.client()
        begin(client)
        replies = [chunk(client, b"\r\n" * (size // 2) + b"." * (size % 2)) for size in sizes]
        assert replies[-1] == "552 5.3.4 Message too big!"
        assert chunk(client, b"", last=True) == "552 5.3.4 Message too big!"
        assert still_there(client)
        assert local.mails == []


def test_just_big_enough(local: Local) -> None:
    with Inbound([local], max_bytes=100, add_received=False) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, b".\r\n" * 33 + b".", last=True).startswith("250 ")
        assert local.mails[0][2] == b"\r\n" + b"..\r\n" * 34


def test_hook_max_data_exceeded(local: Local) -> None:
    with Inbound([local, Denier("max_data_exceeded", (DENYSOFT, "later"))], max_bytes=10) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, b"x" * 11) == "450 4.3.4 later"


def test_too_many_header_lines(local: Local) -> None:
    with Inbound([local], max_header_lines=2) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, b"A: b\r\nA: b\r\nA: b\r\n\r\n") == "552 5.3.4 Header too big"


def test_hook_data_is_asked_once(local: Local) -> None:
    asked = []

    class Ask(Plugin):
        name = "ask"

        def hook_data(self, connection):
            asked.append(connection.transaction.uuid)

    with Inbound([local, Ask()]) as inbound:
        client = inbound.client()
        begin(client)
        for _ in range(3):
            chunk(client, b"")
        chunk(client, MESSAGE, last=True)
        assert len(asked) == 1


def test_hook_data_refuses(local: Local) -> None:
    with Inbound([local, Denier("data", (DENY, "not today"))]) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, b"QUIT\r\n") == "554 5.7.1 not today"
        assert chunk(client, b"QUIT\r\n", last=True) == "554 5.7.1 not today"
        assert still_there(client)
        assert local.mails == []


def test_hook_data_hangs_up(local: Local) -> None:
    with Inbound([local, Denier("data", (DENYDISCONNECT, "never"))]) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, MESSAGE) == "554 5.7.1 never"
        assert client.read() == ""


def test_hook_data_post_refuses(local: Local) -> None:
    with Inbound([local, Denier("data_post", (DENY, "spam"))]) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, MESSAGE) == "250 2.0.0 20 octets received"
        assert chunk(client, b"", last=True) == "550 5.7.1 spam"


def test_spool_directory_is_gone(local: Local, tmp_path) -> None:
    with Inbound([local], spool_dir=str(tmp_path / "none"), spool_after=0) as inbound:
        client = inbound.client()
        begin(client)
        assert chunk(client, MESSAGE) == "451 4.3.1 Insufficient system storage"
        assert any("check spool_dir" in line for line in inbound.lines)
        assert chunk(client, b"x", last=True).startswith("451 ")
        assert still_there(client)


# -- BINARYMIME

BINARY = b"Subject: x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"


def test_binary_octets_are_stored_as_base64(client: Client, local: Local) -> None:
    begin(client, " BODY=BINARYMIME")
    assert chunk(client, BINARY + b"\0\n.\r").startswith("250 ")
    assert chunk(client, b"\n.\r\n\n.\nQUIT\r\n", last=True).startswith("250 2.0.0 Message Queued")
    assert local.mails[0][2] == (
        b"Subject: x\r\nContent-Type: image/png\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"AAouDQouDQoKLgpRVUlUDQo=\r\n"
    )


def test_large_binary_is_converted_aside(client: Client, local: Local) -> None:
    body = bytes(range(256)) * 4000
    begin(client, " BODY=BINARYMIME")
    assert chunk(client, BINARY + body, last=True).startswith("250 ")
    assert email.message_from_bytes(local.mails[0][2]).get_payload(decode=True) == body


def test_binary_lines_are_stored_as_they_are(client: Client, local: Local) -> None:
    begin(client, " BODY=binarymime")
    chunk(client, b"A: b\r\n\r\n.\r\n\xff\r\n", last=True)
    assert local.mails[0][2] == b"A: b\r\n\r\n..\r\n\xff\r\n"


def test_what_can_not_be_made_into_lines_is_refused(client: Client, local: Local) -> None:
    begin(client, " BODY=BINARYMIME")
    message = b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\0\r\n--b--\r\n"
    expected = "554 5.6.3 Conversion required but not possible: multipart/signed must not be changed"
    assert chunk(client, message, last=True) == expected
    assert local.mails == []
    assert still_there(client)


def test_binary_needs_bdat(client: Client) -> None:
    begin(client, " BODY=BINARYMIME")
    assert client.ask("DATA") == "503 5.5.1 BODY=BINARYMIME needs BDAT"
    assert chunk(client, MESSAGE, last=True).startswith("250 ")


def test_binary_too_big(local: Local) -> None:
    with Inbound([local], max_bytes=100) as inbound:
        client = inbound.client()
        begin(client, " BODY=BINARYMIME")
        assert chunk(client, b"\0" * 60).startswith("250 ")
        assert chunk(client, b"\0" * 60, last=True) == "552 5.3.4 Message too big!"


def test_binary_header_limits_hold(local: Local) -> None:
    with Inbound([local], max_header_lines=2) as inbound:
        client = inbound.client()
        begin(client, " BODY=BINARYMIME")
        assert chunk(client, BINARY + b"\0", last=True) == "552 5.3.4 Header too big"
