"""The one gate before a slot's queue: it opens when every predecessor has been reaped, and not when the master is gone."""

from __future__ import annotations

import os

import gevent

from mta.processes.handover import Handovers
from mta.processes.predecessor import Predecessor

A_MOMENT = 0.05


def test_it_opens_when_all_have_ended() -> None:
    handovers = Handovers()
    gate = Predecessor(handovers.await_end([11, 12]))
    waiting = [gevent.spawn(gate.wait) for _ in range(2)]
    handovers.ended(11)
    handovers.ended(99)
    gevent.sleep(A_MOMENT)
    assert not any(each.ready() for each in waiting) and not gate.ended
    handovers.ended(12)
    gevent.joinall(waiting, timeout=10)
    assert [each.value for each in waiting] == [True, True] and gate.wait()


def test_without_a_predecessor_nothing_is_waited_for() -> None:
    assert not Predecessor(-1).wait()


def test_the_end_of_the_master_does_not_open_it() -> None:
    handovers = Handovers()
    gate = Predecessor(handovers.await_end([11]))
    handovers.leave()  # as if it were a copy in a child, or the master were gone
    assert not gate.wait() and not gate.ended


def test_a_successor_that_has_gone_is_no_fault() -> None:
    handovers = Handovers()
    os.close(handovers.await_end([11]))
    handovers.ended(11)
