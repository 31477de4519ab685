"""tarpit: replies to marked clients come later, others at once."""

from __future__ import annotations

import time

import pytest

from mta.plugin import DENY, Plugin, PluginError
from tests.support.bundled import deliver, inbound_with
from tests.support.plugins import loaded
from tests.support.service import Client, Denier, Local


class Mark(Plugin):
    """Sets the note at a hook."""

    name = "mark"

    def __init__(self, hook, seconds, transaction=False):
        def mark(connection, *args):
            (connection.transaction if transaction else connection).notes["tarpit"] = seconds

        self.register_hook(hook, mark)


@pytest.fixture
def slept(monkeypatch):
    """How long was slept, without the sleeping."""
    found = []
    real = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: found.append(seconds) or real(0))
    return found


def session(inbound):
    with inbound:
        client = Client(inbound.port)
        replies = deliver(client)
        client.ask("QUIT")
        client.close()
    return replies


def of_tarpit(slept):
    return [seconds for seconds in slept if seconds]


def test_every_reply_from_the_mark_on_is_kept_back(tmp_path, slept):
    inbound = inbound_with(tmp_path, ["tarpit"], before=[Mark("connect", 7)], after=[Local()], log_level=7)
    replies = session(inbound)
    assert replies[-1].startswith("250 ")
    # connect, ehlo, mail, rcpt_ok (rcpt was answered by the plugin before), data, data_post, quit
    assert len([one for one in slept if one == 7.0]) >= 6
    assert sum("tarpitting response for 7s" in line for line in inbound.lines) >= 6


def test_a_mark_on_the_mail_ends_with_it(tmp_path, slept):
    session(inbound_with(tmp_path, ["tarpit"], before=[Mark("mail", 5, transaction=True)], after=[Local()]))
    assert 5.0 in slept
    slept.clear()
    session(inbound_with(tmp_path, ["tarpit"], after=[Local()]))
    assert not of_tarpit(slept)


def test_refusals_are_kept_back_too(tmp_path, slept):
    before = [Mark("ehlo", 3), Denier("mail", DENY)]
    files = {"tarpit.ini": "[main]\nhooks_to_delay=deny\n"}
    assert session(inbound_with(tmp_path, ["tarpit"], files, before=before))[0].startswith("550 ")
    assert 3.0 in slept


def test_only_at_the_hooks_that_are_named(tmp_path, slept):
    files = {"tarpit.ini": "[main]\nhooks_to_delay=mail;quit\n"}
    session(inbound_with(tmp_path, ["tarpit"], files, before=[Mark("connect", 2)], after=[Local()]))
    assert [one for one in slept if one == 2.0] == [2.0, 2.0]


@pytest.mark.parametrize("hook", ["mial", "log", "init_master", "delivered"])
def test_a_hook_that_is_none_of_a_session_keeps_the_server_from_starting(tmp_path, hook):
    with pytest.raises(PluginError, match=rf"tarpit.ini:2: .*'{hook}' is no hook of a session"):
        loaded("tarpit", tmp_path, {"tarpit.ini": f"[main]\nhooks_to_delay={hook}\n"})


def test_others_do_not_wait(tmp_path):
    """A client is held for a long time; one that comes later is served meanwhile."""

    class MarkFirst(Plugin):
        name = "markfirst"
        seen = 0

        def hook_ehlo(self, connection, host):
            if host == "slow":
                connection.notes["tarpit"] = 3600

    with inbound_with(tmp_path, ["tarpit"], before=[MarkFirst()], after=[Local()]) as inbound:
        slow, fast = Client(inbound.port), Client(inbound.port)
        slow.send(b"EHLO slow\r\n")
        assert deliver(fast)[-1].startswith("250 ")
        slow.close()
        fast.close()
        inbound.listener.join(0)
