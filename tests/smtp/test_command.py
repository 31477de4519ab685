"""Command lines, and the arguments and parameters of MAIL and RCPT."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.smtp.address import NULL, Address
from mta.smtp.command import parse_command, parse_mail, parse_rcpt
from mta.smtp.parameters import check_mail_params
from mta.smtp.reply import ProtocolError

A = Address("a", "b.c")


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ProtocolError) as caught:
        call()
    return str(caught.value.reply)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"NOOP", ("NOOP", "")),
        (b"noop", ("NOOP", "")),
        (b"", ("", "")),
        (b"  NOOP", ("", "NOOP")),
        (b"EHLO  me ", ("EHLO", "me")),
        (b"MAIL FROM:<a@b> SIZE=1", ("MAIL", "FROM:<a@b> SIZE=1")),
        (b"DATA ", ("DATA", "")),
        (b"RCPT\tTO:<a@b>", ("RCPT\tTO:<A@B>", "")),
        ("EHLO müller.de".encode(), ("EHLO", "müller.de")),
        ("ma\u0131l FROM:<a@b>".encode(), ("ma\u0131l", "FROM:<a@b>")),  # its upper case would be MAIL
    ],
)
def test_command(line: bytes, expected: tuple[str, str]) -> None:
    assert parse_command(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"NOOP \xff", "501 5.5.2 Syntax error (8-bit characters not allowed)"),
        (b"\x16\x03\x01\x02\xfc", "501 5.5.2 Syntax error (8-bit characters not allowed)"),
        (b"NOOP \0", "500 5.5.2 Syntax error (control characters not allowed)"),
        (b"NOOP\r\nQUIT", "500 5.5.2 Syntax error (control characters not allowed)"),
        (b"NOOP\rQUIT", "500 5.5.2 Syntax error (control characters not allowed)"),
    ],
)
def test_command_refused(line: bytes, expected: str) -> None:
    assert refusal(lambda: parse_command(line)) == expected


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<a@b.c>", (A, {})),
        ("from:<a@b.c>", (A, {})),
        ("FROM:<>", (NULL, {})),
        ("FROM:<a@b.c> SIZE=1000", (A, {"SIZE": "1000"})),
        (
            "FROM:<a@b.c>  size=1000  Body=8BITMIME SMTPUTF8",
            (A, {"SIZE": "1000", "BODY": "8BITMIME", "SMTPUTF8": None}),
        ),
        ('FROM:<"a> SIZE=1"@b.c> SIZE=2', (Address("a> SIZE=1", "b.c"), {"SIZE": "2"})),
        ("FROM:<a@b.c> AUTH=<>", (A, {"AUTH": "<>"})),
    ],
)
def test_mail(argument: str, expected: object, strict: bool) -> None:
    assert parse_mail(argument, strict) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM: <a@b.c>", (A, {})),
        ("FROM: a@b.c", (A, {})),
        ("FROM:a@b.c", (A, {})),
        ("FROM:a@b.c SIZE=5", (A, {"SIZE": "5"})),
        ("FROM:", (NULL, {})),
        ("", (NULL, {})),
    ],
)
def test_mail_lenient(argument: str, expected: object) -> None:
    assert parse_mail(argument) == expected
    assert refusal(lambda: parse_mail(argument, strict=True)).startswith(
        "501 5.5.4 Command parsing failed Error: "
    )


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("<a@b.c>", "501 5.5.4 Command parsing failed Error: Syntax is MAIL FROM:<address>"),
        ("FROM <a@b.c>", "501 5.5.4 Command parsing failed Error: Syntax is MAIL FROM:<address>"),
        ("TO:<a@b.c>", "501 5.5.4 Command parsing failed Error: Syntax is MAIL FROM:<address>"),
        ("FROM:<a>", "501 5.1.7 Invalid MAIL FROM address"),
        ("FROM:<a@b_c>", "501 5.1.7 Invalid MAIL FROM address"),
        ("FROM:<a@b.c", "501 5.1.7 Invalid MAIL FROM address"),
        ("FROM:<postmaster>", "501 5.1.7 Invalid MAIL FROM address"),
        ("FROM:a b", "501 5.1.7 Invalid MAIL FROM address"),
        ("FROM:<a@b.c>SIZE=1", "501 5.5.4 Command parsing failed Error: Syntax error in parameters"),
        ("FROM:<a@b.c>>", "501 5.5.4 Command parsing failed Error: Syntax error in parameters"),
        ("FROM:<a@b.c> SIZE=", "501 5.5.4 Command parsing failed Error: Syntax error in parameters (SIZE=)"),
        ("FROM:<a@b.c> =1", "501 5.5.4 Command parsing failed Error: Syntax error in parameters (=1)"),
        ("FROM:<a@b.c> A=1=2", "501 5.5.4 Command parsing failed Error: Syntax error in parameters (A=1=2)"),
        ("FROM:<a@b.c> -A", "501 5.5.4 Command parsing failed Error: Syntax error in parameters (-A)"),
        ("FROM:<a@b.c> SIZE=1 size=2", "501 5.5.4 Command parsing failed Error: Repeated parameter SIZE"),
    ],
)
def test_mail_refused(argument: str, expected: str) -> None:
    assert refusal(lambda: parse_mail(argument)) == expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("TO:<a@b.c>", (A, {})),
        ("to: <a@b.c>", (A, {})),
        ("TO:a@b.c", (A, {})),
        ("TO:<postmaster>", (Address("postmaster", ""), {})),
        ("TO:<POSTMASTER>", (Address("postmaster", ""), {})),
        ("TO:<a@b.c> NOTIFY=NEVER", (A, {"NOTIFY": "NEVER"})),
    ],
)
def test_rcpt(argument: str, expected: object) -> None:
    assert parse_rcpt(argument) == expected


@pytest.mark.parametrize(
    ("argument", "strict", "expected"),
    [
        ("", False, "501 5.5.4 Command parsing failed Error: Syntax is RCPT TO:<address>"),
        ("FROM:<a@b.c>", False, "501 5.5.4 Command parsing failed Error: Syntax is RCPT TO:<address>"),
        ("TO:", False, "501 5.5.4 Command parsing failed Error: Syntax error in address:"),
        ("TO:<>", False, "501 5.5.4 Command parsing failed Error: Syntax error in address: <>"),
        ("TO:<joe>", False, "501 5.5.4 Command parsing failed Error: Syntax error in address: <joe>"),
        ("TO:<> X=@", False, "501 5.1.3 Invalid RCPT TO address"),
        ("TO:<a@b..c>", False, "501 5.1.3 Invalid RCPT TO address"),
        ("TO: <a@b.c>", True, "501 5.5.4 Command parsing failed Error: Invalid format of address:  <a@b.c>"),
        ("TO:a@b.c", True, "501 5.5.4 Command parsing failed Error: Invalid format of address: a@b.c"),
        ("TO:<a@b.c>x", False, "501 5.5.4 Command parsing failed Error: Syntax error in parameters"),
    ],
)
def test_rcpt_refused(argument: str, strict: bool, expected: str) -> None:
    assert refusal(lambda: parse_rcpt(argument, strict)) == expected


ESMTP = frozenset({"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE"})


@settings(deadline=None)
@given(
    st.binary(max_size=40),
    st.sampled_from([b"", b"MAIL FROM:", b"RCPT TO:<", b"MAIL FROM:<a@b.c> "]),
    st.booleans(),
)
def test_any_line_is_understood_or_refused(tail: bytes, start: bytes, strict: bool) -> None:
    try:
        verb, argument = parse_command(start + tail)
        parse = parse_mail if verb == "MAIL" else parse_rcpt
        address, params = parse(argument, strict)
        check_mail_params(params, ESMTP, 1000)
    except ProtocolError as error:
        assert error.reply.kind == 5
    else:
        assert address.is_null or "@" in address.address or address.user == "postmaster"
