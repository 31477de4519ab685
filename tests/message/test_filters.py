"""Banners and body filters: texts change, everything else stays byte for byte."""

import base64
import re
from pathlib import Path

import pytest

from mta.message import filters, mime
from mta.message.banner import Banner
from mta.message.filters import BodyFilter
from mta.message.stream import MessageStream


def changed(message: str, *wanted: BodyFilter, banner: Banner | None = None) -> str:
    stream = MessageStream.from_message(message.replace("\n", "\r\n").encode())
    before = stream.get_data()
    body = mime.parse(stream.header, stream.body_data())
    assert filters.apply(stream, body, wanted, banner) is (stream.get_data() != before)
    data = stream.get_data(stuffed=True)
    assert data.count(b"\r") == data.count(b"\n") == data.count(b"\r\n") and data.endswith(b"\r\n")
    assert b"\r\n.\r\n" not in data
    return stream.get_data(line_end=b"\n").decode()


B = Banner.of("Bye")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Subject: x\n\nHi\n", "Subject: x\n\nHi\n\nBye\n"),
        ("Content-Type: text/html\n\n<BODY>Hi</BODY></HTML>\n", "Content-Type: text/html\n\n<BODY>Hi<P>Bye</P></BODY></HTML>\n"),
        ("Content-Type: text/html\n\n</body></body></html>\n", "Content-Type: text/html\n\n</body><P>Bye</P></body></html>\n"),
        ("Content-Type: text/html\n\nHi</html>\n", "Content-Type: text/html\n\nHi<P>Bye</P></html>\n"),
        ("Content-Type: text/html\n\nHi\n", "Content-Type: text/html\n\nHi\n<P>Bye</P>\n"),
        ("Content-Type: text/calendar\n\nHi\n", "Content-Type: text/calendar\n\nHi\n"),
        ("Content-Type: text/plain\nContent-Disposition: attachment\n\nHi\n", "Content-Type: text/plain\nContent-Disposition: attachment\n\nHi\n"),
        ("Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nSABpAA==\n", "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\nSABpAA==\n"),
        ("Content-Transfer-Encoding: base64\n\nSGk=\n", f"Content-Transfer-Encoding: base64\n\n{base64.b64encode(b'Hi' + chr(13).encode() + b'%cBye%c%c' % (10, 13, 10)).decode()}\n"),
        ("Content-Transfer-Encoding: quoted-printable\n\nH=69=\n\n", "Content-Transfer-Encoding: quoted-printable\n\nHi\n\nBye\n"),
        ("X: y\n\n.\n..a\n", "X: y\n\n.\n..a\n\nBye\n"),
    ],
)  # fmt: skip
def test_banner(message: str, expected: str) -> None:
    assert changed(message, banner=B) == expected


ALTERNATIVE = """From: a@b
Content-Type: multipart/mixed; boundary=b

pre  amble
--b
Content-Type: multipart/alternative;   boundary=c

--c
X-Odd :  spacing

text
--c
Content-Type: text/html; charset=us-ascii

<p>html
--c--
--b
Content-Type: text/plain
Content-Disposition: attachment

attached
--b--
epi  logue
"""


def test_only_the_texts_change() -> None:
    expected = ALTERNATIVE.replace("\ntext\n", "\ntext\nBye\n\n").replace("<p>html", "<p>html<P>Bye</P>")
    assert changed(ALTERNATIVE, banner=B) == expected


@pytest.mark.parametrize("kind", ["signed", "encrypted"])
def test_what_is_sealed_stays(kind: str) -> None:
    message = ALTERNATIVE.replace("alternative", kind)
    assert changed(message, banner=B) == message
    assert changed(message, BodyFilter("", lambda *_: b"!")) == message


def test_a_banner_that_ascii_cannot_hold_brings_its_charset() -> None:
    message = changed(ALTERNATIVE, banner=Banner.of("Grüße & mehr", "Gr&uuml;&szlig;e"))
    assert "Gr=C3=BC=C3=9Fe & mehr" in message and "<p>html<P>Gr&uuml;&szlig;e</P>" in message
    body = mime.parse(*_parts_of(message))
    text = body.children[0].children[0]
    assert (text.bodytext, text.encoding) == ("text\nGrüße & mehr\n", "quoted-printable")
    assert text.params == {"charset": "utf-8"}
    assert message.count("X-Odd :  spacing\n") == 1


def test_a_whole_message_gets_the_charset_too() -> None:
    message = changed("From: a@b\n\nHi\n", banner=Banner.of("ü"))
    header, body = message.split("\n\n", 1)
    assert header.splitlines() == [
        "From: a@b",
        "Content-Transfer-Encoding: quoted-printable",
        "Content-Type: text/plain; charset=utf-8",
        "MIME-Version: 1.0",
    ]
    assert body == "Hi\n\n=C3=BC\n"


