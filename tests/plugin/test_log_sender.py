"""What hands log messages over: order, failures, bounds, the end, and where it may be called."""

from __future__ import annotations

import gevent

from mta.plugin import LogSender
from mta.plugin.offload import Threads
from mta.plugin.server import Server
from tests.support.install import eventually


class Target:
    """Takes messages, or fails as often as it is told to."""

    def __init__(self, failures=0, most=1000):
        self.failures = failures
        self.most = most
        self.came = []
        self.complaints = []
        self.told = []

    def send(self, messages):
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("no")
        self.came += messages[: self.most]
        return min(len(messages), self.most)

    def sender(self, max_waiting=10_000):
        return LogSender(self.send, self.complaints.append, self.told.append, max_waiting)


def test_messages_come_in_order():
    target = Target(most=3)
    sender = target.sender()
    for number in range(1000):
        sender.put(b"%d" % number)
    assert sender.close()
    assert target.came == [b"%d" % number for number in range(1000)]


def test_what_could_not_be_sent_is_sent_again_and_told_once():
    target = Target(failures=2)
    sender = target.sender(max_waiting=2)
    for message in (b"a", b"b", b"c"):
        sender.put(message)
    assert eventually(lambda: target.told)
    assert (target.came, len(target.complaints), target.told, sender.dropped) == ([b"a", b"b"], 1, [1], 1)
    sender.close()


def test_after_the_end_nothing_is_taken():
    target = Target()
    sender = target.sender()
    assert sender.close()
    sender.put(b"late")
    assert target.came == [] and sender.dropped == 1


def test_an_end_that_nobody_waits_for():
    target = Target(failures=1000)
    sender = target.sender()
    sender.put(b"a")
    assert not sender.close(0.05)


def test_from_the_event_loop_and_from_threads():
    target = Target()
    sender = target.sender()
    gevent.get_hub().loop.run_callback(sender.put, b"from the loop")
    assert eventually(lambda: target.came == [b"from the loop"])
    Threads().run(sender.put, b"from a thread")
    assert eventually(lambda: target.came[1:] == [b"from a thread"])
    sender.close()


def test_sighup_reaches_all_who_want_to_know():
    server, called = Server(), []
    server.on_reopen(lambda: called.append(1))
    server.on_reopen(lambda: 1 / 0)
    server.on_reopen(lambda: called.append(2))
    (error,) = server.reopen()
    assert isinstance(error, ZeroDivisionError) and called == [1, 2]
