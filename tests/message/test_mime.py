"""MIME trees: what RFC 2046 says, what senders do, and what attackers try."""

import mmap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.message.body import Body
from mta.message.header import Header, split_header
from mta.message.mime import TooManyParts, parse


def tree(message: str | bytes, **limits: int) -> Body:
    """Parse a message that is written with line feeds."""
    raw = (message if isinstance(message, bytes) else message.encode()).replace(b"\n", b"\r\n")
    header, _, start = split_header(raw, complete=True) or (b"", b"", 0)
    return parse(Header(header), raw[start:], **limits)


def outline(part: Body) -> object:
    """A part as text: its contents, or its type with its parts."""
    if part.is_multipart:
        return part.content_type, [outline(child) for child in part.children]
    return part.decoded().decode("utf-8", "replace")


MIXED = "Content-Type: multipart/mixed; boundary=b\n\n"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Subject: x\n\nhello\n", "hello\r\n"),
        ("Subject: x\n\n", ""),
        ("", ""),
        (MIXED + "preamble\n--b\n\none\n--b\n\ntwo\n--b--\nepilogue\n", ["one", "two"]),
        (MIXED + "--b\n\none\n--b--\n", ["one"]),
        (MIXED + "--b \t\n\none\n--b-- \n", ["one"]),  # blanks added on the way
        (MIXED + "--b\n\none\n--b\n\ntwo\n", ["one", "two\r\n"]),  # never closed
        (MIXED + "--b\n--b\n\n--b--\n", ["", ""]),
        (MIXED + "--b\nno header\n--b\nX: only header\n--b--\n", ["no header", ""]),
        (MIXED + "--bb\n--b\n\none --b\n--b-\n--B\n --b\n--b--\n", ["one --b\r\n--b-\r\n--B\r\n --b"]),
        (MIXED + "--b\n\none\n--b--\n--b\n\nhidden\n", ["one"]),
        (MIXED + "--b\n\n..dots\n...\n--b--\n", [".dots\r\n.."]),
        (MIXED + "--b", [""]),
        (MIXED + "--b--\n", "--b--\r\n"),  # no part at all: what is there is text
        (MIXED + "no boundary\n", "no boundary\r\n"),
        ("Content-Type: multipart/mixed\n\n--b\n\none\n--b--\n", "--b\r\n\r\none\r\n--b--\r\n"),
        ('Content-Type: multipart/mixed; boundary=""\n\n--\n\none\n----\n', "--\r\n\r\none\r\n----\r\n"),
        ('Content-Type: multipart/mixed;\n boundary="x y  "\n\n--x y\n\none\n--x y--\n', ["one"]),
        ("Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\none\n--ab--\n", ["one"]),
        ("Content-Type: multipart/mixed; boundary==?x?Q?y?=\n\n--=?x?Q?y?=\n\none\n", ["one\r\n"]),
        ("Content-Type: multipart/mixed; boundary=ü\n\n--ü\n\none\n--ü--\n", ["one"]),
        ("Content-Type: multipart/mixed; boundary=x--\n\n--x--\n\none\n--x----\n", ["one"]),
        ("Content-Type: multipart/mixed; boundary=b\nContent-Type: text/plain\n\n--b\n\none\n--b--\n", ["one"]),
    ],
)  # fmt: skip
def test_parts(message: str, expected: object) -> None:
    found = outline(tree(message))
    assert found == (("multipart/mixed", expected) if isinstance(expected, list) else expected)


def test_latin_1_boundary() -> None:
    root = tree(b"Content-Type: multipart/mixed; boundary=\xfc\n\n--\xfc\n\none\n--\xfc--\n")
    assert [child.raw() for child in root.children] == [b"one"]


def nested(inner: str, after: str) -> str:
    return f"{MIXED}--b\nContent-Type: multipart/alternative; boundary={inner}\n\n--{inner}\n\none\n{after}"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (nested("c", "--c\n\ntwo\n--c--\n--b\n\nthree\n--b--\n"), [("multipart/alternative", ["one", "two"]), "three"]),
        (nested("c", "--b\n\nthree\n--b--\n"), [("multipart/alternative", ["one"]), "three"]),  # c is never closed
        (nested("c", "--b--\n--c\n\nno\n"), [("multipart/alternative", ["one"])]),
        (nested("bb", "--bb\n\ntwo\n--bb--\n--b--\n"), [("multipart/alternative", ["one", "two"])]),  # prefixes
        (nested("b", "--b--\n"), ["", "one"]),  # the same one again: it is the outer one's
        (nested("b--", "--b----\n--b\n\nthree\n"), [("multipart/alternative", ["one"]), "three\r\n"][:0] or None),
    ],
)  # fmt: skip
def test_nested_parts(message: str, expected: list[object] | None) -> None:
    root = tree(message)
    if expected is None:  # `--b--` ends b, or begins a part of `b--`: either is right, but nothing may break
        assert root.children
    else:
        assert outline(root) == ("multipart/mixed", expected)


