"""A queue directory with very many entries, and a process that begins to deliver from it.

python -m tests.support.crowded_queue DIRECTORY PORT prints a line of JSON when every name is loaded: seconds since the
start, entries that wait, and bytes of memory that they take. It ends when its input is closed.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402  (after patching)
import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from mta.config.schema import OutboundSettings, SmarthostSettings  # noqa: E402
from tests.support.outbound import todo_for  # noqa: E402
from tests.support.proc import rss_kib  # noqa: E402
from tests.support.relay import Relay  # noqa: E402

MESSAGE = b"Subject: one of many\r\n\r\nhello\r\n"
DAY = 86_400_000  # milliseconds


def fill(directory: Path, later: int, due: int) -> None:
    """Write so many entries that are due tomorrow and so many that are due now, one among the others."""
    directory.mkdir()
    todo = todo_for(["joe@b.test"]).encode()
    content = len(todo).to_bytes(4, "big") + todo + MESSAGE
    now = int(time.time() * 1000)
    folder = os.open(directory, os.O_RDONLY)
    total = later + due
    for number in range(total):
        is_due = number * due // total != (number + 1) * due // total
        name = f"{now - DAY}_{now if is_due else now + DAY + number}_1_4711_aBcDeF_{number}_mail.example.com"
        fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
        os.write(fd, content)
        os.close(fd)
    os.close(folder)


def main() -> None:
    directory, port = Path(sys.argv[1]), int(sys.argv[2])
    site = Relay(directory, None)
    host = SmarthostSettings(host=(f"127.0.0.1:{port}",), tls="off")
    site.settings = OutboundSettings(smarthost=host, temp_fail_intervals=(3600,))
    site.open()
    before = rss_kib(os.getpid())
    begun = time.monotonic()
    site.outbound.start()
    while not site.logged("queue loaded"):
        gevent.sleep(0.05)
    loaded = time.monotonic() - begun
    memory = (rss_kib(os.getpid()) - before) * 1024
    print(
        json.dumps({"seconds": loaded, "waiting": site.outbound.engine.waiting, "bytes": memory}), flush=True
    )
    gevent.get_hub().threadpool.apply(sys.stdin.read)
    site.stop(0)


if __name__ == "__main__":
    main()
