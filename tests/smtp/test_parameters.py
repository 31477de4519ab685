"""Parameters of MAIL and RCPT: who may say them, and what values they may have."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.smtp.parameters import (
    check_mail_params,
    check_rcpt_params,
    decode_xtext,
    encode_xtext,
    format_date_time,
    parse_date_time,
    release_time,
)
from mta.smtp.reply import ProtocolError

ALL = frozenset(
    [
        "PIPELINING",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
        "SIZE",
        "SMTPUTF8",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "REQUIRETLS",
        "DELIVERBY",
        "FUTURERELEASE",
        "MT-PRIORITY",
        "LIMITS",
        "ETRN",
        "VRFY",
        "HELP",
        "AUTH",
    ]
)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(ProtocolError) as caught:
        call()
    return str(caught.value.reply)


ESMTP = frozenset({"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE"})


@pytest.mark.parametrize(
    ("params", "extensions", "expected"),
    [
        ({}, frozenset(), None),
        ({"SIZE": "1000", "BODY": "8BITMIME", "SMTPUTF8": None}, ESMTP, None),
        ({"BODY": "7bit"}, ESMTP, None),
        ({"SIZE": "0"}, ESMTP, None),
        ({"SIZE": "1001"}, ESMTP, "552 5.3.4 Message too big!"),
        ({"SIZE": "99999999999999999999"}, ESMTP, "552 5.3.4 Message too big!"),
        ({"SIZE": "999999999999999999999"}, ESMTP, "501 5.5.4 Invalid value of parameter SIZE"),
        ({"SIZE": None}, ESMTP, "501 5.5.4 Invalid value of parameter SIZE"),
        ({"SIZE": "-1"}, ESMTP, "501 5.5.4 Invalid value of parameter SIZE"),
        ({"SIZE": "1k"}, ESMTP, "501 5.5.4 Invalid value of parameter SIZE"),
        ({"SIZE": "\u0661"}, ESMTP, "501 5.5.4 Invalid value of parameter SIZE"),
        ({"BODY": None}, ESMTP, "501 5.5.4 Invalid value of parameter BODY"),
        ({"BODY": "9BIT"}, ESMTP, "501 5.5.4 Invalid value of parameter BODY"),
        ({"BODY": "BINARYMIME"}, ESMTP, "501 5.5.4 Invalid value of parameter BODY"),
        ({"BODY": "BINARYMIME"}, ESMTP | {"BINARYMIME"}, None),
        ({"SMTPUTF8": "yes"}, ESMTP, "501 5.5.4 Invalid value of parameter SMTPUTF8"),
        ({"FOO": "1"}, ESMTP, "555 5.5.4 Unsupported MAIL parameter FOO"),
        ({"RET": "FULL"}, ESMTP, "555 5.5.4 Unsupported MAIL parameter RET"),
        ({"RET": "FULL"}, ESMTP | {"DSN"}, None),
        ({"REQUIRETLS": None}, ESMTP | {"REQUIRETLS"}, None),
        ({"SMTPUTF8": None}, frozenset({"SIZE"}), "555 5.5.4 Unsupported MAIL parameter SMTPUTF8"),
        ({"SIZE": "1"}, frozenset(), "555 5.5.4 Invalid command parameters"),
    ],
)
def test_mail_params(params: dict[str, str | None], extensions: frozenset[str], expected: str | None) -> None:
    if expected is None:
        check_mail_params(params, extensions, 1000)
    else:
        assert refusal(lambda: check_mail_params(params, extensions, 1000)) == expected


def test_no_size_limit() -> None:
    check_mail_params({"SIZE": "99999999999999999999"}, ESMTP, 0)


@pytest.mark.parametrize(
    ("params", "extensions", "expected"),
    [
        ({}, frozenset(), None),
        ({"NOTIFY": "NEVER"}, ESMTP | {"DSN"}, None),
        ({"NOTIFY": "NEVER"}, ESMTP, "555 5.5.4 Unsupported RCPT parameter NOTIFY"),
        ({"SIZE": "1"}, ESMTP, "555 5.5.4 Unsupported RCPT parameter SIZE"),
        ({"NOTIFY": "NEVER"}, frozenset(), "555 5.5.4 Invalid command parameters"),
    ],
)
def test_rcpt_params(params: dict[str, str | None], extensions: frozenset[str], expected: str | None) -> None:
    if expected is None:
        check_rcpt_params(params, extensions)
    else:
        assert refusal(lambda: check_rcpt_params(params, extensions)) == expected


GOOD_MAIL = [
    "RET=FULL", "ret=hdrs", "ENVID=QQ314159", "ENVID=a+2Bb+3Dc", f"ENVID={'x' * 100}",
    "REQUIRETLS", "BY=120;R", "BY=+1;r", "BY=0;N", "BY=-30;NT", "BY=999999999;RT",
    "MT-PRIORITY=0", "MT-PRIORITY=9", "MT-PRIORITY=-9",
    "HOLDFOR=60", "HOLDUNTIL=2030-01-01T00:00:00Z", "HOLDUNTIL=2030-01-01T00:00:00.25+02:00",
    "AUTH=<>", "AUTH=e+3Dmc2@example.com", "BODY=BINARYMIME", "SMTPUTF8",
]  # fmt: skip
BAD_MAIL = [
    "RET", "RET=ALL", "ENVID", "ENVID=a+2bb", "ENVID=a+b", "ENVID=+C3+A4", "ENVID=+0D+0A", "ENVID=\u00e4", f"ENVID={'x' * 101}",
    "REQUIRETLS=yes", "BY", "BY=120", "BY=120;X", "BY=0;R", "BY=-5;R", "BY=1234567890;N", "BY=;N", "BY=1;NTT",
    "MT-PRIORITY", "MT-PRIORITY=10", "MT-PRIORITY=+1", "MT-PRIORITY=-0", "MT-PRIORITY=x",
    "HOLDFOR", "HOLDFOR=1234567890", "HOLDFOR=-1", "HOLDFOR=\u0661", "HOLDUNTIL", "HOLDUNTIL=tomorrow",
    "HOLDUNTIL=2030-13-01T00:00:00Z", "HOLDUNTIL=2030-01-01", "HOLDUNTIL=2030-01-01T00:00:00+24:00",
    "AUTH", "AUTH=<a@b>x\u00e4", "SMTPUTF8=1",
]  # fmt: skip
GOOD_RCPT = [
    "NOTIFY=NEVER", "notify=success,failure,DELAY", "NOTIFY=DELAY",
    "ORCPT=rfc822;joe@example.com", "ORCPT=x400;a+3Db+2Bc", f"ORCPT=rfc822;{'x' * 493}",
    r"ORCPT=utf-8;m\x{FC}ller@example.com", "ORCPT=UTF-8;m\u00fcller@example.com",
]  # fmt: skip
BAD_RCPT = [
    "NOTIFY", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,NEVER", "NOTIFY=SOON", "NOTIFY=DELAY,,FAILURE", "NOTIFY=DELAY,DELAY",
    "ORCPT", "ORCPT=joe@example.com", "ORCPT=rfc822;", "ORCPT=;joe", "ORCPT=rfc822;a+0Ab", "ORCPT=rfc822;a+bb",
    "ORCPT=rfc822;m\u00fcller@example.com", r"ORCPT=utf-8;m\x{fc}", r"ORCPT=utf-8;a\b", f"ORCPT=rfc822;{'x' * 494}",
]  # fmt: skip


def split(text: str) -> dict[str, str | None]:
    key, equals, value = text.partition("=")
    return {key.upper(): value if equals else None}


@pytest.mark.parametrize("text", GOOD_MAIL)
def test_good_values_of_mail(text: str) -> None:
    check_mail_params(split(text), ALL, 0)


@pytest.mark.parametrize("text", BAD_MAIL)
def test_bad_values_of_mail(text: str) -> None:
    key = next(iter(split(text)))
    assert (
        refusal(lambda: check_mail_params(split(text), ALL, 0))
        == f"501 5.5.4 Invalid value of parameter {key}"
    )


@pytest.mark.parametrize("text", GOOD_RCPT)
def test_good_values_of_rcpt(text: str) -> None:
    check_rcpt_params(split(text), ALL)


@pytest.mark.parametrize("text", BAD_RCPT)
def test_bad_values_of_rcpt(text: str) -> None:
    key = next(iter(split(text)))
    assert (
        refusal(lambda: check_rcpt_params(split(text), ALL)) == f"501 5.5.4 Invalid value of parameter {key}"
    )


@pytest.mark.parametrize("text", GOOD_MAIL)
def test_what_is_not_offered_is_not_known(text: str) -> None:
    (key,) = split(text)
    offered = ALL - {
        "BINARYMIME"
        if text == "BODY=BINARYMIME"
        else {"RET": "DSN", "ENVID": "DSN", "BY": "DELIVERBY"}.get(key, key)
    }
    offered -= {"FUTURERELEASE"} if key.startswith("HOLD") else set()
    said = refusal(lambda: check_mail_params(split(text), offered, 0))
    assert said.startswith("501" if key == "BODY" else f"555 5.5.4 Unsupported MAIL parameter {key}")


@pytest.mark.parametrize("text", GOOD_RCPT)
def test_dsn_of_recipients_is_not_known_without_dsn(text: str) -> None:
    (key,) = split(text)
    said = refusal(lambda: check_rcpt_params(split(text), ALL - {"DSN"}))
    assert said == f"555 5.5.4 Unsupported RCPT parameter {key}"


@pytest.mark.parametrize("keyword", sorted(ALL - {"SIZE", "SMTPUTF8", "REQUIRETLS", "MT-PRIORITY", "AUTH"}))
def test_an_extension_is_not_a_parameter(keyword: str) -> None:
    said = refusal(lambda: check_mail_params({keyword: None}, ALL, 0))
    assert said == f"555 5.5.4 Unsupported MAIL parameter {keyword}"


def test_a_plugin_may_offer_a_parameter() -> None:
    check_mail_params({"XTRACE": "on"}, ALL | {"XTRACE"}, 0)


def test_utf8_orcpt_needs_smtputf8() -> None:
    said = refusal(lambda: check_rcpt_params({"ORCPT": "utf-8;\u00fc@x"}, ALL - {"SMTPUTF8"}))
    assert said == "501 5.5.4 Invalid value of parameter ORCPT"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, None),
        ({"HOLDFOR": "60"}, 1060.0),
        ({"HOLDFOR": "0"}, None),
        ({"HOLDUNTIL": "1970-01-01T00:30:00Z"}, 1800.0),
        ({"HOLDUNTIL": "1970-01-01T01:30:00+01:00"}, 1800.0),
        ({"HOLDUNTIL": "1970-01-01T00:00:00Z"}, None),  # has passed
    ],
)
def test_release_time(params: dict[str, str | None], expected: float | None) -> None:
    assert release_time(params, 1000.0, 3600) == expected


@pytest.mark.parametrize("params", [{"HOLDFOR": "3601"}, {"HOLDUNTIL": "1970-01-01T02:00:00Z"}])
def test_too_far_ahead(params: dict[str, str | None]) -> None:
    said = refusal(lambda: release_time(params, 1000.0, 3600))
    assert said == "501 5.5.4 A mail can be held for 3600 seconds at most"


def test_one_way_to_hold_is_enough() -> None:
    params = {"HOLDFOR": "1", "HOLDUNTIL": "2030-01-01T00:00:00Z"}
    said = refusal(lambda: check_mail_params(params, ALL, 0))
    assert said == "501 5.5.4 HOLDFOR and HOLDUNTIL exclude each other"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-22T09:00:00Z", 1795338000),
        ("2026-11-22t04:00:00-05:00", 1795338000),
        ("2016-12-31T23:59:60Z", 1483228800),
    ],
)
def test_date_time(text: str, expected: float) -> None:
    assert parse_date_time(text) == expected
    assert parse_date_time(format_date_time(expected)) == expected


@given(st.text(st.characters(max_codepoint=127)))
def test_xtext_there_and_back(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text


@given(
    st.sampled_from(["RET", "ENVID", "BY", "MT-PRIORITY", "HOLDFOR", "HOLDUNTIL", "AUTH", "BODY"]), st.text()
)
def test_any_value_is_understood_or_refused(key: str, value: str) -> None:
    try:
        check_mail_params({key: value}, ALL, 0)
        check_rcpt_params({"ORCPT": value, "NOTIFY": value}, ALL)
    except ProtocolError as error:
        assert error.reply.code == 501