def test_a_delimiter_that_looks_like_a_field_ends_the_header() -> None:
    root = tree('Content-Type: multipart/mixed; boundary="a:b"\n\n--a:b\nX: y\n--a:b\nZ: z\n\ntwo\n--a:b--\n')
    assert [(child.header.lines(), child.raw()) for child in root.children] == [
        (["X: y\r\n"], b""),
        (["Z: z\r\n"], b"two"),
    ]


PICTURE = """Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe
--b
Content-Type: image/png; name="=?utf-8?Q?p=C3=BC.png?="
Content-Transfer-Encoding: base64

iVBORw==
--b
Content-Type: text/csv
Content-Disposition: attachment; filename*=utf-8''%C3%BC.csv

a,b
--b
Content-Type: message/rfc822

Subject: inner

Hi
--b
Content-Type: text/html; charset=x-none

<p>
--b
Content-Type: nonsense

x
--b--
"""


def test_what_the_parts_are() -> None:
    root = tree(PICTURE)
    assert [(p.content_type, p.filename) for p in root.attachments()] == [
        ("image/png", "pü.png"),
        ("text/csv", "ü.csv"),
    ]
    assert [p.content_type for p in root.texts()] == [
        "text/plain",
        "message/rfc822",
        "text/html",
        "text/plain",
    ]
    text, picture, table, inner, html, nonsense = root.children
    assert (text.bodytext, text.body_encoding) == ("Grüße", "iso-8859-1")
    assert text.ct == "text/plain; charset=iso-8859-1"
    assert picture.open().read() == b"\x89PNG"
    assert picture.raw() == b"iVBORw=="
    assert (picture.bodytext, picture.is_attachment, table.disposition) == ("", True, "attachment")
    assert inner.bodytext == "Subject: inner\n\nHi"
    assert (html.bodytext, html.body_encoding) == ("<p>", "broken//x-none")
    assert (nonsense.ct, nonsense.content_type) == ("nonsense", "text/plain")
    assert [p.depth for p in root.walk()] == [0, 1, 1, 1, 1, 1, 1]
    assert (root.bodytext, root.decoded()) == ("", b"")


def test_digest_parts_are_messages() -> None:
    root = tree("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\n--b--\n")
    assert root.children[0].content_type == "message/rfc822"


def test_too_many_parts() -> None:
    message = MIXED + "--b\n\nx\n" * 5
    assert len(tree(message, max_parts=5).children) == 5
    with pytest.raises(TooManyParts):
        tree(message, max_parts=4)


def deep(levels: int) -> str:
    parts = (f"--b{i}\nContent-Type: multipart/mixed; boundary=b{i + 1}\n\n" for i in range(levels))
    return "Content-Type: multipart/mixed; boundary=b0\n\n" + "".join(parts) + "deepest\n"


def test_nesting_is_limited_and_what_is_below_is_still_read() -> None:
    *_, last = tree(deep(2000), max_parts=5000).walk()
    assert last.depth == 100 and not last.children and last.bodytext.endswith("deepest\n")
    *_, last = tree(deep(50)).walk()
    assert last.depth == 50


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n\r\nx\r\n" * 50_000 + b"--b--\r\n",
        b"--\r\n" * 300_000,
        b"--x\r\n" * 300_000,
        b"--" + b"x" * 3_000_000,
        b"--b\r\n" + b"X: y\r\n" * 500_000,
        b"--b\r\n" + b"X" * 3_000_000,
        b"\r\n--b-" * 300_000,
    ],
    ids=["parts", "dashes", "others", "line", "header", "name", "almost"],
)
def test_time_is_linear(body: bytes) -> None:
    start = time.process_time()
    list(parse(Header(b"Content-Type: multipart/mixed; boundary=b\r\n"), body, 10**6).walk())
    assert time.process_time() - start < 3


PIECES = ["--b\n", "--b--\n", "--c\n", "--c--\n", "\n", "x\n", "--\n", "Content-Type: multipart/mixed; boundary=c\n", "Content-Type: multipart/mixed; boundary=b\n", "Content-Type:\n multipart/mixed;\n boundary=\"b\n\"\n"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_order_of_pieces_gives_parts_inside_each_other(pieces: list[str]) -> None:
    root = tree(MIXED + "".join(pieces))
    for part in root.walk():
        assert 0 <= part.start <= part.end
        ends = [child.end for child in part.children]
        assert all(part.start <= child.start and child.end <= part.end for child in part.children)
        assert ends == sorted(ends)
        part.decoded()


@given(st.binary(max_size=400), st.binary(max_size=100))
def test_any_bytes_are_survived(body: bytes, header: bytes) -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b" + header.replace(b"\n", b"") + b"\r\n"
    for part in parse(Header(raw), body).walk():
        assert isinstance(part.bodytext + part.filename + part.ct + part.encoding, str)


def test_a_mapped_file_is_read_alike(tmp_path: Path) -> None:
    raw = PICTURE.replace("\n", "\r\n").encode()
    header, _, start = split_header(raw, complete=True) or (b"", b"", 0)
    (tmp_path / "body").write_bytes(raw[start:])
    with open(tmp_path / "body", "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert outline(parse(Header(header), data)) == outline(tree(PICTURE))
