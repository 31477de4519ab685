"""The server's side of AUTH, against the examples of the RFCs and against what is not in them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.smtp import sasl
from mta.smtp.reply import ProtocolError
from mta.smtp.sasl_server import (
    BadResponse,
    Claim,
    CramClaim,
    CramMd5,
    Login,
    Mechanism,
    PasswordClaim,
    Plain,
    decode_initial,
    decode_response,
    encode_challenge,
    parse_auth,
)


def test_plain() -> None:  # RFC 4616 4
    assert Plain().step(b"\0tim\0tanstaaftanstaaf") == PasswordClaim("tim", password="tanstaaftanstaaf")
    assert Plain().step(b"Kurt\0Kurt\0xipj3plmq") == PasswordClaim("Kurt", password="xipj3plmq")
    plain = Plain()
    assert plain.step(None) == b""
    assert plain.step("\0ü\0ß".encode()) == PasswordClaim("ü", password="ß")


@pytest.mark.parametrize(
    "response",
    [b"", b"user", b"\0user", b"Ursel\0Kurt\0xipj3plmq", b"\0a\0b\0c", b"\0\xff\0b"],
    ids=["empty", "one part", "two parts", "on behalf of another", "four parts", "not UTF-8"],
)
def test_plain_that_is_malformed(response: bytes) -> None:
    with pytest.raises(BadResponse) as caught:
        Plain().step(response)
    assert caught.value.reply.code == 501


def test_login() -> None:
    login = Login()
    assert [login.step(None), login.step(b"user")] == [b"Username:", b"Password:"]
    assert login.step(b"pass") == PasswordClaim("user", password="pass")


def test_login_with_the_user_in_the_command() -> None:
    login = Login()
    assert login.step(b"user") == b"Password:"
    assert login.step(b"") == PasswordClaim("user", password="")


@pytest.mark.parametrize("response", [b"\xff", b"a\0b"])
def test_login_that_is_malformed(response: bytes) -> None:
    with pytest.raises(BadResponse):
        Login().step(response)


def test_cram_md5() -> None:  # RFC 2195 2
    cram = CramMd5("postoffice.reston.mci.net")
    cram.ticket = b"<1896.697170952@postoffice.reston.mci.net>"
    assert cram.step(None) == cram.ticket
    claim = cram.step(b"tim b913a602c7eda7a495b4e6e7334d3890")
    assert isinstance(claim, CramClaim) and claim.user == "tim"
    assert claim.proves("tanstaaftanstaaf") and not claim.proves("tanstaaftanstaaF")


def test_cram_md5_with_our_own_client() -> None:
    cram = CramMd5("mx.example")
    ticket = cram.step(None)
    assert isinstance(ticket, bytes) and re.fullmatch(rb"<[0-9a-f.]+@mx\.example>", ticket)
    answer = sasl.cram_md5("a user", "pässword", encode_challenge(ticket))
    claim = cram.step(decode_response(answer))
    assert isinstance(claim, CramClaim) and claim.user == "a user" and claim.proves("pässword")


def test_cram_md5_takes_no_initial_response() -> None:
    with pytest.raises(BadResponse) as caught:
        CramMd5("mx").step(b"tim b913a602c7eda7a495b4e6e7334d3890")
    assert str(caught.value.reply).startswith("501 5.5.4")


def test_no_two_tickets_are_the_same() -> None:
    assert len({CramMd5("mx").ticket for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "response", [b"", b"tim", b"tim xyz", b" ", b"tim " + b"0" * 33, b"\xff " + b"0" * 32]
)
def test_cram_md5_that_is_malformed(response: bytes) -> None:
    cram = CramMd5("mx")
    cram.step(None)
    with pytest.raises(BadResponse):
        cram.step(response)


def test_a_password_shows_in_no_repr() -> None:
    assert "secret" not in repr(PasswordClaim("user", password="secret"))
    assert Claim("user").proven is False


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("PLAIN", ("PLAIN", None)),
        ("plain", ("PLAIN", None)),
        ("  Cram-MD5  ", ("CRAM-MD5", None)),
        ("PLAIN =", ("PLAIN", b"")),
        ("PLAIN AHQAdA==", ("PLAIN", b"\0t\0t")),
        ("XOAUTH2 dA==", ("XOAUTH2", b"t")),
    ],
)
def test_the_argument_of_auth(argument: str, expected: tuple[str, bytes | None]) -> None:
    assert parse_auth(argument) == expected


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", "501 5.5.4"),
        ("PLAIN dA== dA==", "501 5.5.4"),
        ("PL@IN", "504 5.5.4"),
        ("A" * 21, "504 5.5.4"),
        ("PLAIN dA=", "501 5.5.2"),
        ("PLAIN d!A=", "501 5.5.2"),
        ("PLAIN *", "501 5.7.0"),
        ("PLAIN ==", "501 5.5.2"),
        ("PLAIN ü", "501 5.5.2"),
    ],
)
def test_an_argument_that_is_wrong(argument: str, reply: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_auth(argument)
    assert str(caught.value.reply).startswith(reply)


@pytest.mark.parametrize(
    ("line", "reply"),
    [("*", "501 5.7.0"), ("=", "501 5.5.2"), ("\udcff", "501 5.5.2"), (" dA==", "501 5.5.2")],
)
def test_a_response_that_is_wrong(line: str, reply: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_response(line)
    assert str(caught.value.reply).startswith(reply)


def test_an_empty_response() -> None:
    assert decode_response("") == b"" and decode_initial("=") == b""
    assert base64.b64decode(encode_challenge(b"Username:")) == b"Username:"
    assert (
        encode_challenge(b"Username:") == "VXNlcm5hbWU6" and encode_challenge(b"Password:") == "UGFzc3dvcmQ6"
    )


@given(
    st.sampled_from([Plain, Login, lambda: CramMd5("mx")]),
    st.lists(st.none() | st.binary(max_size=40), max_size=3),
)
def test_any_bytes_are_a_claim_or_refused(
    make: Callable[[], Mechanism], responses: list[bytes | None]
) -> None:
    mechanism = make()
    for response in responses:
        try:
            assert isinstance(mechanism.step(response), bytes | Claim)
        except BadResponse:
            return


@given(st.text(max_size=40))
def test_any_argument_is_read_or_refused(argument: str) -> None:
    try:
        name, response = parse_auth(argument)
    except ProtocolError as error:
        assert error.reply.code in (501, 504)
    else:
        assert name == name.upper() and (response is None or isinstance(response, bytes))
