"""Kill a process at each step of an entry's life: python -m tests.support.spool_crash DIRECTORY.

Round N works in DIRECTORY/N/queue and dies before its Nth system call. What it knew to be done when it died stands in
DIRECTORY/N/done. Ends after the first round that survives.
"""

import os
import sys
from itertools import count
from pathlib import Path

from mta.logger import Logger
from mta.outbound.spool import Spool
from tests.support.disk import DieAt, SteppingDisk
from tests.support.entries import LARGE, NOW, SMALL, Message, todo


def main() -> None:
    for number in count(1):
        directory = Path(sys.argv[1], str(number))
        directory.mkdir()
        pid = os.fork()
        if pid == 0:
            live(directory, number)
            os._exit(0)
        if os.waitpid(pid, 0)[1] == 0:
            return


def live(directory: Path, number: int) -> None:
    done = os.open(directory / "done", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(word: str) -> None:
        os.write(done, f"{word}\n".encode())

    death = DieAt(number)
    spool = Spool(directory / "queue", Logger(), hostname="h", disk=SteppingDisk(death))
    spool.open()
    spool.commit([todo(9)], Message(SMALL), NOW)
    death.armed = True
    moved, rewritten, forgotten = spool.commit([todo(1), todo(2, rcpts=2), todo(3)], Message(LARGE), NOW)
    tell("committed")
    moved = spool.reschedule(moved, 1, NOW + 64_000)
    tell("rescheduled")
    tell("rewriting")
    spool.rewrite(rewritten, todo(2, rcpts=1))
    tell("rewritten")
    tell("forgetting")
    spool.forget(forgotten)
    tell("forgotten")
    tell("quarantining")
    spool.quarantine(moved)
    tell("quarantined")
    spool.close()


if __name__ == "__main__":
    main()
