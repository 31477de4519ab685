"""logging/apache: one line for each transaction, whatever became of it."""

from __future__ import annotations

import re

import pytest

from mta.plugin import DENY, DENYSOFT, PluginError
from tests.support.logged import Logged
from tests.support.service import Denier

CLOCK = r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
SHORT = "format=%h %s %B %r\n"


def access(tmp_path, ini="", *extra):
    return Logged(tmp_path, ["logging/apache"], {"logging_apache.ini": ini}, *extra, level=3)


def lines(tmp_path, name="log/access.log"):
    return (tmp_path / name).read_text().splitlines()


def test_a_line_in_the_usual_form(tmp_path):
    with access(tmp_path) as logged:
        logged.session("bob@example.com")
        assert logged.idle()
    (line,) = lines(tmp_path)
    request = "MAIL FROM:<a@example.org> RCPT TO:<bob@example.com> ESMTP"
    assert re.fullmatch(
        rf'\S+ - - {CLOCK} "{request}" 250 \d+ "client\.test" "[0-9A-F-]{{36}}\.1"',
        line,
    )
    assert logged.lines == []


def test_what_was_refused_says_with_which_code(tmp_path):
    extra = [Denier("data_post", DENYSOFT)]
    with access(tmp_path, SHORT, *extra) as logged:
        logged.session("bob@example.com")
        assert logged.idle()
    assert re.fullmatch(r"\S+ 450 \d+ MAIL FROM:.*", lines(tmp_path)[0])


def test_what_nobody_took_says_so(tmp_path):
    with access(tmp_path, SHORT) as logged:
        logged.session("bob@elsewhere.example")
        assert logged.idle()
    (line,) = lines(tmp_path)
    assert re.match(r"\S+ 5\d\d 0 MAIL FROM:<a@example\.org> RCPT TO: ESMTP", line)


def test_a_sender_that_was_refused(tmp_path):
    with access(tmp_path, SHORT, Denier("mail", DENY)) as logged:
        logged.session()
        assert logged.idle()
    assert re.match(r"\S+ 550 0 MAIL FROM:", lines(tmp_path)[0])


def test_each_mail_has_its_line_and_a_session_without_any_too(tmp_path):
    with access(tmp_path, SHORT) as logged:
        client = logged.inbound.client()
        client.ask("HELO client.test")
        for _ in range(3):
            client.ask("MAIL FROM:<a@example.org>")
            client.ask("RSET")
        client.ask("QUIT")
        client.close()
        logged.inbound.client().ask("QUIT")
        assert logged.idle()
    assert len(lines(tmp_path)) == 4
    assert all(" - 0 MAIL FROM:<a@example.org> RCPT TO: SMTP" in line for line in lines(tmp_path)[:3])
    assert lines(tmp_path)[3].endswith(" - 0 - SMTP")


def test_every_directive(tmp_path):
    from plugins.logging.apache import LETTERS, NAMES

    format = " ".join([*(f"%{letter}" for letter in LETTERS), *(f"%{{{name}}}" for name in NAMES), "%>s"])
    with access(tmp_path, f"format={format}\n") as logged:
        logged.session("bob@example.com")
        assert logged.idle()
    (line,) = lines(tmp_path)
    assert line.startswith("% ") and "<m@x>" in line and "%h" not in line and line.endswith(" 250")


def test_a_client_can_not_forge_a_line(tmp_path):
    with access(tmp_path) as logged:
        client = logged.inbound.client()
        client.ask("EHLO client.test")
        assert client.ask(r'MAIL FROM:<"a\" 250 \\"@example.org>').startswith("250")
        client.ask("QUIT")
        client.close()
        assert logged.idle()
    (line,) = lines(tmp_path)
    assert r'"MAIL FROM:<\"a\\\" 250 \\\\\"@example.org> RCPT TO: ESMTP" - -' in line


def test_a_directive_that_there_is_not_keeps_the_server_from_starting(tmp_path):
    with pytest.raises(PluginError, match=r"logging_apache\.ini: format: there is no %q; allowed: %%, %h"):
        access(tmp_path, "format=%h %q\n")


def test_names_by_time_and_rotation(tmp_path):
    import time

    with access(tmp_path, "path=access.%Y.log\n" + SHORT) as logged:
        path = tmp_path / time.strftime("access.%Y.log")
        for wanted in (path, path):
            logged.session("bob@example.com")
            assert logged.idle()
            plugin = logged.plugin("logging/apache")
            assert plugin.files.flush()
            assert len(wanted.read_text().splitlines()) == 1
            wanted.rename(f"{wanted}.1")
            assert plugin.server.reopen() == []
