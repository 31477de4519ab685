"""Start-up, idle clients and the event loop's histogram, of a real server and few of everything."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.bench import hub, startup
from tests.bench.crowd import Crowd, banner_ms
from tests.bench.servers import OURS, build
from tests.support.server import Server


def test_a_start_with_entries_in_the_queue(tmp_path: Path) -> None:
    held: list[hub.Part] = []
    banner, loaded, memory = startup.start_with_queue(OURS, tmp_path / "server", 50, held)
    assert 0 < banner <= loaded and memory > 10
    assert [part["row"] for part in held] == ["queue start-up 50"]
    assert sum(count for _, count in held[0]["histogram"]) > 0
    assert not (tmp_path / "server" / "queue").exists()


def test_a_start_that_fails_is_told(tmp_path: Path) -> None:
    server = build(OURS, tmp_path, None, extra={"plugins": "nosuch\n"})
    with startup.started(server) as (_, begun), pytest.raises(RuntimeError, match="exit status 1: "):
        startup.wait_for(server, begun, 60, lambda: startup.greets(server.port))


def test_a_crowd(tmp_path: Path) -> None:
    with build(OURS, tmp_path, None) as server:
        with Crowd(server.port) as crowd:
            crowd.grow(3)
            crowd.grow(30)
            crowd.greet()
            assert banner_ms(server.port) > 0
        held: list[hub.Part] = []
        with hub.watching("crowd", server, held), hub.watching("another's", None, held):
            assert banner_ms(server.port) > 0
        assert [part["row"] for part in held] == ["crowd"]
        assert sum(count for _, count in held[0]["histogram"]) > 0


class Contender(NamedTuple):
    name: str
    server: Server


def test_who_has_ended_has_no_histogram(tmp_path: Path) -> None:
    alive, dead = build(OURS, tmp_path / "one", None), build(OURS, tmp_path / "two", None)
    contenders = [Contender(OURS, alive), Contender("ours nodes=2", dead), Contender("Haraka", dead)]
    with alive, dead:
        before = hub.read_all(contenders)
        dead.kill()
        after = hub.read_all(contenders)
    assert (list(before), list(after)) == ([OURS, "ours nodes=2"], [OURS])
    assert [part["row"] for part in hub.parts("r", before, after)] == ["r"]
