"""Transfer encodings: the same octets come out however the lines are cut into blocks."""

import base64
import binascii
import os
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.message.transfer import decode, encode


def decoded(encoding: str, data: bytes, cut: int = 7) -> bytes:
    blocks = [data[i : i + cut] for i in range(0, len(data), cut)]
    whole = b"".join(decode(encoding, [data]))
    assert b"".join(decode(encoding, blocks)) == whole
    return whole


@pytest.mark.parametrize(
    ("encoding", "data", "octets"),
    [
        ("7bit", b"a=41\r\n", b"a=41\r\n"),
        ("x-unheard-of", b"YWFh", b"YWFh"),
        ("base64", b"YWJj\r\nZGVm\r\n", b"abcdef"),
        ("base64", b"Y W*J\tj", b"abc"),
        ("base64", b"YQ==YmM=ZGVm", b"abcdef"),  # several runs, as gateways join them
        ("base64", b"YWI", b"ab"),
        ("base64", b"YWJjZ", b"abc"),
        ("base64", b"====", b""),
        ("base64", b"", b""),
        ("quoted-printable", b"a=3Db=\r\nc =C3=BC\r\n", "a=bc ü\r\n".encode()),
        ("quoted-printable", b"100% =zz = =3", b"100% =zz = =3"),
        ("x-uuencode", b"text\r\nbegin 644 a.txt\r\n#86)C\r\n`\r\nend\r\n", b"abc"),
        ("uuencode", b"begin 644 a\r\n#86)C???\r\nend\r\n", b"abc"),
        ("x-uue", b"no uuencoded data", b""),
    ],
)
def test_decode(encoding: str, data: bytes, octets: bytes) -> None:
    assert decoded(encoding, data) == octets


@given(st.binary(max_size=500), st.integers(1, 80))
def test_decode_what_others_encoded(octets: bytes, cut: int) -> None:
    assert decoded("base64", base64.encodebytes(octets).replace(b"\n", b"\r\n"), cut) == octets
    assert decoded(
        "quoted-printable", quopri.encodestring(octets.replace(b"\r", b"").replace(b"\n", b"")), cut
    ) == octets.replace(b"\r", b"").replace(b"\n", b"")
    lines = b"".join(binascii.b2a_uu(octets[i : i + 45]) for i in range(0, len(octets), 45))
    assert decoded("x-uuencode", b"begin 600 x\n" + lines + b"`\nend\n", cut) == octets


@given(
    st.binary(max_size=300), st.sampled_from(["base64", "quoted-printable", "x-uuencode"]), st.integers(1, 9)
)
def test_anything_can_be_decoded_and_however_cut(octets: bytes, encoding: str, cut: int) -> None:
    decoded(encoding, octets.replace(b"\r", b""), cut)


@pytest.mark.parametrize(
    ("encoding", "octets", "lines", "used"),
    [
        ("7bit", b"a\r\nb\nc", b"a\r\nb\r\nc", "7bit"),
        ("8bit", "ü\n".encode(), "ü\r\n".encode(), "8bit"),
        ("7bit", "ü\n".encode(), b"=C3=BC\r\n", "quoted-printable"),
        ("7bit", b"x" * 1000, None, "quoted-printable"),
        ("quoted-printable", b"a=b \r\nlone\rcr\n", b"a=3Db=20\r\nlone\r\ncr\r\n", "quoted-printable"),
        ("base64", b"a\nb", b"YQpi\r\n", "base64"),
        ("x-uuencode", b"abc", b"YWJj\r\n", "base64"),
        ("8bit", "ü".encode("utf-16-le"), None, "base64"),
    ],
)
def test_encode(encoding: str, octets: bytes, lines: bytes | None, used: str) -> None:
    assert encode(encoding, octets)[1] == used
    if lines is not None:
        assert encode(encoding, octets)[0] == lines


@given(st.binary(max_size=3000), st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"]))
def test_what_is_encoded_is_lines_and_comes_back(octets: bytes, encoding: str) -> None:
    lines, used = encode(encoding, octets)
    assert lines.count(b"\r") == lines.count(b"\n") == lines.count(b"\r\n")
    assert b"\0" not in lines and max(map(len, lines.split(b"\r\n"))) <= 998
    expected = (
        octets
        if used == "base64"
        else b"\r\n".join(octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    )
    assert b"".join(decode(used, [lines])) == expected


def test_large_base64_is_decoded_block_by_block() -> None:
    octets = os.urandom(300_000)
    assert decoded("base64", base64.encodebytes(octets), 65536) == octets
