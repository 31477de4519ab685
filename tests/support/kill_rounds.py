"""Outbound sides that are killed at random moments: python -m tests.support.kill_rounds DIRECTORY PORT KILLS SEED files|journal.

Each round is a process that submits mail as fast as it can over the queue directory DIRECTORY/queue, delivers what is due to
127.0.0.1:PORT, and is killed after some milliseconds. It writes the number of each message that was acknowledged to
DIRECTORY/acknowledged before anybody else could learn of it. The last one is left alone until the queue is empty.
"""

from __future__ import annotations

# The processes are forked from one that has everything loaded, but never ran an event loop.
from gevent import monkey

monkey.patch_all(os=False, signal=False)

import os  # noqa: E402  (after patching)
import random  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Callable  # noqa: E402
from itertools import count  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from mta.config.schema import OutboundSettings, SmarthostSettings, SpoolSettings  # noqa: E402
from mta.message.stream import MessageStream  # noqa: E402
from mta.plugin.hooks import Plugin  # noqa: E402
from mta.plugin.verdict import DENYSOFT  # noqa: E402
from mta.smtp.address import Address  # noqa: E402
from mta.transaction import Transaction  # noqa: E402
from tests.support.numbered_mail import message, recipients, sender  # noqa: E402
from tests.support.relay import Relay  # noqa: E402

SENDERS = 4
LIVES = (
    0.0,
    0.08,
)  # seconds to the kill: in one round from the fork, in the next from the first message accepted
FIRST = 5.0  # seconds within which that must come
PER_ROUND = 1000  # numbers of messages
LAST = 120.0  # seconds for the last process to empty the queue, which has thousands of entries by then

_sleep: Callable[[float], None] = monkey.get_original("time", "sleep")


class Soon(Plugin):
    """Retries without the waits of the schedule."""

    name = "soon"

    def hook_deferred(self, hmail, deferral):
        return DENYSOFT, "0.02"


def main() -> None:
    directory, port, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    intake = sys.argv[5]
    chance = random.Random(seed)
    for number in range(1, kills + 1):
        pid = fork(lambda number=number: submit_for_ever(directory, port, intake, number))
        if number % 2:
            wait_for_more(directory / "acknowledged")
        _sleep(chance.uniform(*LIVES))
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGKILL:
            sys.exit(f"round {number} ended by itself")
    pid = fork(lambda: empty(directory, port, intake))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def wait_for_more(ledger: Path) -> None:
    """Until a message is acknowledged."""
    size = ledger.stat().st_size if ledger.exists() else 0
    for _ in range(int(FIRST * 1000)):
        if ledger.exists() and ledger.stat().st_size > size:
            return
        _sleep(0.001)


def fork(live: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        live()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def site(directory: Path, port: int, intake: str) -> Relay:
    found = Relay(directory / "queue", None, Soon(), temp_fail_intervals=(5,) * 50)
    host = SmarthostSettings(host=(f"127.0.0.1:{port}",), tls="off")
    found.settings = OutboundSettings(smarthost=host, temp_fail_intervals=(5,) * 50)
    found.journal = SpoolSettings(intake=intake)
    return found.start()


def submit_for_ever(directory: Path, port: int, intake: str, round_number: int) -> None:
    ledger = os.open(directory / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    outbound = site(directory, port, intake).outbound
    numbers = count(round_number * PER_ROUND)

    def submit() -> None:
        for number in numbers:
            stream = MessageStream.from_message(message(number))
            transaction = Transaction(f"UUID.{number}", Address.parse(sender(number)), stream)
            transaction.rcpt_to = [Address.parse(rcpt) for rcpt in recipients(number)]
            if outbound.submit(transaction).code != 250:
                raise RuntimeError("not accepted")
            os.write(ledger, b"%d\n" % number)

    gevent.joinall([gevent.spawn(submit) for _ in range(SENDERS)], raise_error=True)


def empty(directory: Path, port: int, intake: str) -> None:
    last = site(directory, port, intake)
    with gevent.Timeout(LAST):
        while not last.empty():
            gevent.sleep(0.05)
    last.stop()


if __name__ == "__main__":
    main()
