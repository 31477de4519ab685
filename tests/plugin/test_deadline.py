"""What a plugin says when its time is up does not count, and one that swallows the interruption is interrupted again."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress

import gevent
import pytest
from gevent import getcurrent
from gevent.monkey import get_original

from mta.logger import RUNNING
from mta.plugin import DENY, OK, Plugin
from mta.plugin.deadline import LATE, TookTooLong
from mta.plugin.verdict import CONT, DENYSOFT
from tests.support.late import LONG, SHORT, Late, ask
from tests.support.plugins import connection_from, runner_of
from tests.support.service import Inbound, Local

Event = get_original("threading", "Event")

# ---- plugins that swallow


def test_an_answer_that_comes_too_late_does_not_count() -> None:
    def do(plugin: Late) -> object:
        with suppress(BaseException):
            time.sleep(LONG)
        return OK, "as if nothing had been"

    _, verdict, crits = ask(do)
    assert (verdict.code, verdict.message) == (DENYSOFT, "plugin timeout")
    assert len(crits) == 1


def test_nor_does_what_is_no_answer() -> None:
    def do(plugin: Late) -> object:
        with suppress(BaseException):
            time.sleep(LONG)
        return "no answer at all"

    _, verdict, crits = ask(do)
    assert verdict.message == "plugin timeout"
    assert "timed out" in crits[0]


def test_what_it_raises_instead_is_its_timeout() -> None:
    def do(plugin: Late) -> object:
        try:
            time.sleep(LONG)
        except BaseException as error:
            raise ValueError("the query failed") from error

    _, verdict, crits = ask(do)
    assert verdict.message == "plugin timeout"
    assert len(crits) == 1 and "timed out" in crits[0]


@pytest.mark.parametrize("times", [1, 2])
def test_who_swallows_it_and_waits_on_is_interrupted_again(times: int) -> None:
    def do(plugin: Late) -> object:
        for _ in range(times):
            try:
                time.sleep(LONG)
            except BaseException as error:
                plugin.said.append(type(error).__name__)
        try:
            time.sleep(LONG)
        finally:
            plugin.said.append("cleaned up")
        return OK

    plugin, verdict, crits = ask(do)
    assert verdict.message == "plugin timeout"
    assert plugin.said == ["TookTooLong"] * times + ["cleaned up"]
    assert len(crits) == 1


def test_a_plugin_may_have_an_answer_to_being_late() -> None:
    def do(plugin: Late) -> object:
        try:
            time.sleep(LONG)
        except TookTooLong as late:
            late.excused = True
        return DENY, "the directory is slow today"

    _, verdict, crits = ask(do)
    assert (verdict.code, verdict.message) == (DENY, "the directory is slow today")
    assert crits == []


def test_the_next_plugin_has_its_own_time() -> None:
    def do(plugin: Late) -> object:
        with suppress(BaseException):
            time.sleep(LONG)

    class Slow(Plugin):
        timeout = 10

        def hook_data(self, connection):
            time.sleep(3 * SHORT)
            return OK, "slow but sure"

    runner, _ = runner_of(Late(do), Slow(), timeout_action="continue")
    assert runner.run("data", connection_from()).message == "slow but sure"


# ---- deadlines within deadlines


class Outer(Plugin):
    """Asks another plugin while it is asked itself, as who writes a log line or refuses something does."""

    name = "outer"

    def __init__(self, inner: Late, inner_timeout: float) -> None:
        inner.timeout = inner_timeout
        self.inner, _ = runner_of(inner)
        self.answer = CONT

    def hook_data(self, connection):
        self.answer = self.inner.run("data", connection).message
        return OK, "in time"


def ask_both(outer_timeout: float, inner_timeout: float) -> tuple[Outer, object]:
    """The outer plugin, and what was said to it, when the inner one waits for as long as it may."""
    outer = Outer(Late(lambda _: time.sleep(LONG)), inner_timeout)
    outer.timeout = outer_timeout
    runner, _ = runner_of(outer)
    return outer, runner.run("data", connection_from()).message


def test_the_outer_one_passes_through_the_inner_one() -> None:
    outer, said = ask_both(SHORT, LONG)
    assert (outer.answer, said) == (CONT, "plugin timeout")


def test_the_inner_one_ends_alone() -> None:
    outer, said = ask_both(LONG, SHORT)
    assert (outer.answer, said) == ("plugin timeout", "in time")


def test_what_runs_in_another_thread_is_left_alone() -> None:
    """Nobody can interrupt it; the hook that waits for it is interrupted."""

    def do(plugin: Late) -> object:
        return OK, plugin.offload(lambda: Event().wait(3 * SHORT))

    _, verdict, crits = ask(do)
    assert (verdict.message, len(crits)) == ("plugin timeout", 1)


def test_nothing_is_left_of_those_who_were_late() -> None:
    ask(lambda _: time.sleep(LONG))
    assert not LATE and getcurrent() not in RUNNING


def test_a_session_that_is_ended_is_not_late() -> None:
    done: list[str] = []

    @contextmanager
    def waits():
        try:
            yield
        finally:
            done.append("cleaned up")

    def do(plugin: Late) -> object:
        with waits():
            with suppress(TookTooLong):
                time.sleep(LONG)
            time.sleep(LONG)

    runner, lines = runner_of(Late(do))
    session = gevent.spawn(runner.run, "data", connection_from())
    gevent.sleep(3 * SHORT)
    session.kill()
    assert isinstance(session.value, gevent.GreenletExit)
    assert done == ["cleaned up"] and not [line for line in lines if "[CRIT]" in line]


# ---- in a session


def test_the_session_goes_on() -> None:
    plugin = Late(lambda plugin: time.sleep(LONG))
    local = Local()
    with Inbound([plugin, local]) as inbound:
        client = inbound.client()
        assert client.envelope() == "451 4.7.1 plugin timeout"
        plugin.do = lambda plugin: CONT
        assert client.envelope() == "354 go ahead, make my day"
        assert client.ask("Subject: x\r\n\r\nbody\r\n.").startswith("250 2.0.0 ")
        client.close()
    assert len(local.mails) == 1


def test_one_that_waits_for_the_client_is_interrupted_too() -> None:
    class Asks(Plugin):
        name = "asks"
        timeout = SHORT

        def hook_data(self, connection):
            return DENY, connection.ask(334, "well?")

    with Inbound([Asks(), Local()]) as inbound:
        client = inbound.client()
        assert client.envelope() == "334 well?"
        assert client.read() == "451 4.7.1 plugin timeout"
        assert client.ask("NOOP") == "250 2.0.0 OK"
        client.close()
