from __future__ import annotations

import pytest

from mta.plugin import OK
from mta.plugin.verdict import CONT
from tests.support.plugins import connection_from, loaded, with_mail

NAME = "queue/discard"


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch):
    monkeypatch.delenv("YES_REALLY_DO_DISCARD", raising=False)


@pytest.mark.parametrize("hook", ["queue", "queue_outbound"])
def test_nothing_is_discarded_unasked(tmp_path, hook):
    runner, _ = loaded(NAME, tmp_path)
    assert runner.run(hook, with_mail(connection_from())).code is CONT


@pytest.mark.parametrize("hook", ["queue", "queue_outbound"])
@pytest.mark.parametrize(
    "mark",
    [
        lambda connection: connection.transaction.notes.set("discard", True),
        lambda connection: connection.transaction.notes.set("queue.wants", "discard"),
        lambda connection: connection.notes.set("discard", 1),
    ],
)
def test_a_note_discards(tmp_path, hook, mark):
    runner, lines = loaded(NAME, tmp_path)
    connection = with_mail(connection_from())
    mark(connection)
    assert runner.run(hook, connection).code is OK
    assert any(f"[{connection.uuid}.1] [queue/discard] discarding message" in line for line in lines)


def test_the_environment_discards_everything(tmp_path, monkeypatch):
    monkeypatch.setenv("YES_REALLY_DO_DISCARD", "1")
    runner, _ = loaded(NAME, tmp_path)
    assert runner.run("queue", with_mail(connection_from())).code is OK


def test_but_not_what_another_queue_wants(tmp_path, monkeypatch):
    monkeypatch.setenv("YES_REALLY_DO_DISCARD", "1")
    runner, _ = loaded(NAME, tmp_path)
    connection = with_mail(connection_from())
    connection.transaction.notes.set("queue.wants", "smtp_forward")
    connection.transaction.notes.set("discard", True)
    assert runner.run("queue", connection).code is CONT
