"""Encoded words, there and back, and what others make of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.message.encoded_words import decode, encode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?q?a_b?=", "a b"),
        ("=?iso-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),  # RFC 2047 8
        ("=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?utf-8?B?R3LDvA==?= =?utf-8?B?w59l?=", "Grüße"),
        ("=?utf-8?B?w?=", "w"),  # no base64: shown as it is
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü"),  # one character cut in two
        ("=?utf-8*de?Q?=C3=BC?=", "ü"),
        ("(=?iso-8859-1?Q?=FC?=)", "(ü)"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),  # padding forgotten
        ("=?x-unknown?Q?abc?=", "abc"),
        ("=?x-unknown?Q?=FF?=", "ÿ"),  # read as text without a charset is
        ("=?rot13?Q?abc?=", "abc"),
        ("=?utf-8?Q?a=0D=0AEvil:_b?=", "a  Evil: b"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?utf-8?Q?unfinished", "=?utf-8?Q?unfinished"),
    ],
)
def test_decode(text: str, expected: str) -> None:
    assert decode(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("Grüße", "=?utf-8?B?R3LDvMOfZQ==?="),
        ("my Grüße an alle", "my =?utf-8?B?R3LDvMOfZQ==?= an alle"),
        ("ü ö x", "=?utf-8?B?w7wgw7Y=?= x"),
        ("Jürgen <j@example.com>", "=?utf-8?B?SsO8cmdlbg==?= <j@example.com>"),
    ],
)
def test_encode(text: str, expected: str) -> None:
    assert encode(text) == expected
    assert decode(expected) == text


def test_long_text_is_folded() -> None:
    words = encode("ü" * 200).split("\r\n ")
    assert len(words) == 10
    assert all(len(word) <= 75 for word in words)
    assert decode(" ".join(words)) == "ü" * 200


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs")), max_size=120))
def test_there_and_back(text: str) -> None:
    encoded = encode(text)
    assert encoded.isascii()
    if "=?" not in text:
        assert decode(encoded) == text


@settings(deadline=None)
@given(
    st.text(max_size=60),
    st.sampled_from(["utf-8", "utf-7", "idna", "punycode", "undefined", "\0", "utf-16", "hex"]),
    st.sampled_from("BQ"),
)
def test_decode_never_raises(text: str, charset: str, encoding: str) -> None:
    assert isinstance(decode(f"=?{charset}?{encoding}?{text}?="), str)
