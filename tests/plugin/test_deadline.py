"""A plugin whose time is up is interrupted wherever it waits, cleans up after itself, and what it says then does not count."""

from __future__ import annotations

import queue
import select
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

import gevent
import pytest

from mta.plugin import DENY, OK, Plugin
from mta.plugin.deadline import Deadline, TookTooLong
from mta.plugin.verdict import CONT, DENYSOFT
from tests.support.plugins import connection_from, runner_of
from tests.support.service import Inbound, Local

SHORT = 0.05  # seconds that a plugin has here
LONG = 60


class Late(Plugin):
    """Does at hook data what a test says; `said` is what it lived to tell."""

    name = "late"
    timeout = SHORT

    def __init__(self, do: Callable[[Late], object]) -> None:
        self.do = do
        self.said: list[str] = []

    def hook_data(self, connection):
        return self.do(self)


def ask(do: Callable[[Late], object]) -> tuple[Late, object, list[str]]:
    """What becomes of hook data, and the lines at CRIT."""
    plugin = Late(do)
    runner, lines = runner_of(plugin)
    verdict = runner.run("data", connection_from())
    return plugin, verdict, [line for line in lines if line.startswith("[CRIT]")]


# ---- where a plugin waits


def for_a_socket() -> None:
    ours, theirs = socket.socketpair()
    try:
        ours.recv(1)
    finally:
        ours.close()
        theirs.close()


def for_a_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.accept()


def for_select() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        select.select([ours], [], [], LONG)


def for_a_queue() -> None:
    queue.Queue[int]().get()


def for_an_event() -> None:
    threading.Event().wait(LONG)


def for_a_thread() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, daemon=True)
    thread.start()
    try:
        thread.join()
    finally:
        stop.set()


def for_a_program() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as program:
        try:
            program.wait()
        finally:
            program.kill()


def for_time_to_pass() -> None:
    time.sleep(LONG)


WAITS = [
    for_a_socket,
    for_a_client,
    for_select,
    for_a_queue,
    for_an_event,
    for_a_thread,
    for_a_program,
    for_time_to_pass,
]


@pytest.mark.parametrize("wait", WAITS)
def test_it_is_interrupted_wherever_it_waits_and_cleans_up(wait: Callable[[], None]) -> None:
    def do(plugin: Late) -> object:
        try:
            wait()
            plugin.said.append("went on")
        finally:
            plugin.said.append("cleaned up")
        return OK

    plugin, verdict, crits = ask(do)
    assert (verdict.code, verdict.message) == (DENYSOFT, "plugin timeout")
    assert plugin.said == ["cleaned up"]
    assert len(crits) == 1 and "Plugin late timed out on hook data after 0.05 s" in crits[0]


def test_a_finally_block_may_wait_too() -> None:
    def do(plugin: Late) -> object:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                ours.recv(1)
            finally:
                time.sleep(2 * SHORT)
                theirs.sendall(b"x")
                plugin.said.append(ours.recv(1).decode())

    plugin, verdict, _ = ask(do)
    assert (verdict.code, plugin.said) == (DENYSOFT, ["x"])


def test_context_managers_of_libraries_do_their_work(tmp_path) -> None:
    database = sqlite3.connect(tmp_path / "db")
    database.execute("create table seen (who text)")
    lock = threading.Lock()

    def do(plugin: Late) -> object:
        with lock, database:
            database.execute("insert into seen values ('x')")
            time.sleep(LONG)

    _, verdict, _ = ask(do)
    assert verdict.code is DENYSOFT
    assert database.execute("select count(*) from seen").fetchone() == (0,)  # rolled back
    assert lock.acquire(blocking=False)


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


def test_the_outer_one_passes_through_the_inner_one() -> None:
    outer, inner = Deadline(SHORT), Deadline(LONG)
    with outer:
        with inner:
            time.sleep(LONG)
        pytest.fail("the inner one kept what was meant for the outer one")
    assert (outer.over, inner.over) == (True, False)


def test_the_inner_one_ends_alone() -> None:
    outer, inner = Deadline(LONG), Deadline(SHORT)
    with outer, inner:
        time.sleep(LONG)
    assert (outer.over, inner.over) == (False, True)


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
