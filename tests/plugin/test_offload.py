"""Plugin.offload: threads that hold up nobody, and what becomes of them when the time of the hook is up."""

from __future__ import annotations

import os
import sys

import gevent
from gevent.os import nb_write

from mta.plugin import DENYSOFT, Plugin
from tests.support.plugins import connection_from, runner_of
from tests.support.server import eventually


class Pipe:
    """What a thread waits at without letting anybody else run in it: a read that the event loop knows nothing of."""

    def __init__(self) -> None:
        self.inside, self.outside = os.pipe()
        os.set_blocking(self.outside, False)
        self.waiting = 0
        self.ended = 0

    def wait(self, error: Exception | None = None) -> str:
        self.waiting += 1
        os.read(self.inside, 1)
        self.ended += 1
        if error is not None:
            raise error
        return "done"

    def release(self, count: int = 1) -> None:
        nb_write(self.outside, b"x" * count)


class Waits(Plugin):
    name = "waits"
    timeout = 0.3
    cleaned = False

    def __init__(self, pipe: Pipe, error: Exception | None = None) -> None:
        self.pipe = pipe
        self.error = error

    def hook_data(self, connection):
        try:
            self.offload(self.pipe.wait, self.error)
        finally:
            self.cleaned = True


def test_others_go_on_meanwhile():
    pipe = Pipe()
    waits = gevent.spawn(Plugin().offload, pipe.wait)
    assert eventually(lambda: pipe.waiting)
    pipe.release()
    assert waits.get() == "done"


def test_as_many_at_once_as_the_plugin_wants():
    pipe, plugin = Pipe(), Plugin()
    plugin.max_threads = 7
    callers = [gevent.spawn(plugin.offload, pipe.wait) for _ in range(7)]
    assert eventually(lambda: pipe.waiting == 7)
    pipe.release(7)
    assert [caller.get() for caller in callers] == ["done"] * 7


def test_the_time_of_the_hook_is_up(capfd):
    """Nobody waits any more; what the function does later is nobody's business, and no line on standard error."""
    pipe = Pipe()
    plugin = Waits(pipe, ValueError("much too late"))
    runner, lines = runner_of(plugin)
    assert runner.run("data", connection_from()).code is DENYSOFT
    assert plugin.cleaned and not pipe.ended
    assert [line for line in lines if "timed out on hook data" in line] == lines[:1]
    pipe.release()
    assert eventually(lambda: pipe.ended)
    assert plugin.offload(pow, 2, 5) == 32
    assert not any("much too late" in line for line in lines) and capfd.readouterr().err == ""


def test_who_gave_up_waiting_for_a_thread_is_not_served_later():
    pipe = Pipe()
    plugin = Waits(pipe)
    plugin.max_threads = 1
    runner, _ = runner_of(plugin)
    busy = gevent.spawn(plugin.offload, pipe.wait)
    assert eventually(lambda: pipe.waiting)
    assert runner.run("data", connection_from()).code is DENYSOFT
    pipe.release()
    assert busy.get() == "done"
    assert plugin.offload(pow, 2, 5) == 32
    assert pipe.waiting == 1


def test_a_session_that_is_ended_waits_no_more():
    pipe = Pipe()
    session = gevent.spawn(Plugin().offload, pipe.wait)
    assert eventually(lambda: pipe.waiting)
    session.kill()
    assert isinstance(session.value, gevent.GreenletExit) and not pipe.ended
    pipe.release()


def test_threads_give_way_soon():
    Plugin().offload(pow, 2, 5)
    assert sys.getswitchinterval() <= 0.001


def test_a_thread_that_offloads_goes_on_itself():
    plugin = Plugin()
    plugin.max_threads = 1
    assert plugin.offload(lambda: plugin.offload(pow, 2, 5)) == 32
    assert plugin.offload(pow, 2, 6) == 64
