"""Address lists: RFC 5322 appendix A, the obsolete forms, and what is really sent."""

import time

import pytest

from mta.message.addresses import Mailbox, parse
from mta.message.header import Header

M = Mailbox


@pytest.mark.parametrize(
    ("text", "mailboxes"),
    [
        ("", []),
        ("a@b.c", [M("a@b.c")]),
        ("John Doe <jdoe@machine.example>", [M("jdoe@machine.example", "John Doe")]),
        ('"Joe Q. Public" <john.q.public@example.com>', [M("john.q.public@example.com", "Joe Q. Public")]),
        (
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            [M("mary@x.test", "Mary Smith"), M("jdoe@example.org"), M("one@y.test", "Who?")],
        ),
        (
            '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [M("boss@nil.test"), M("sysservices@example.net", 'Giant; "Big" Box')],
        ),
        (
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>; x@y.z",
            [
                M("c@a.test", "Ed Jones", "", "A Group"),
                M("joe@where.test", "", "", "A Group"),
                M("jdoe@one.test", "John", "", "A Group"),
                M("x@y.z"),
            ],
        ),
        ("Undisclosed recipients:;", []),
        ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", []),
        (
            "Pete(A nice \\) chap) <pete(his account)@silly.test>",
            [M("pete@silly.test", "Pete", "A nice ) chap")],
        ),
        ("jdoe@test . example (John (the) Doe)", [M("jdoe@test.example", "", "John (the) Doe")]),
        ("john . doe @ example . com", [M("john.doe@example.com")]),
        ("<@node.test,@other.test:mary @ example.net>", [M("mary@example.net")]),
        ('"john doe"@example.com', [M('"john doe"@example.com')]),
        ('<"a>b,c"@example.com>', [M('"a>b,c"@example.com')]),
        ("a@[192.0.2.1], b@[IPv6:2001:db8::1]", [M("a@[192.0.2.1]"), M("b@[IPv6:2001:db8::1]")]),
        ("=?utf-8?Q?Doe=2C_J=C3=B6hn?= <j@x.test>", [M("j@x.test", "Doe, Jöhn")]),
        ('"=?utf-8?B?SsO2aG4=?=" <j@x.test> (=?utf-8?Q?=C3=BC?=)', [M("j@x.test", "Jöhn", "ü")]),
        ("a@b.c; d@e.f", [M("a@b.c"), M("d@e.f")]),
        (",,a@b.c,,", [M("a@b.c")]),
        ("no address here", []),
        ("Doe, John <j@x.test>", [M("j@x.test", "John")]),
        ("evil@a.test <good@b.test>", [M("good@b.test", "evil@a.test")]),
        ("<a@b.c", [M("a@b.c")]),
        ("<>, <postmaster>", [M("postmaster")]),
        ("müller@exämple.test", [M("müller@exämple.test")]),
        ('"open a@b.c', []),
        ("(open a@b.c", []),
    ],
)
def test_parse(text: str, mailboxes: list[Mailbox]) -> None:
    assert parse(text) == mailboxes


def test_mailbox() -> None:
    mailbox = Mailbox("Ann@Example.TEST", "", "Ann")
    assert (mailbox.user, mailbox.host, mailbox.name) == ("Ann", "example.test", "Ann")
    assert str(Mailbox("a@b", "Ann")) == "Ann <a@b>"
    assert str(mailbox) == "Ann@Example.TEST"


def test_header_gives_the_addresses_of_all_its_fields() -> None:
    header = Header(b"To: A <a@x.test>,\r\n b@x.test\r\nSubject: no@x.test\r\nto: c@x.test\r\n")
    assert [mailbox.address for mailbox in header.get_addresses("To")] == ["a@x.test", "b@x.test", "c@x.test"]
    assert header.get_addresses("Cc") == []


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        '"',
        "(",
        ")",
        "\\",
        '<"',
        "a,",
        "a@b.c, ",
        ":",
        ";",
        "@",
        ". ",
        "=?utf-8?Q?a?= ",
        "[",
        '\\"',
        '"a"@',
        '"@" ',
        "(\\",
    ],
)
def test_time_is_linear(piece: str) -> None:
    start = time.process_time()
    parse(piece * (300_000 // len(piece)))
    assert time.process_time() - start < 3
