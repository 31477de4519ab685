"""The client's side of AUTH, against the examples of the RFCs."""

import base64

import pytest

from mta.smtp.sasl import BEARER, bearer_error, choose, cram_md5, login, oauthbearer, plain, xoauth2


def test_plain() -> None:
    assert plain("tim", "tanstaaftanstaaf") == "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"  # RFC 4616 4, in base64
    assert base64.b64decode(plain("Kurt", "xipj3plmq", "Ursel")) == b"Ursel\0Kurt\0xipj3plmq"
    assert base64.b64decode(plain("ü", "ß")) == "\0ü\0ß".encode()


def test_plain_refuses_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        plain("a\0b", "c")


def test_login() -> None:
    assert login("user", "pass") == ("dXNlcg==", "cGFzcw==")


def test_cram_md5() -> None:  # RFC 2195 2
    challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
    assert (
        cram_md5("tim", "tanstaaftanstaaf", challenge) == "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
    )


@pytest.mark.parametrize("challenge", ["=", "a", "not base64!"])
def test_cram_md5_broken_challenge(challenge: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        cram_md5("u", "p", challenge)


@pytest.mark.parametrize(
    ("offered", "wanted", "expected"),
    [
        (["LOGIN", "PLAIN", "CRAM-MD5"], None, "CRAM-MD5"),
        (["login", "plain"], None, "PLAIN"),
        (["LOGIN"], None, "LOGIN"),
        (["XOAUTH2"], None, None),
        ([], None, None),
        (["LOGIN", "PLAIN"], "login", "LOGIN"),
        (["PLAIN"], "CRAM-MD5", None),
        (["XOAUTH2"], "XOAUTH2", None),
    ],
)
def test_choose(offered: list[str], wanted: str | None, expected: str | None) -> None:
    assert choose(offered, wanted) == expected


def test_a_token_takes_other_mechanisms() -> None:
    assert choose(["PLAIN", "xoauth2", "OAUTHBEARER"], None, BEARER) == "OAUTHBEARER"
    assert choose(["PLAIN", "xoauth2"], None, BEARER) == "XOAUTH2"
    assert choose(["PLAIN", "xoauth2"], "plain", BEARER) is None


def test_xoauth2() -> None:  # the example of Google's documentation
    assert xoauth2("someuser@example.com", "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg") == (
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


def test_oauthbearer() -> None:  # RFC 7628 4.1
    token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    assert oauthbearer("user@example.com", token, "server.example.com", 143) == (
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    assert b"n,a=a=3Db=2Cc," in base64.b64decode(oauthbearer("a=b,c", "t", "h", 25))


@pytest.mark.parametrize("user", ["a\x01b", "a\r\n", "a\0"])
def test_a_control_character_does_not_get_into_a_bearer_response(user: str) -> None:
    for make in (lambda: xoauth2(user, "t"), lambda: oauthbearer(user, "t", "h", 25)):
        with pytest.raises(ValueError, match="control character"):
            make()


@pytest.mark.parametrize(
    ("challenge", "expected"),
    [
        (b'{"status":"invalid_token","scope":"x"}', "invalid_token"),
        (b'{"status":"401"}', "401"),
        (b'{"status":401}', ""),
        (b'{"status":"a\\r\\nb"}', ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b"", ""),
    ],
)
def test_why_a_token_was_refused(challenge: bytes, expected: str) -> None:
    assert bearer_error(base64.b64encode(challenge).decode()) == expected
    assert bearer_error("%") == ""
