"""The watchdog: who keeps the event loop busy, where, and for how long; and that who waits is left alone."""

from __future__ import annotations

import json
import re
import socket
import time

import gevent
import pytest
from gevent import monkey

from mta.logger import ALERT, WARN
from mta.plugin import Plugin
from mta.plugin.holds import Holds
from mta.plugin.watchdog import Watchdog
from tests.support.plugins import connection_from, logger_and_lines, runner_of
from tests.support.server import eventually

LIMIT = 0.1
real_sleep = monkey.get_original("time", "sleep")

LINE = re.compile(r"\[WARN\] \[(.+?)\] \[(.+?)\] (.+?) kept the event loop busy for (\d+) ms(.*)")


def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


LIBRARY = """
import time

def parse(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
"""


class Does(Plugin):
    """Does something at hook noop."""

    name = "does"

    def __init__(self, what) -> None:
        self.what = what

    def hook_noop(self, connection, argument):
        self.what()


class Watched:
    """A watchdog over the event loop of the tests; `lines` is what it logged, `urgent` what it wrote past the loop."""

    def __init__(self, limit: float = LIMIT, stuck: float = 60.0, level: int = WARN) -> None:
        self.logger, self.lines = logger_and_lines(level)
        self.urgent: list[str] = []
        self.dog = Watchdog(limit, self.logger, self.urgent.append, stuck)

    def __enter__(self):
        self.dog.start()
        gevent.sleep(LIMIT / 4)  # until its thread runs, and the loop begins a new turn
        return self

    def __exit__(self, *_):
        self.dog.stop()

    def runs(self, what):
        """Run it as a plugin; the plugin, the connection and the one line about it: uuid, origin, who, ms, the rest."""
        plugin, connection = Does(what), connection_from()
        runner_of(plugin)[0].run("noop", connection, "")
        return plugin, connection, self.line()

    def line(self):
        assert eventually(lambda: self.lines), "nothing was reported"
        gevent.sleep(0.05)
        (line,) = self.lines
        found = LINE.fullmatch(line)
        assert found, line
        return found.groups()


# ---- who is reported


def test_a_plugin_that_computes():
    with Watched() as watched:
        _, connection, (uuid, origin, who, ms, rest) = watched.runs(lambda: compute(0.4))
        assert (uuid, origin, who) == (connection.uuid, "does", "Plugin does")
        assert int(ms) >= 400
        assert f" hook=noop at={__file__}:" in rest and "inside=" not in rest
        counted = watched.dog.as_values()
        assert counted["plugins"]["does"]["count"] == 1
        assert counted["plugins"]["does"]["longest"] == counted["plugins"]["does"]["seconds"] >= 0.4
        assert counted["histogram"]["more"] >= 1 and counted["longest"] >= 0.4
        where = counted["longest_at"]
        assert (where["plugin"], where["hook"]) == ("does", "noop") and where["at"].startswith(f"{__file__}:")


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(lambda: re.match(r"(a+)+$", "a" * 21 + "b"), id="C code that computes"),
        pytest.param(lambda: real_sleep(0.4), id="C code that waits without gevent"),
    ],
)
def test_a_plugin_that_calls_c(blocks):
    line = blocks.__code__.co_firstlineno
    with Watched() as watched:
        _, _, (_, origin, _, _, rest) = watched.runs(blocks)
        assert origin == "does" and f" at={__file__}:{line}" in rest


def test_a_plugin_that_calls_a_library():
    """The line of the plugin, and where the library was."""
    library = {"__name__": "library"}
    exec(compile(LIBRARY, "/lib/library.py", "exec"), library)
    with Watched() as watched:
        _, _, (*_, rest) = watched.runs(lambda: library["parse"](0.4))
        assert re.search(rf' at={__file__}:\d+ inside="parse /lib/library.py:[67]"$', rest), rest


