"""The table of refusals: what the client reads for each hook and code."""

import pytest

from mta.inbound.answers import refuse
from mta.plugin.refusal import Refusal, reply_with
from mta.plugin.verdict import (
    CONT,
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    DISCONNECT,
    NEXT_HOOK,
    OK,
    Code,
    Verdict,
)
from mta.smtp.dsn import DSN

# haraka.md D3; where a code is about hanging up, the reply closes.
TABLE = [
    ("lookup_rdns", DENY, "554 5.7.25 rDNS Lookup Failed"),
    ("lookup_rdns", DENYSOFT, "421 4.7.25 rDNS Temporary Failure"),
    ("connect", DENY, "554 5.7.1 Your mail is not welcome here"),
    ("connect", DENYSOFT, "421 4.7.1 Come back later"),
    ("connect", DISCONNECT, "554 5.7.1 Your mail is not welcome here"),
    ("helo", DENY, "550 5.7.1 HELO denied"),
    ("ehlo", DENYSOFT, "450 4.7.1 EHLO denied"),
    ("unrecognized_command", DENY, "500 5.5.1 Unrecognized command"),
    ("unrecognized_command", DENYDISCONNECT, "521 5.5.1 Unrecognized command"),
    ("unrecognized_command", DENYSOFTDISCONNECT, "421 4.5.1 Unrecognized command"),
    ("mail", DENY, "550 5.7.1 sender <a@b> denied"),
    ("mail", DENYSOFT, "450 4.7.1 sender <a@b> denied"),
    ("rcpt", DENYDISCONNECT, "550 5.7.1 recipient <a@b> denied"),
    ("rcpt_ok", DENYSOFTDISCONNECT, "450 4.7.1 recipient <a@b> denied"),
    ("data", DENY, "554 5.7.1 Message denied"),
    ("data", DENYSOFT, "451 4.7.1 Message denied"),
    ("max_data_exceeded", DENY, "552 5.3.4 Message too big!"),
    ("max_data_exceeded", DENYSOFT, "450 4.3.4 Message too big!"),
    ("data_post", DENY, "550 5.7.1 Message denied"),
    ("data_post", DENYSOFT, "450 4.7.1 Message denied temporarily"),
    ("queue", DENY, "550 5.7.1 Message denied"),
    ("queue_outbound", DENYSOFT, "450 4.7.1 Message denied temporarily"),
    ("vrfy", DENY, "550 5.7.1 Access Denied"),
    ("vrfy", DENYSOFT, "450 4.7.1 Lookup Failed"),
    ("noop", DENY, "500 5.5.1 Stop wasting my time"),
]


@pytest.mark.parametrize(("hook", "code", "text"), TABLE)
def test_each_refusal(hook: str, code: Code, text: str) -> None:
    reply = refuse(hook, Verdict(code), "<a@b>")
    assert reply is not None
    assert str(reply) == text
    assert reply.close is (code in (DENYDISCONNECT, DENYSOFTDISCONNECT, DISCONNECT))
    assert (reply.enhanced or "")[0] == str(reply.code)[0]


@pytest.mark.parametrize("code", [CONT, OK, NEXT_HOOK])
def test_what_does_not_refuse(code: Code) -> None:
    assert refuse("rcpt", Verdict(code)) is None


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("no", "550 5.7.1 no"),
        ("5.1.1 no such user", "550 5.1.1 no such user"),
        ("4.2.2 of another class stays text", "550 5.7.1 4.2.2 of another class stays text"),
        (["one", "two"], "550 5.7.1 one two"),
        (DSN.mbox_full("full"), "450 4.2.2 full"),
        (DSN.addr_rcpt_ok("fine"), "550 5.7.1 fine"),
        (DSN.addr_rcpt_ok(), "550 5.7.1 recipient denied"),
        ((), "550 5.7.1 recipient denied"),
        ("a\r\nb", "550 5.7.1 a b"),
        ("", "550 5.7.1 recipient denied"),
        (42, "550 5.7.1 42"),
    ],
)
def test_a_plugin_s_message(message: object, text: str) -> None:
    assert str(reply_with(message, Refusal(550, "5.7.1", "recipient denied"))) == text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (None, "250 2.1.0 OK"),
        (DSN.mbox_full("full"), "250 2.1.0 full"),
        (DSN.addr_rcpt_ok("fine"), "250 2.1.5 fine"),
        (DSN.auth_succeeded("welcome"), "250 2.7.0 welcome"),
    ],
)
def test_a_plugin_s_message_when_it_accepts(message: object, text: str) -> None:
    assert str(reply_with(message, Refusal(250, "2.1.0", "OK"))) == text
