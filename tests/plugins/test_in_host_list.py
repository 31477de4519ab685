from __future__ import annotations

import time

import pytest

from mta.plugin import DENY, OK, Address
from mta.plugin.verdict import CONT
from tests.support.plugins import connection_from, loaded, with_mail

NAME = "rcpt_to.in_host_list"


def rcpt(runner, connection, address):
    return runner.run("rcpt", connection, Address.parse(address), {})


def mail(runner, connection):
    return runner.run("mail", connection, connection.transaction.mail_from, {})


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("bob@example.org", OK),
        ("bob@EXAMPLE.ORG", OK),
        ("bob@sub.example.org", CONT),
        ("bob@example.org.evil.example", CONT),
        ("bob@bücher.example", OK),
        ("bob@xn--bcher-kva.example", OK),
        ("bob@[192.0.2.1]", OK),
        ("bob@x1.test", OK),
        ("bob@X27.TEST", OK),
        ("bob@x1.test.evil.example", CONT),
        ("bob@ax1.test", CONT),
        ("bob@second.example", OK),
        ("postmaster", CONT),
    ],
)
def test_recipients(tmp_path, address, code):
    files = {
        "host_list": "; ours\nExample.org\nbücher.example\n[192.0.2.1]\n",
        "host_list_regex": "x\\d+\\.test\nfirst\\.example|second\\.example\n",
    }
    runner, _ = loaded(NAME, tmp_path, files)
    assert rcpt(runner, with_mail(connection_from()), address).code is code


def test_nothing_is_ours_by_default(tmp_path):
    runner, _ = loaded(NAME, tmp_path)
    assert rcpt(runner, with_mail(connection_from()), "bob@localhost").code is CONT


def test_a_broken_regex_costs_only_itself(tmp_path):
    runner, _ = loaded(NAME, tmp_path, {"host_list_regex": "x(\n(?i)good\\.example\n"})
    assert rcpt(runner, with_mail(connection_from()), "bob@good.example").code is OK


@pytest.mark.parametrize(
    ("relaying", "sender", "code"),
    [
        (True, "me@example.org", OK),
        (True, "me@elsewhere.example", CONT),
        (False, "me@example.org", CONT),
    ],
)
def test_our_own_people_may_send_anywhere(tmp_path, relaying, sender, code):
    runner, _ = loaded(NAME, tmp_path, {"host_list": "example.org"})
    connection = with_mail(connection_from(relaying=relaying), sender)
    assert mail(runner, connection).code is CONT
    assert rcpt(runner, connection, "friend@elsewhere.example").code is code


@pytest.mark.parametrize(
    ("setting", "relaying", "sender", "code"),
    [
        ("true", False, "me@example.org", DENY),
        ("true", False, "me@EXAMPLE.org", DENY),
        ("true", True, "me@example.org", CONT),
        ("true", False, "me@elsewhere.example", CONT),
        ("true", False, "<>", CONT),
        ("false", False, "me@example.org", CONT),
    ],
)
def test_anti_spoof(tmp_path, setting, relaying, sender, code):
    runner, _ = loaded(NAME, tmp_path, {"host_list": "example.org", "host_list.anti_spoof": setting})
    verdict = mail(runner, with_mail(connection_from(relaying=relaying), sender))
    assert verdict.code is code
    if code is DENY:
        assert verdict.message == "Mail from domain 'example.org' is not allowed from your host"


def test_what_was_found_is_noted(tmp_path):
    runner, _ = loaded(NAME, tmp_path, {"host_list": "example.org"})
    connection = with_mail(connection_from(), "me@example.org")
    mail(runner, connection)
    rcpt(runner, connection, "bob@example.org")
    rcpt(runner, connection, "bob@elsewhere.example")
    assert connection.transaction.notes.local_sender is True
    assert connection.transaction.results.get(NAME) == {
        "pass": ["mail_from", "rcpt_to"],
        "msg": ["rcpt!local"],
    }


def test_changes_are_followed(tmp_path):
    runner, _ = loaded(NAME, tmp_path, {"host_list": "example.org"})
    config = runner.chains["rcpt"][0].method.__self__.config
    config.watch()
    try:
        (tmp_path / "config" / "host_list").write_text("example.net\n")
        deadline = time.monotonic() + 5
        while rcpt(runner, with_mail(connection_from()), "bob@example.net").code is not OK:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert rcpt(runner, with_mail(connection_from()), "bob@example.org").code is CONT
    finally:
        config.close()
