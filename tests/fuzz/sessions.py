"""A session against bytes that nobody chose: what is sent, how it is cut, and what must hold whatever comes."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

import gevent
from hypothesis import strategies as st

from tests.support.replies import split_replies
from tests.support.service import Inbound, Local
from tests.support.smtp_form import assert_sound
from tests.support.stage import scripted

ENVELOPE = b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"
END = re.compile(rb"(?:\r\n|\A)\.\r\n")

COMMANDS = [
    *(
        b"EHLO x\r\n",
        b"HELO x\r\n",
        b"EHLO\r\n",
        b"NOOP\r\n",
        b"RSET\r\n",
        b"VRFY a\r\n",
        b"HELP\r\n",
        b"QUIT\r\n",
    ),
    *(
        b"MAIL FROM:<a@example.org>\r\n",
        b"MAIL FROM:<>\r\n",
        b"MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME\r\n",
        b"mail from:",
    ),
    *(b"RCPT TO:<b@example.com>\r\n", b"RCPT TO:<c@far.test>\r\n", b"RCPT TO:<", b"DATA\r\n", b"ETRN x\r\n"),
    *(
        b"BDAT 5\r\nhello",
        b"BDAT 0 LAST\r\n",
        b"BDAT 7 LAST\r\na: b\r\n\r",
        b"BDAT 99999999999999999999\r\n",
        b"BDAT -1\r\n",
    ),
    *(
        b"STARTTLS\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AGEAYg==\r\n",
        b"*\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n",
    ),
    *(
        b"XCLIENT ADDR=1.2.3.4\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"GET / HTTP/1.1\r\n",
        b"NOOP " + b"x" * 600 + b"\r\n",
    ),
]
PIECES = [
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b"..",
        b"\0",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\r\n.\r",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r.\r",
    ),
    *(
        b"Subject: x\r\n",
        b"\r\n\r\n",
        b"body\r\n",
        b" ",
        b"\t",
        b"<",
        b">",
        b"@",
        b"=",
        b"\xff",
        b"\xc3\xbc",
        b"\xe2\x80\xa8",
    ),
]


def scripts() -> st.SearchStrategy[bytes]:
    """What a client may send: commands in any order, messages with every kind of line end, and noise."""
    piece = st.one_of(st.sampled_from(COMMANDS), st.sampled_from(PIECES), st.binary(max_size=8))
    noise = st.lists(piece, max_size=14).map(b"".join)
    body = st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join)
    mail = body.map(lambda content: ENVELOPE + content + b"\r\n.\r\n")
    return st.lists(st.one_of(noise, mail), min_size=1, max_size=3).map(b"".join)


def cuts() -> st.SearchStrategy[list[int]]:
    """Where to cut, as sizes of the pieces; the last one repeats."""
    return st.lists(st.integers(1, 40), min_size=1, max_size=12)


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """The data in pieces of these sizes."""
    pieces, at, index = [], 0, 0
    while at < len(data):
        size = sizes[min(index, len(sizes) - 1)]
        pieces.append(data[at : at + size])
        at, index = at + size, index + 1
    return pieces


class Talk:
    """What came of one session: `stream` is all that the server sent, `mails` what it accepted, `log` what it wrote."""

    def __init__(self, pieces: Sequence[bytes], **settings: object) -> None:
        local = Local()
        self.sent = b"".join(pieces)
        inbound = Inbound([local], log_level=3, **settings)
        with scripted(inbound) as sock:
            self.stream = _exchange(sock, pieces)
        inbound.endpoint.close()
        self.mails = [message for _, _, message in local.mails]
        self.log = inbound.lines

    def check(self) -> None:
        """Raises AssertionError when something does not hold."""
        replies = split_replies(self.stream)
        assert replies, "not even a banner"
        assert not [line for line in self.log if "Traceback" in line or "[CRIT]" in line], self.log
        taken = sum(reply[0].startswith(b"250") and b"Message Queued" in reply[0] for reply in replies)
        assert len(self.mails) == taken, (len(self.mails), self.stream)
        ends = len(END.findall(self.sent)) + len(re.findall(rb"(?i)BDAT [^\n]*LAST", self.sent))
        assert taken <= ends, f"{taken} messages of {ends} ends of data"
        for message in self.mails:
            assert_sound(message)

    @property
    def replies(self) -> bytes:
        """The stream without what differs from session to session, and with one name for what is wrong with a message.

        A message may have several faults, each refused with 550 5.6.0: which of them is met first depends on the pieces.
        """
        stream = re.sub(rb"550 5\.6\.0 [^\r]+", b"550 5.6.0 FAULT", self.stream)
        return re.sub(rb"[0-9A-F]{6}(?:[0-9A-F-]{30}(?:\.\d+)?)?(?=\)\r\n)", b"UUID", stream)

    @property
    def stored(self) -> list[bytes]:
        """The messages without our own Received field, which bears the time."""
        return [re.sub(rb"\AReceived: .*\r\n(?:\t.*\r\n)*", b"", message) for message in self.mails]


def _exchange(sock: socket.socket, pieces: Sequence[bytes]) -> bytes:
    received: list[bytes] = []

    def read() -> None:
        try:
            while data := sock.recv(65536):
                received.append(data)
        except ConnectionResetError:
            pass  # it hung up with something of ours unread

    reader = gevent.spawn(read)
    try:
        for piece in pieces:
            sock.sendall(piece)
            gevent.idle()
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it has hung up
    reader.join(timeout=15)
    assert reader.ready(), "the server neither answers nor hangs up"
    return b"".join(received)
