"""Time in a test is what the test says."""

from __future__ import annotations

import datetime
import sys
import time
from datetime import UTC
from pathlib import Path
from time import monotonic

import pytest

from mta.plugin import Plugin
from mta.testing import MailServer, make_connection

TELLS = """
import datetime
import time
from datetime import date, datetime as moment
from time import time as now

from mta.plugin import OK, Plugin

class Tells(Plugin):
    def hook_noop(self, connection, argument):
        connection.notes.told = [
            time.time(), now(), time.time_ns() / 1e9, moment.now().timestamp(),
            datetime.datetime.now(datetime.UTC).timestamp(),
        ]
        connection.notes.today = date.today()
        connection.notes.monotonic = time.monotonic()
"""


class Sleeps(Plugin):
    timeout = 30

    def hook_helo(self, connection, host):
        connection.notes.before = time.monotonic()
        try:
            time.sleep(float(host))
        finally:
            connection.notes.slept = time.monotonic() - connection.notes.before


def test_all_that_tells_the_time_agrees(tmp_path: Path):
    (tmp_path / "tells.py").write_text(TELLS)
    with MailServer(tmp_path / "tells.py") as server:
        server.clock.freeze()
        server.clock.set(datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC))
        client = server.connect()
        client.noop()
        wanted = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC).timestamp()
        assert client.notes.told == pytest.approx([wanted] * 5, abs=0.01)
        assert client.notes.today == datetime.date.fromtimestamp(wanted)
        before = client.notes.monotonic
        server.clock.advance(1, minutes=2, hours=3)
        client.noop()
        assert client.notes.told[0] == pytest.approx(wanted + 3 * 3600 + 121, abs=0.01)
        assert client.notes.monotonic - before == pytest.approx(3 * 3600 + 121)


def test_a_plugin_sleeps_without_waiting():
    with MailServer(Sleeps) as server:
        server.clock.freeze()
        client = server.connect()
        assert client.helo("29").code == 250
        assert client.notes.slept == pytest.approx(29)


def test_one_that_sleeps_too_long_times_out():
    with MailServer(Sleeps) as server:
        server.clock.freeze()
        client = server.connect()
        assert client.helo("31").code == 450
        assert client.notes.slept == pytest.approx(30), "finally is run when the time is up"
        assert server.logged("timed out on hook helo", "crit")
        assert client.helo("1").code == 250


def test_one_that_will_not_end_is_interrupted_again():
    class Stubborn(Plugin):
        timeout = 10

        def hook_helo(self, connection, host):
            connection.notes.naps = 0
            while connection.notes.naps < 3:
                try:
                    time.sleep(60)
                except BaseException:
                    connection.notes.naps += 1

    with MailServer(Stubborn) as server:
        server.clock.freeze()
        before = server.clock.monotonic()
        client = server.connect()
        assert client.helo().code == 450
        assert client.notes.naps == 3
        assert server.clock.monotonic() - before == pytest.approx(30)


def test_the_client_is_still_there_a_day_later():
    with MailServer() as server:
        client = server.connect()
        server.clock.advance(days=1)
        assert client.noop().code == 250


def test_a_hook_that_is_called_by_the_test_sleeps_without_waiting():
    with MailServer(Sleeps) as server:
        connection = make_connection()
        server.run("helo", connection, "25")
        assert connection.notes.slept == pytest.approx(25, abs=1)


def test_names_that_a_module_took_out_before_are_replaced_too():
    class Old(Plugin):
        def hook_noop(self, connection, argument):
            connection.notes.read = monotonic()

    real = monotonic
    with MailServer(Old) as server:
        server.clock.advance(days=1000)
        client = server.connect()
        client.noop()
        assert client.notes.read > real() + 999 * 86400
    assert monotonic is real is time.monotonic
    assert sys.modules[__name__].monotonic is real


def test_the_machines_time_is_untouched():
    names = ("time", "time_ns", "monotonic", "monotonic_ns", "sleep")
    before = [getattr(time, name) for name in names], datetime.datetime, datetime.date
    with MailServer() as server:
        server.clock.advance(hours=1)
        with pytest.raises(ValueError, match="never goes back"):
            server.clock.advance(-1)
    assert ([getattr(time, name) for name in names], datetime.datetime, datetime.date) == before


def test_real_time_for_who_wants_it(tmp_path: Path):
    (tmp_path / "tells.py").write_text(TELLS)
    with MailServer(tmp_path / "tells.py", virtual_time=False) as server:
        server.clock.advance(hours=1)
        client = server.connect()
        client.noop()
        assert abs(client.notes.told[0] - time.time()) < 600