def test_the_innermost_plugin_is_the_one():
    """A plugin's log line asks the log hook of another: that one computes."""

    class Logs(Plugin):
        name = "logs"

        def hook_log(self, record):
            if "slowly" in record.message:
                compute(0.4)

    outer = Does(lambda: outer.lognotice("slowly"))
    with Watched() as watched:
        runner, _ = runner_of(outer, Logs())
        runner._logger.plugins_ready(runner.on_record)
        runner.run("noop", connection_from(), "")
        _, origin, _, _, rest = watched.line()
        assert origin == "logs" and " hook=log " in rest


def test_the_server_itself():
    with Watched() as watched:
        gevent.spawn(compute, 0.4).get()
        uuid, origin, who, _, rest = watched.line()
        assert (uuid, origin, who) == ("-", "core", "The server")
        assert f" at={__file__}:" in rest and "hook=" not in rest
        assert list(watched.dog.holds.by_plugin) == ["core"]


def test_many_who_take_a_little_each_are_not_the_last_one():
    """One turn of the loop is long, but nobody in it: the plugin that happened to be running is named, not blamed."""

    def until_seen():
        while watched.dog._hold is None:
            pass

    def until_told():
        while not watched.dog._hold.told:
            pass

    plugin = Does(until_seen)
    runner, _ = runner_of(plugin)
    with Watched(limit=1.0) as watched:
        gevent.sleep(0.5)  # or the first look may come when the limit is over already
        for plugin.what in (until_seen, until_told):
            runner.run("noop", connection_from(), "")
        _, origin, who, _, rest = watched.line()
        assert (origin, who) == ("core", "The server")
        assert " plugin=does hook=noop " in rest


# ---- who is not


def test_who_waits_holds_up_nobody():
    reader, writer = socket.socketpair()
    gevent.spawn_later(0.3, writer.send, b"x")
    plugin = Does(lambda: (time.sleep(0.3), reader.recv(1), plugin.offload(real_sleep, 0.3)))
    with Watched() as watched:
        runner_of(plugin)[0].run("noop", connection_from(), "")
        assert not watched.lines and not watched.dog.holds.by_plugin


def test_short_turns_one_after_the_other():
    def busy():
        for _ in range(20):
            compute(0.02)
            gevent.sleep(0.001)  # 0 would not let the loop look at its sockets

    with Watched(limit=0.2) as watched:
        gevent.joinall([gevent.spawn(busy), gevent.spawn(busy)])
        assert not watched.lines


def test_0_watches_nothing():
    with Watched(limit=0.0) as watched:
        compute(0.3)
        gevent.sleep(0.2)
        assert not watched.lines and not watched.dog.holds.by_plugin


def test_it_stops():
    with Watched() as watched:
        pass
    watched.dog.stop()  # once more is harmless
    turn = watched.dog._turn
    compute(0.3)
    gevent.sleep(0.2)
    assert not watched.lines and watched.dog._turn == turn


# ---- one that never comes back


def test_a_loop_that_stays_busy_is_told_of_while_it_is():
    """The plugin goes on until the line is there, so it would never end if the loop had to write it."""

    def for_ever():
        while not watched.urgent:
            pass

    with Watched(stuck=0.3) as watched:
        _, connection, (*_, ms, _) = watched.runs(for_ever)
        (line,) = watched.urgent
        said = f"[CRIT] [{connection.uuid}] [does] Plugin does has kept the event loop busy for 0 s, nobody is served"
        assert line.startswith(f"{said} hook=noop at={__file__}:")
        assert int(ms) >= 300


def test_below_the_log_level_it_is_counted_all_the_same():
    with Watched(level=ALERT, stuck=0.2) as watched:
        compute(0.5)
        assert eventually(lambda: watched.dog.holds.by_plugin)
        assert not watched.lines and not watched.urgent


# ---- the counts


def test_counts():
    holds = Holds()
    for plugin, seconds in (("a", 0.01), ("a", 0.15), ("b", 7.0), ("a", 0.1)):
        holds.add(plugin, seconds)
    assert json.loads(json.dumps(holds.as_values())) == {
        "a": {"count": 3, "seconds": 0.26, "longest": 0.15},
        "b": {"count": 1, "seconds": 7.0, "longest": 7.0},
    }
