"""Charsets: what senders write, what it means, and what must not be looked up."""

import encodings

import pytest

from mta.message.charset import BLOCK, codec_of, decode


@pytest.mark.parametrize(
    ("charset", "octets", "text", "found"),
    [
        ("", b"abc", "abc", "utf-8"),
        ("", "Grüße".encode(), "Grüße", "utf-8"),
        ("", b"Gr\xfc\xdfe \x80", "Grüße €", "windows-1252"),
        ("", b"\x81", "\x81", "iso-8859-1"),
        ("us-ascii", b"abc", "abc", "us-ascii"),
        ("US-ASCII", "ü".encode(), "ü", "utf-8"),
        ("UTF-8", b"\xff", "\ufffd", "utf-8"),
        ("ISO-8859-1", b"\x93q\x94", "“q”", "iso-8859-1"),
        ("iso-8859-15", b"\xa4", "€", "iso-8859-15"),
        ("KOI8-R", "привет".encode("koi8-r"), "привет", "koi8-r"),
        ("gb2312", "你好".encode("gbk"), "你好", "gb2312"),
        ("Shift_JIS", "①".encode("cp932"), "①", "shift_jis"),
        ("iso-2022-jp", "日本".encode("iso-2022-jp"), "日本", "iso-2022-jp"),
        ("ks_c_5601-1987", "한글".encode("cp949"), "한글", "ks_c_5601-1987"),
        ("windows-874", b"\xa1", "ก", "windows-874"),
        ("utf-16", "ü".encode("utf-16"), "ü", "utf-16"),
        ("x-unheard-of", "ü".encode(), "ü", "broken//x-unheard-of"),
        ("base64", b"YQ==", "YQ==", "broken//base64"),
        ("punycode", b"abc", "abc", "broken//punycode"),
        ("idna", b"xn--", "xn--", "broken//idna"),
        ("unicode_escape", b"\\n", "\\n", "broken//unicode_escape"),
        ("../../etc/passwd", b"a", "a", "broken//../../etc/passwd"),
        ("__proto__", b"a", "a", "broken//__proto__"),
        ("u" * 5000, b"a", "a", "broken//" + "u" * 40),
    ],
)
def test_decode(charset: str, octets: bytes, text: str, found: str) -> None:
    assert decode(octets, charset) == (text, found)


def test_a_long_text_is_decoded_across_its_blocks() -> None:
    text = "a" * (BLOCK - 1) + "ü" * 3
    assert decode(text.encode(), "utf-8") == (text, "utf-8")
    assert decode(text.encode("utf-16"), "utf-16") == (text, "utf-16")


def test_unknown_names_are_not_remembered() -> None:
    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(100):
        decode(b"a", f"x-nobody-knows-{number}")
    assert len(encodings._cache) == before  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["utf8", "UTF-8", "utf_8", " utf-8 ", "latin-1", "cp1252", "EUC-KR", "big5", "mac_farsi"]
)
def test_known(name: str) -> None:
    assert codec_of(name) is not None
