"""The client's side of AUTH, against the examples of the RFCs."""

import base64

import pytest

from mta.smtp.sasl import choose, cram_md5, login, plain


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
