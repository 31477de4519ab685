"""MAIL and RCPT for peers with and without each extension."""

from __future__ import annotations

from typing import Any

import pytest

from mta.net.smtp_envelope import envelope, size_limit
from mta.smtp.address import NULL, Address

JOE, ANN = Address.parse("joe@here.test"), Address.parse("ann@there.test")
UMLAUT, DOMAIN = Address.parse("jürgen@dömäne.test"), Address.parse("post@dömäne.test")


def made(*keywords: str, mail_from: Address = JOE, rcpts: tuple[Address, ...] = (ANN,), **more: Any) -> Any:
    flags = {"eight_bit": False, "smtputf8": False, "require_tls": False, **more}
    offered = dict(keyword.partition(" ")[::2] for keyword in keywords)
    return envelope(mail_from, rcpts, offered, 26, **flags)


MAIL = {
    "RET": "HDRS",
    "ENVID": "QQ+2B1",
    "BY": "40;R",
    "MT-PRIORITY": "-3",
    "HOLDFOR": "60",
    "REQUIRETLS": None,
}


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ((), ""),
        (("DSN",), " RET=HDRS ENVID=QQ+2B1"),
        (("DELIVERBY",), " BY=40;R"),
        (("DELIVERBY 240",), " BY=40;R"),
        (("MT-PRIORITY STANAG4406",), " MT-PRIORITY=-3"),
        (("FUTURERELEASE 999 2030-01-01T00:00:00Z",), ""),
        (("DSN", "SIZE 1000", "MT-PRIORITY"), " SIZE=26 RET=HDRS ENVID=QQ+2B1 MT-PRIORITY=-3"),
    ],
)
def test_parameters_of_mail_go_to_who_offers_them(keywords: tuple[str, ...], expected: str) -> None:
    assert made(*keywords, mail_params=MAIL).mail == f"MAIL FROM:<joe@here.test>{expected}"


def test_the_null_sender_keeps_its_parameters() -> None:
    assert made("DSN", mail_from=NULL, mail_params={"ENVID": "x"}).mail == "MAIL FROM:<> ENVID=x"


RCPT = {"NOTIFY": "SUCCESS,DELAY", "ORCPT": "rfc822;ann+2Bx@old.test"}


def test_parameters_of_rcpt_go_to_who_offers_dsn() -> None:
    other = Address.parse("bob@there.test")
    found = made("DSN", rcpts=(ANN, other), rcpt_params={ANN: RCPT})
    assert list(found.rcpts.values()) == [
        "RCPT TO:<ann@there.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ann+2Bx@old.test",
        "RCPT TO:<bob@there.test>",
    ]
    assert made("SIZE", rcpt_params={ANN: RCPT}).rcpts == {ANN: "RCPT TO:<ann@there.test>"}


@pytest.mark.parametrize("value", ["a b", "x\r\nRSET", "", None, "a\tb", "\x7f", "a\u0085b", "\ud800"])
def test_what_is_no_value_is_left_out(value: str | None) -> None:
    found = made("DSN", mail_params={"ENVID": value}, rcpt_params={ANN: {"ORCPT": value}})
    assert (found.mail, found.rcpts[ANN]) == ("MAIL FROM:<joe@here.test>", "RCPT TO:<ann@there.test>")


def test_a_utf8_orcpt_is_ascii_where_the_command_is() -> None:
    params = {ANN: {"ORCPT": "utf-8;jürgen@x.test"}}
    assert made("DSN", "SMTPUTF8", rcpt_params=params).rcpts[ANN].endswith(r" ORCPT=utf-8;j\x{FC}rgen@x.test")
    both = made("DSN", "SMTPUTF8", rcpts=(ANN, UMLAUT), rcpt_params=params)
    assert both.rcpts[ANN].endswith(" ORCPT=utf-8;jürgen@x.test")


@pytest.mark.parametrize(
    ("keywords", "flags", "expected"),
    [
        (("SIZE",), {}, " SIZE=26"),
        (("8BITMIME",), {}, ""),
        (("8BITMIME",), {"eight_bit": True}, " BODY=8BITMIME"),
        ((), {"eight_bit": True}, ""),
        (("8BITMIME", "SMTPUTF8"), {"smtputf8": True}, " BODY=8BITMIME SMTPUTF8"),
        (("REQUIRETLS",), {"require_tls": True}, " REQUIRETLS"),
        (("BINARYMIME", "CHUNKING", "8BITMIME"), {"eight_bit": True}, " BODY=8BITMIME"),
    ],
)
def test_what_we_say_ourselves(keywords: tuple[str, ...], flags: dict[str, bool], expected: str) -> None:
    assert made(*keywords, **flags).mail == f"MAIL FROM:<joe@here.test>{expected}"


@pytest.mark.parametrize(
    ("mail_from", "smtputf8", "refused", "said"),
    [
        (JOE, False, [UMLAUT], [ANN, DOMAIN]),
        (DOMAIN, False, [UMLAUT], [ANN, DOMAIN]),
        (UMLAUT, False, [UMLAUT, ANN, DOMAIN], []),
        (JOE, True, [UMLAUT, ANN, DOMAIN], []),
    ],
)
def test_without_smtputf8(
    mail_from: Address, smtputf8: bool, refused: list[Address], said: list[Address]
) -> None:
    found = made("8BITMIME", mail_from=mail_from, rcpts=(UMLAUT, ANN, DOMAIN), smtputf8=smtputf8)
    assert (list(found.refused), list(found.rcpts)) == (refused, said)
    assert {str(reply)[:9] for reply in found.refused.values()} == {"550 5.6.7"}
    assert "SMTPUTF8" not in found.mail
    assert not said or "".join((found.mail, *found.rcpts.values())).isascii()


@pytest.mark.parametrize(
    ("mail_from", "rcpts", "says"),
    [(JOE, (ANN, DOMAIN), False), (UMLAUT, (ANN,), True), (JOE, (ANN, UMLAUT), True)],
)
def test_smtputf8_is_said_only_when_it_is_needed(
    mail_from: Address, rcpts: tuple[Address, ...], says: bool
) -> None:
    found = made("SMTPUTF8", mail_from=mail_from, rcpts=rcpts)
    assert (" SMTPUTF8" in found.mail, found.refused) == (says, {})


@pytest.mark.parametrize(
    ("size", "expected"),
    [("1000", 1000), ("0", 0), ("", 0), ("many", 0), ("-5", 0), ("7 x", 7), ("9" * 30, 0)],
)
def test_size_limit(size: str, expected: int) -> None:
    assert size_limit({"SIZE": size}) == expected
    assert size_limit({}) == 0
