"""The order of commands: the whole table, played."""

import pytest

from mta.smtp.order import Phase, check

ALWAYS = ("HELO", "EHLO", "RSET", "NOOP", "VRFY", "HELP", "QUIT", "XUNKNOWN")


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("verb", ALWAYS)
def test_always_in_order(verb: str, phase: Phase) -> None:
    assert check(verb, phase) is None


@pytest.mark.parametrize(
    ("verb", "phase", "text"),
    [
        ("MAIL", Phase.CONNECTED, "Use EHLO/HELO before MAIL"),
        ("MAIL", Phase.GREETED, None),
        ("MAIL", Phase.MAIL, "nested MAIL command"),
        ("MAIL", Phase.RCPT, "nested MAIL command"),
        ("RCPT", Phase.CONNECTED, "Use MAIL before RCPT"),
        ("RCPT", Phase.GREETED, "Use MAIL before RCPT"),
        ("RCPT", Phase.MAIL, None),
        ("RCPT", Phase.RCPT, None),
        ("DATA", Phase.CONNECTED, "MAIL required first"),
        ("DATA", Phase.GREETED, "MAIL required first"),
        ("DATA", Phase.MAIL, "RCPT required first"),
        ("DATA", Phase.RCPT, None),
        ("AUTH", Phase.CONNECTED, "Use EHLO before AUTH"),
        ("AUTH", Phase.GREETED, None),
        ("AUTH", Phase.MAIL, "AUTH not permitted during a mail transaction"),
        ("AUTH", Phase.RCPT, "AUTH not permitted during a mail transaction"),
    ],
)
def test_order(verb: str, phase: Phase, text: str | None) -> None:
    reply = check(verb, phase)
    assert (reply and str(reply)) == (text and f"503 5.5.1 {text}")
