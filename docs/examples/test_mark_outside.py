import pytest

from mta.plugin import Header
from mta.testing import StartServer

SIGNED = "DKIM-Signature: v=1; d=client.example; h=from:subject:to; b=x\n"
PLAIN = "From: alice@client.example\nX-Outside: no\nSubject: =?utf-8?q?caf=C3=A9?=\n\nHello.\n"


def header_of(mail_server: StartServer, message: str, *, relaying: bool = False) -> Header:
    server = mail_server("mark_outside")
    assert server.connect(relaying=relaying).send_mail(message=message).code == 250
    return server.queued[0].header


def test_the_subject_of_unsigned_mail_is_marked(mail_server: StartServer) -> None:
    header = header_of(mail_server, PLAIN)
    assert header.get_decoded("Subject") == "[outside] café"
    assert header.get_all("X-Outside") == ["yes"]


def test_what_is_signed_stays_as_it_is(mail_server: StartServer) -> None:
    header = header_of(mail_server, SIGNED + PLAIN)
    assert header.get("Subject") == "=?utf-8?q?caf=C3=A9?="
    names = [line.partition(":")[0] for line in header.lines()]
    assert names.index("X-Outside") < names.index("DKIM-Signature")


def test_a_field_that_is_signed_by_name_is_not_added(mail_server: StartServer) -> None:
    header = header_of(mail_server, SIGNED.replace("h=", "h=x-outside:") + PLAIN)
    assert header.get_all("X-Outside") == ["no"]


@pytest.mark.parametrize("message", [PLAIN, SIGNED + PLAIN])
def test_mail_of_our_own_people_is_not_marked(mail_server: StartServer, message: str) -> None:
    header = header_of(mail_server, message, relaying=True)
    assert header.get_all("X-Outside") == ["no"] and "outside" not in header.get("Subject")
