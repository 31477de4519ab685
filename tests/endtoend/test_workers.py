"""Two workers on one queue: mail flows through both, and what one that is killed had is delivered by its successor."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from mta.control.client import ControlClient
from mta.outbound.qfile import TEMPORARY
from tests.endtoend.conftest import RelayTo
from tests.support.command import haraka
from tests.support.crowd import MESSAGES, Crowd, deliveries, owed
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink
from tests.support.workers import TWO, frozen, pids, send_through, slot_of, status

REFUSED = "451 4.7.1 greylisted"


def refuse_first(stage: str, address: str, attempt: int) -> str | None:
    return REFUSED if stage == "rcpt" and attempt == 1 else None


def deferred(relay: Server, *rcpts: tuple[int, str]) -> dict[int, str]:
    """Send mail through workers that is put off once; the name of an entry of each worker."""
    for slot, rcpt in rcpts:
        send_through(relay, slot, rcpt)
    assert eventually(lambda: relay.deferred() and len(relay.waiting()) == len(rcpts))
    return {slot_of(name): name for name in relay.waiting()}


def queue(relay: Server, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
    return haraka("queue", verb, "-c", str(relay.directory), *words)


def listed(relay: Server, *words: str) -> list[dict]:
    return json.loads(queue(relay, "list", "--json", *words).stdout)


def test_a_day_of_an_operator(relay_to: RelayTo) -> None:
    with RecordingSink(refuse_first) as sink:
        relay = relay_to(sink.port, config=TWO, retries="1h*3")
        entries = deferred(relay, (0, "joe@b.test"), (1, "sue@c.test"))
        assert set(entries) == {0, 1}
        joe, sue = listed(relay)
        assert (
            (joe["state"], joe["error"])
            == (sue["state"], sue["error"])
            == ("backoff", f"127.0.0.1: {REFUSED}")
        )
        why = queue(relay, "why", joe["id"], sue["id"]).stdout
        assert why.count("greylisted") == 2 and why.count("backoff: the next attempt is not due") == 2
        assert queue(relay, "hold", joe["id"], sue["id"]).stdout == "hold: 2 done\n"
        counts = status(relay)
        assert (counts["held"], counts["scheduled"], len(counts["workers"])) == (2, 0, 2)
        stats = queue(relay, "stats").stdout
        assert "held:         2" in stats and f"workers:      2 (processes {pids(relay)[0]}, " in stats

        with ControlClient(relay.directory / "queue.state") as client:
            client.ask("suspend", scope="127.0.0.1", until=None, reason="they asked")
            assert set(client.ask_for_each("release", relay.waiting()).values()) == {"done"}
            assert eventually(lambda: client.ask("status")["parked"] == 2)
            (site,) = client.ask("status")["sites"]
            assert (site["site"], site["waiting"], site["suspended"]) == ("127.0.0.1", 2, True)
            assert client.ask("resume", scope="127.0.0.1") is True
            assert client.ask("resume", scope="127.0.0.1") is False
        assert relay.wait_until_idle()
        assert sorted(got.rcpts[0] for got in sink.messages) == ["joe@b.test", "sue@c.test"]


def test_a_killed_worker_is_replaced_and_its_entries_are_delivered_once(relay_to: RelayTo) -> None:
    refusing = True
    reached, end = threading.Event(), threading.Event()

    def answer(stage: str, address: str, attempt: int) -> str | None:
        if (stage, address, attempt) == ("mail", "slow@a.test", 1):
            reached.set()
            end.wait(60)
        return REFUSED if stage == "rcpt" and refusing else None

    with RecordingSink(answer) as sink:
        relay = relay_to(sink.port, config=TWO, retries="1h*3")
        entries = deferred(relay, (0, "joe@b.test"), (0, "ann@b.test"), (1, "sue@c.test"))
        send_through(relay, 0, "eve@b.test", "slow@a.test")
        assert reached.wait(20), "what was just accepted is under way"
        dead, other = pids(relay)
        left_over, live = (relay.queue / f"{TEMPORARY}{entries[slot]}" for slot in (0, 1))
        left_over.touch()
        live.touch()  # as if the other worker were writing it
        with frozen(other):
            os.kill(dead, signal.SIGKILL)
            assert eventually(lambda: not left_over.exists(), 20)
            assert eventually(lambda: "worker 0 killed by signal SIGKILL" in relay.log)
        assert live.exists()
        assert pids(relay)[1] == other and pids(relay)[0] != dead
        assert eventually(relay.deferred)
        assert [each["state"] for each in listed(relay)] == ["backoff"] * 4
        refusing = False
        relay.flush()  # the master passes SIGHUP on
        assert eventually(lambda: relay.waiting() == [], 20)
        got = sorted(got.rcpts[0] for got in sink.messages)
        assert got == ["ann@b.test", "eve@b.test", "joe@b.test", "sue@c.test"]
        end.set()
        assert f"Removing left over dot-file: {live.name}" not in relay.log
        live.unlink()


def test_while_a_worker_is_missing_nobody_calls_its_entries_gone(relay_to: RelayTo) -> None:
    with RecordingSink(refuse_first) as sink:
        relay = relay_to(sink.port, config=TWO, retries="1h*3")
        entries = deferred(relay, (0, "joe@b.test"), (1, "sue@c.test"))
        second = pids(relay)[1]
        with frozen(relay.pid):
            os.kill(second, signal.SIGKILL)
            said = queue(relay, "hold", *(name.split("_")[4] for name in entries.values()))
        assert said.stdout == "hold: 1 done, 1 failed: its worker does not answer, try again\n"
        assert said.returncode == 1
        assert (
            pids(relay)[1] != second
        )  # a server that is stopped before would rightly call that no clean end


@pytest.mark.parametrize("rounds", [2, pytest.param(8, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_kill_one_of_two_under_load(rounds: int, relay_to: RelayTo) -> None:
    numbers = itertools.count(1)
    duplicates = 0
    with RecordingSink() as sink:
        relay = relay_to(sink.port, config=TWO)
        for number in range(rounds):
            sink.messages.clear()
            workers = pids(relay)
            victim = number % 2
            crowd = Crowd(relay, numbers)
            crowd.start()
            crowd.wait_for(random.randrange(MESSAGES))
            time.sleep(random.random() * 0.01)
            os.kill(workers[victim], signal.SIGKILL)
            crowd.join()
            promised = owed(crowd.acknowledged)
            assert eventually(lambda promised=promised: not promised - set(deliveries(sink)), 70, 0.1), (
                f"lost: {sorted(promised - set(deliveries(sink)))}, in the queue: {relay.entries()}"
            )
            assert relay.wait_until_idle(70), relay.entries()
            assert pids(relay)[1 - victim] == workers[1 - victim]
            duplicates += sum(count - 1 for count in deliveries(sink).values())
        # Who takes over from a dead worker may do again what it had just done.
        assert eventually(lambda: relay.entries() == [], 70), relay.entries()
    print(f"\n{rounds} kills among {rounds * MESSAGES} messages: nothing lost, {duplicates} delivered twice")


@pytest.mark.parametrize("nodes", [0, 1, 3])
def test_another_number_of_workers_finds_what_was_in_the_journals(relay_to: RelayTo, nodes: int) -> None:
    waiting = threading.Event()

    def answer(stage: str, address: str, attempt: int) -> str | None:
        if stage == "mail":
            waiting.wait(60)
        return None

    with RecordingSink(answer) as sink:
        relay = relay_to(sink.port, config=TWO)
        send_through(relay, 0, "joe@b.test")
        send_through(relay, 1, "sue@c.test")
        assert len(list(relay.queue.glob("journal.?.2.*"))) == 2
        assert sorted(map(slot_of, relay.entries())) == [0, 1]
        relay.kill()
        waiting.set()
        smtp_ini = relay.directory / "config" / "smtp.ini"
        smtp_ini.write_text(smtp_ini.read_text().replace("nodes=2", f"nodes={nodes}"))
        relay.start()
        sink.wait_for_rcpt("joe@b.test")
        sink.wait_for_rcpt("sue@c.test")
        assert relay.wait_until_idle()
