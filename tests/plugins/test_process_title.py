"""process_title: what ps shows of workers and of their master, and that it is true."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
from pathlib import Path

import pytest

from mta.plugin import Title, TitleBar
from mta.processes.board import FIELDS
from mta.processes.title import MasterTitle
from tests.support.client import RawClient
from tests.support.ports import free_port
from tests.support.server import RELAY_CONFIG, Server, eventually, outbound_ini

HAS_PACKAGE = importlib.util.find_spec("setproctitle") is not None
MESSAGE = b"Subject: hi\r\n\r\nhello\r\n"
FIGURES = {
    "accepted": 2,
    "connections": 1,
    "recipients": 8,
    "received": 2,
    "put_off": 1,
    "rejected": 1,
    "in_progress": 1,
    "ready": 2,
    "parked": 3,
    "scheduled": 4,
    "held": 5,
}


def test_the_fields_of_haraka() -> None:
    assert FIGURES.keys() <= set(FIELDS)
    assert Title().after(4, FIGURES) == (
        "Haraka cn=2 cc=1 cps=2/0.5/2 rcpts=8/2 rps=8/2/8 msgs=4/2 mps=4/1/4 out=1/5/9"
    )
    assert Title(" (worker)").after(1, {}) == (
        "Haraka (worker) cn=0 cc=0 cps=0/0/0 rcpts=0/0 rps=0/0/0 msgs=0/0 mps=0/0/0 out=0/0/0"
    )


def test_rates_are_of_the_last_second() -> None:
    title, rates = Title(), []
    for total in (5, 6, 6):
        rates.append(re.search(r"cps=(\S+)", title.after(2, {"accepted": total}))[1])
    assert rates == ["5/2.5/5", "1/3/5", "0/3/5"]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["relay", "process_title"], True),
        (["haraka-plugin-process_title"], True),
        (["mine: process_title"], True),
        (["process_title: mine"], False),
        (["relay"], False),
    ],
)
def test_the_master_shows_the_sums_when_the_plugin_is_listed(lines: list[str], wanted: bool) -> None:
    title = MasterTitle()
    assert title.pause() is None
    title.read(lines)
    assert (title.pause() is not None) is wanted


def server(directory: Path, nodes: int) -> Server:
    config = {
        **RELAY_CONFIG,
        "plugins": "relay\nprocess_title\n",
        "outbound.ini": outbound_ini(free_port(), "1h"),
    }
    config["smtp.ini"] += f"nodes={nodes}\n"
    return Server(directory, config)


def shown(pid: int) -> str:
    """What ps shows: the command line, or the short name."""
    whole = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    return whole if HAS_PACKAGE else Path(f"/proc/{pid}/comm").read_text().strip()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_one_process(tmp_path: Path) -> None:
    with server(tmp_path, 0) as running, RawClient(running.port) as client:
        client.send("ann@a.test", ["one@b.test", "two@b.test"], MESSAGE)
        # The server's own first client is the one that waited for the banner.
        pattern = (
            r"Haraka cn=2 cc=1 .* rcpts=2/2 .* msgs=1/0.5 .* out=0/0/1" if HAS_PACKAGE else r"haraka cc=1"
        )
        assert eventually(lambda: re.fullmatch(pattern, shown(running.pid))), shown(running.pid)


def test_two_workers_and_their_master(tmp_path: Path) -> None:
    with server(tmp_path, 2) as running:
        pids = children(running.pid)
        with RawClient(running.port) as one, RawClient(running.port) as other:
            for client in (one, other):
                client.send("ann@a.test", ["one@b.test"], MESSAGE)
            worker = r"Haraka \(worker\) cn=\d+ cc=\d .*" if HAS_PACKAGE else r"haraka cc=\d"
            assert eventually(lambda: all(re.fullmatch(worker, shown(pid)) for pid in pids))
            assert eventually(lambda: sum(connected(pid) for pid in pids) == 2)
            sums = (
                r"Haraka \(master\) cn=3 cc=2 .* rcpts=2/1 .* msgs=2/.* out=0/0/2 respawn=0"
                if HAS_PACKAGE
                else r"haraka all=2"
            )
            assert eventually(lambda: re.fullmatch(sums, shown(running.pid))), shown(running.pid)
        os.kill(pids[0], signal.SIGKILL)
        assert eventually(lambda: "respawn=1" in shown(running.pid) or not HAS_PACKAGE)


def connected(pid: int) -> int:
    found = re.search(r"\bcc=(\d+)", shown(pid))
    return int(found[1]) if found else 0


def test_without_the_package_there_is_a_short_name() -> None:
    """In a process of its own, for a name is hard to take back."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        bar = TitleBar()
        bar._set_title = None
        bar.show("Haraka " + "x" * 100, "haraka cc=1234567890")
        os.write(writing, Path("/proc/self/comm").read_bytes())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        assert pipe.read().strip() == "haraka cc=12345"
