"""Kill a process at each step of an entry's life: python -m tests.support.spool_crash DIRECTORY files|journal.

Round N works in DIRECTORY/N/queue and dies before its Nth system call. What it knew to be done when it died stands in
DIRECTORY/N/done. Ends after the first round that survives.
"""

import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from mta.config.schema import SpoolSettings
from mta.logger import Logger
from mta.outbound.qfile import HELD_MS, TEMPORARY, QueueFileName
from mta.outbound.spool import Spool
from tests.support.disk import DieAt, SteppingDisk
from tests.support.entries import LARGE, NOW, SMALL, Message, todo


def main() -> None:
    for number in count(1):
        directory = Path(sys.argv[1], str(number))
        directory.mkdir()
        pid = os.fork()
        if pid == 0:
            live(directory, number, sys.argv[2])
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):  # it survived, or a step went wrong
            sys.exit(os.waitstatus_to_exitcode(status))


def live(directory: Path, number: int, intake: str) -> None:
    done = os.open(directory / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(word: str) -> None:
        os.write(done, f"{word}\n".encode())

    death = DieAt(number)
    spool = Spool(
        directory / "queue",
        Logger(),
        hostname="h",
        disk=SteppingDisk(death),
        journal=SpoolSettings(intake, journal_max_message=2 * len(LARGE)),
    )
    spool.open()
    spool.commit([todo(9)], Message(SMALL), NOW, passing=True)
    death.armed = True
    (alone,) = spool.commit([todo(4, rcpts=2)], Message(SMALL), NOW, passing=True)
    tell("committed_alone")
    todos = [todo(1), todo(2, rcpts=2), todo(3)]
    moved, rewritten, forgotten = spool.commit(todos, Message(LARGE), NOW, passing=True)
    tell("committed")
    moved = spool.reschedule(moved, 1, NOW + 64_000)
    tell("rescheduled")
    tell("rewriting")
    spool.rewrite(rewritten, todo(2, rcpts=1))
    tell("rewritten")
    tell("forgetting")
    spool.forget(forgotten)
    spool.sync()
    tell("forgotten")
    tell("quarantining")
    spool.quarantine(moved)
    tell("quarantined")
    partly_delivered(spool, alone, tell)
    start_again(directory / "queue", spool, death)
    tell("started_again")


def partly_delivered(spool: Spool, name: QueueFileName, tell: Callable[[str], None]) -> None:
    """What settling does: the envelope first, then the attempt is counted; then an operator holds it and lets it go."""
    tell("rewriting")
    spool.rewrite(name, todo(4, rcpts=1))
    tell("rewritten_alone")
    name = spool.reschedule(name, 2, NOW + 128_000)
    tell("rescheduled_alone")
    name = spool.reschedule(name, 2, HELD_MS)
    tell("held")
    tell("releasing")
    spool.reschedule(name, 2, NOW)
    tell("released")


def start_again(queue: Path, spool: Spool, death: DieAt) -> None:
    """Sweep what a crash left behind, dying at that too."""
    spool.close()
    for number in range(3):
        (queue / f"{TEMPORARY}{NOW}_{NOW}_0_1_left_{number}_h").write_bytes(LARGE[:1000])
    again = Spool(queue, Logger(write=lambda line: None), hostname="h", disk=SteppingDisk(death))
    again.open()
    assert len(list(again.walk())) == 3
    again.close()


if __name__ == "__main__":
    main()
