"""Trace fields, as Haraka writes them."""

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from mta.message import trace
from mta.message.header import Header
from mta.message.trace import date_to_str, message_id, protocol, received_field, remote_info

VALUES = {
    "hello_host": "client.test",
    "remote_info": "host.test [192.0.2.1]",
    "me": "mx.test",
    "local_info": "Haraka/1.0",
    "protocol": "ESMTP",
    "uuid": "ABC.1",
    "mail_from": "<a@b>",
    "date": "Sun, 22 Nov 2026 01:21:39 +0000",
}


def test_received() -> None:
    assert received_field(**VALUES) == (
        "from client.test (host.test [192.0.2.1])\r\n"
        "\tby mx.test (Haraka/1.0) with ESMTP id ABC.1\r\n"
        "\tenvelope-from <a@b>;\r\n"
        "\tSun, 22 Nov 2026 01:21:39 +0000"
    )


def test_received_over_tls_and_authenticated() -> None:
    value = received_field(**VALUES, tls_cipher="TLS_AES_256_GCM_SHA384", auth="(authenticated bits=0)")
    assert value.split("\r\n\t")[2:] == [
        "envelope-from <a@b>",
        "tls TLS_AES_256_GCM_SHA384 (authenticated bits=0);",
        "Sun, 22 Nov 2026 01:21:39 +0000",
    ]


def test_received_is_written_as_it_is() -> None:
    header = Header()
    header.add_leading("Received", received_field(**VALUES))
    assert header.to_bytes() == f"Received: {received_field(**VALUES)}\r\n".encode()


@pytest.mark.parametrize(
    ("esmtp", "tls", "authenticated", "expected"),
    [
        (False, False, False, "SMTP"),
        (True, False, False, "ESMTP"),
        (True, True, False, "ESMTPS"),
        (True, False, True, "ESMTPA"),
        (True, True, True, "ESMTPSA"),
        (False, True, True, "SMTPSA"),
    ],
)
def test_protocol(esmtp: bool, tls: bool, authenticated: bool, expected: str) -> None:
    assert protocol(esmtp, tls, authenticated) == expected


def test_small_things() -> None:
    assert remote_info("a.test", "192.0.2.1") == "a.test [192.0.2.1]"
    assert remote_info(None, "192.0.2.1") == "[192.0.2.1]"
    assert message_id("ABC.1", "mx.test") == "<ABC.1@mx.test>"


@pytest.fixture(params=["UTC", "Asia/Kolkata", "America/St_Johns", "XXX-14", "XXX+03:30"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from mta.message import trace

    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    trace._date.cache_clear()
    yield request.param
    monkeypatch.undo()
    time.tzset()
    trace._date.cache_clear()


@pytest.mark.parametrize("timestamp", [0, 1795310499.9, 1751328000, 4102444800, -1.5])
def test_date(timestamp: float, zone: str) -> None:
    text = date_to_str(timestamp)
    assert parsedate_to_datetime(text).timestamp() == timestamp // 1


def test_date_is_that_of_haraka(monkeypatch: pytest.MonkeyPatch) -> None:
    from mta.message import trace

    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    trace._date.cache_clear()
    try:
        assert date_to_str(1795310499) == "Sat, 21 Nov 2026 21:51:39 -0330"
    finally:
        monkeypatch.undo()
        time.tzset()
        trace._date.cache_clear()


def test_authentication_results() -> None:
    assert trace.authentication_results("mx.example", []) == ""
    value = trace.authentication_results("mx.example", ["spf=pass smtp.mailfrom=a@b", "auth=pass (plain)"])
    assert value == "mx.example;\r\n\tspf=pass smtp.mailfrom=a@b;\r\n\tauth=pass (plain)"


def test_results_of_others_are_renamed_where_they_stand() -> None:
    header = Header(
        b"A: 1\r\nauthentication-results : mx.example;\r\n\tspf=pass\r\nB: 2\r\nAuthentication-Results: x\r\n"
    )
    trace.take_over_results(header)
    assert header.to_bytes() == (
        b"A: 1\r\nOriginal-Authentication-Results: mx.example;\r\n\tspf=pass\r\nB: 2\r\nOriginal-Authentication-Results: x\r\n"
    )
    assert header.count("Original-Authentication-Results") == 2 and not header.has("Authentication-Results")