@pytest.mark.parametrize(
    ("charset", "octets"), [("iso-8859-15", b"\xfc\x80"), ("", "ü".encode()), ("windows-1252", b"\xfc")]
)
def test_a_banner_is_written_in_the_charset_that_is_there(charset: str, octets: bytes) -> None:
    head = f"Content-Type: text/plain; charset={charset}\r\n" if charset else "X: y\r\n"
    stream = MessageStream.from_message(
        head.encode() + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + octets + b"\r\n"
    )
    filters.apply(stream, mime.parse(stream.header, stream.body_data()), (), Banner.of("ß"))
    assert stream.get_data(header=False) == octets + b"\r\n\r\n" + "ß".encode(charset or "utf-8") + b"\r\n"


def test_banner_markup_is_made_from_the_text() -> None:
    assert Banner.of("a < b\nc & d") == ("a < b\nc & d", "a &lt; b<br/>\nc &amp; d")
    assert Banner.of("a", "<b>a</b>").html == "<b>a</b>"


@pytest.mark.parametrize(
    ("wanted", "hits"),
    [("text/", 2), ("TEXT/Plain", 1), (re.compile(r"html|zzz"), 1), (re.compile("charset=us-ascii"), 1), ("image/", 0)],
)  # fmt: skip
def test_filters_see_the_parts_they_are_for(wanted: str | re.Pattern[str], hits: int) -> None:
    seen: list[tuple[str, str, bytes]] = []

    def change(content_type: str, charset: str, octets: bytes) -> bytes:
        seen.append((content_type, charset, octets))
        return octets

    assert changed(ALTERNATIVE, BodyFilter(wanted, change)) == ALTERNATIVE
    assert len(seen) == hits
    assert set(seen) <= {
        ("text/plain", "utf-8", b"text"),
        ("text/html; charset=us-ascii", "us-ascii", b"<p>html"),
    }


def test_filters_run_in_order_and_the_banner_comes_last() -> None:
    one = BodyFilter("text/plain", lambda _ct, _cs, octets: octets + b"1")
    two = BodyFilter("text/plain", lambda _ct, _cs, octets: octets + b"2")
    assert "text12\nBye\n" in changed(ALTERNATIVE, one, two, banner=B)


@pytest.mark.parametrize("new", [b".\n.x\r.", b"", b"a\0b", b"x" * 5000, b"\xff\xfe", b"--b\n--c--"])
def test_whatever_a_filter_gives_the_message_stays_a_message(new: bytes) -> None:
    message = changed(ALTERNATIVE, BodyFilter("text/plain", lambda *_: new))
    assert "From: a@b\n" in message and "--b--\nepi  logue\n" in message
    changed("X: y\n\nHi\n", BodyFilter("text/plain", lambda *_: new))


@pytest.mark.parametrize("part", ["", "X: only header\n", "no header\n", "\n", "\n\n", "X: y\n\n"])
@pytest.mark.parametrize("new", [b"new", b"\xff"])
def test_parts_that_lack_something_are_filled(part: str, new: bytes) -> None:
    head = "Content-Type: multipart/mixed; boundary=b\n\n"
    message = changed(f"{head}--b\n{part}--b\n\nz\n--b--\n", BodyFilter("text/", lambda *_: new))
    first, second = mime.parse(*_parts_of(message)).children
    assert first.decoded() == second.decoded() == new
    assert first.header.has("X") is part.startswith("X")


@pytest.mark.parametrize("spool_after", [-1, 0])
def test_in_memory_and_in_a_file(spool_after: int, tmp_path: Path) -> None:
    stream = MessageStream(str(tmp_path), spool_after, "M1")
    stream.header = MessageStream.from_message(
        ALTERNATIVE.split("\n\n")[0].replace("\n", "\r\n").encode()
    ).header
    stream.append(ALTERNATIVE.split("\n\n", 1)[1].replace("\n", "\r\n").encode())
    for times in (1, 2, 3):
        body = mime.parse(stream.header, stream.body_data())
        assert filters.apply(stream, body, (), B)
        assert stream.get_data(line_end=b"\n").count(b"<P>Bye</P>") == times
        assert len(list(tmp_path.iterdir())) == (spool_after == 0)
    stream.discard()
    assert not list(tmp_path.iterdir())


def _parts_of(message: str) -> tuple[filters.Header, bytes]:
    stream = MessageStream.from_message(message.replace("\n", "\r\n").encode())
    data = stream.body_data()
    assert isinstance(data, bytes)
    return stream.header, data
