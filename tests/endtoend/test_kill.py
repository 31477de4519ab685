"""250 means kept: whatever was acknowledged before a kill -9 arrives after the restart."""

from __future__ import annotations

import itertools
import random
import threading
import time

import pytest

from tests.endtoend.conftest import RelayTo
from tests.support.crowd import MESSAGES, Crowd, deliveries, owed
from tests.support.server import eventually
from tests.support.sink import RecordingSink


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_kill_at_random_moments(rounds: int, relay_to: RelayTo) -> None:
    numbers = itertools.count(1)
    duplicates = 0
    with RecordingSink() as sink:
        relay = relay_to(sink.port)
        for _ in range(rounds):
            sink.messages.clear()
            crowd = Crowd(relay, numbers)
            crowd.start()
            crowd.wait_for(random.randrange(MESSAGES))
            time.sleep(random.random() * 0.01)
            relay.kill()
            relay.start()
            crowd.join()
            promised = owed(crowd.acknowledged)
            assert eventually(lambda promised=promised: not promised - set(deliveries(sink)), 20, 0.1), (
                f"lost: {sorted(promised - set(deliveries(sink)))}, in the queue: {relay.entries()}"
            )
            assert relay.wait_until_idle(), relay.entries()
            duplicates += sum(count - 1 for count in deliveries(sink).values())
        assert relay.entries() == []
    print(f"\n{rounds} kills among {rounds * MESSAGES} messages: nothing lost, {duplicates} delivered twice")


def test_kill_while_everything_is_deferred(relay_to: RelayTo) -> None:
    """Kill a server while it renames entries for their retry: all are delivered after the restart."""
    refusing = threading.Event()
    refusing.set()
    with RecordingSink(
        lambda stage, *_: "451 4.3.0 later" if stage == "rcpt" and refusing.is_set() else None
    ) as sink:
        relay = relay_to(sink.port)
        crowd = Crowd(relay, itertools.count(1))
        crowd.start()
        crowd.wait_for(MESSAGES // 2)
        relay.kill()
        relay.start()
        crowd.join()
        assert eventually(relay.deferred), relay.entries()
        refusing.clear()
        relay.flush()
        promised = owed(crowd.acknowledged)
        assert eventually(lambda: not promised - set(deliveries(sink)), 20, 0.1), (
            f"lost: {sorted(promised - set(deliveries(sink)))}, in the queue: {relay.entries()}"
        )
        assert relay.wait_until_idle(), relay.entries()
