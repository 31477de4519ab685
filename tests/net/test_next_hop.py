"""Reading next hops."""

from __future__ import annotations

import pytest

from mta.net.next_hop import NextHop, NextHopError
from mta.net.tls_security import TlsSecurity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mx.example", NextHop("mx.example")),
        (" mx.example\n", NextHop("mx.example")),
        ("MX.Example.", NextHop("mx.example")),
        ("mx.example:587", NextHop("mx.example", 587)),
        ("192.0.2.1", NextHop("192.0.2.1")),
        ("192.0.2.1:2525", NextHop("192.0.2.1", 2525)),
        ("[2001:db8::1]:2525", NextHop("2001:db8::1", 2525)),
        ("[2001:db8::1]", NextHop("2001:db8::1")),
        ("2001:db8::1", NextHop("2001:db8::1")),
        ("smtp://mx.example", NextHop("mx.example")),
        ("smtp://mx.example:587/", NextHop("mx.example", 587)),
        ("smtps://mx.example", NextHop("mx.example", 465, tls="required", implicit_tls=True)),
        ("smtps://[::1]:4465", NextHop("::1", 4465, tls="required", implicit_tls=True)),
        ("lmtp://mx.example", NextHop("mx.example", 24, using_lmtp=True)),
        ("lmtp://[::1]:2424", NextHop("::1", 2424, using_lmtp=True)),
        ("lmtp:///run/lmtp.sock", NextHop("", 24, using_lmtp=True, path="/run/lmtp.sock")),
        (
            "smtp://joe%40example:p%40ss%2Fword@mx.example:587",
            NextHop("mx.example", 587, auth_user="joe@example", auth_pass="p@ss/word"),
        ),
    ],
)
def test_parse(text: str, expected: NextHop) -> None:
    assert NextHop.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smtp://",
        "smtps:///run/smtps.sock",
        "http://mx.example",
        "mx.example:99999",
        "mx.example:0",
        "mx.example:port",
        "mx.example/path",
        "two words",
        "mx\r\nRSET.example",
        "[2001:db8::zz]",
        "smtp://mx.example?x=1",
        "smtps:///run/sock",
        "-mx.example",
    ],
)
def test_what_is_no_next_hop_is_refused(text: str) -> None:
    with pytest.raises(NextHopError):
        NextHop.parse(text)


def test_priority_and_tls_are_given() -> None:
    hop = NextHop.parse("mx.example", priority=10, tls="required")
    assert (hop.priority, hop.tls) == (10, "required")


@pytest.mark.parametrize(
    "text", ["smtp://u:s3cret@mx.example:587", "smtp://u:se:s3cret@two words", "u:s3cret@x:y"]
)
def test_the_password_is_never_shown(text: str) -> None:
    try:
        shown = repr(NextHop.parse(text)) + str(NextHop.parse(text))
    except NextHopError as error:
        shown = str(error) + repr(error.__context__)
    assert "s3cret" not in shown


def test_the_pool_key_leaves_out_the_priority_only() -> None:
    hop = NextHop("mx.example", priority=10)
    assert hop.pool_key == NextHop("mx.example", priority=20).pool_key
    for other in (
        NextHop("mx2.example"),
        NextHop("mx.example", 26),
        NextHop("mx.example", bind="127.0.0.1"),
        NextHop("mx.example", auth_user="joe"),
        NextHop("mx.example", auth_pass="x"),
        NextHop("mx.example", tls="required"),
        NextHop("mx.example", from_dns="mx"),
        NextHop("mx.example", using_lmtp=True),
        NextHop("mx.example", implicit_tls=True),
        NextHop("mx.example", security=TlsSecurity("pkix")),
    ):
        assert other.pool_key != hop.pool_key


def test_the_name_is_that_of_the_dns() -> None:
    assert NextHop("192.0.2.1", from_dns="mx.example").name == "mx.example"
    assert NextHop("192.0.2.1").name == "192.0.2.1"
    assert str(NextHop("2001:db8::1", 25)) == "[2001:db8::1]:25"
