"""Every row of docs/Hooks.md about the process: whether a whole server starts, and what it writes to its log."""

from __future__ import annotations

import os
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from mta.inherited import Inherited
from mta.net.endpoint import bind_all
from mta.outbound.share import Share
from mta.outbound.spool_directory import open_directory
from mta.outbound.spool_disk import Disk
from mta.processes.board import Board
from mta.worker import StartError, Worker
from tests.support.hook_table import CELLS, FAILING, HANGS, RAISES, Cell, Failing, place_of
from tests.support.install import eventually
from tests.support.server import Server

pytestmark = pytest.mark.slow

PLUGIN = """
import time

from mta.plugin import CONT, DELAY, DENY, DENYDISCONNECT, DENYSOFT, DENYSOFTDISCONNECT, DISCONNECT, DSN, NEXT_HOOK, OK, STOP, Plugin


class Answers(Plugin):
    timeout = 0.5

    def register(self):
        self.register_hook("{hook}", self.answer)

    def answer(self, *args):
        self.server.notes.asked = True
        {answer}
"""
ANSWERS = {
    "alone": "return {}",
    '"words"': "return {}, 'words'",
    "DSN": "return {}, DSN.no_such_user('words')",
    RAISES: "raise ValueError('deliberately')",
    HANGS: "time.sleep(60)",
}
FILES = {
    "smtp.ini": "listen=127.0.0.1:0\n",
    "http.ini": "listen=127.0.0.1:0\n",
    "outbound.ini": "disabled=true\n",
    "log.ini": "level=notice\n",
    "plugins": "answers\n",
    "me": "mx.example.test\n",
}


def install(directory: Path, hook: str, answer: str) -> None:
    """An installation whose only plugin answers so at one hook."""
    plugin = PLUGIN.format(hook=hook, answer=answer)
    for folder, files in (("config", FILES), ("plugins", {"answers.py": plugin})):
        (directory / folder).mkdir()
        for name, text in files.items():
            (directory / folder / name).write_text(text)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Callable[[str, Cell], None]]:
    """Plays one row with a plugin that answers so; the worker is stopped in the end."""
    undo: list[Callable[[], object]] = []

    def perform(answer: str, cell: Cell) -> None:
        install(tmp_path, cell.hook, answer)
        fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        worker = Worker(tmp_path, fd, one_of_many(tmp_path, undo) if cell.hook == "init_child" else None)
        undo.extend([worker.stop, lambda: os.close(fd)])
        EFFECTS[cell.effect.partition(":")[0]](cell, worker)
        assert eventually(lambda: worker._server.notes.get("asked"))

    yield perform
    for each in undo:
        each()


def one_of_many(directory: Path, undo: list[Callable[[], object]]) -> Inherited:
    """What a master prepares for a second worker: only the first runs init_master."""
    queue = directory / "queue"
    open_directory(Disk(), queue)
    master, alive = os.pipe()
    undo.extend([lambda: os.close(master), lambda: os.close(alive)])
    board = Board(1)
    return Inherited(
        share=Share(1, 2),
        smtp=bind_all(["127.0.0.1:0"]),
        http=[],
        master=master,
        queue=queue,
        identity=None,
        board=board,
        line=board.take(1),
    )


def does_not_start(cell: Cell, worker: Worker) -> None:
    """It gives up with one line, which has the plugin's words."""
    with pytest.raises(StartError) as caught:
        worker.start()
    words = cell.effect.partition(": ")[2]
    assert str(caught.value) == "plugin answers does not let the server start" + (words and f": {words}")


def starts(cell: Cell, worker: Worker) -> None:
    """It serves."""
    worker.start()
    if cell.hook in ("init_http", "init_wss"):
        with pytest.raises(OSError, match="404"), urlopen(f"http://127.0.0.1:{worker.http_addresses[0][1]}/"):
            pass
    say_noop(worker)


def say_noop(worker: Worker) -> None:
    with smtplib.SMTP("127.0.0.1", worker.addresses[0][1]) as smtp:
        assert smtp.noop()[0] == 250


def is_written(cell: Cell, worker: Worker) -> None:
    worker.start()
    say_noop(worker)
    worker.stop()
    text = (worker.install_dir / "log").read_text()
    assert ("disconnect ip=127.0.0.1" in text) is (cell.effect == "written")


EFFECTS: dict[str, Callable[[Cell, Worker], None]] = {
    "starts": starts,
    "does not start": does_not_start,
    "written": is_written,
    "not written": is_written,
}

ROWS = [cell for cell in CELLS if place_of(cell.hook) == "process"]
FAILURES = [failing for failing in FAILING if place_of(failing.cell.hook) == "process"]


@pytest.mark.parametrize("cell", ROWS, ids=str)
def test_row(cell: Cell, play: Callable[[str, Cell], None]) -> None:
    play(ANSWERS[cell.column].format(cell.code.name), cell)


@pytest.mark.parametrize("failing", FAILURES, ids=str)
def test_a_plugin_that_fails(failing: Failing, play: Callable[[str, Cell], None]) -> None:
    play(ANSWERS[failing.how], failing.cell)


@pytest.mark.parametrize("hook", ["init_master", "init_child"])
def test_a_server_of_several_processes_ends_with_status_1(hook: str, tmp_path: Path) -> None:
    plugin = PLUGIN.format(hook=hook, answer="return DENY, 'the moon is full'")
    config = {**FILES, "smtp.ini": "listen=127.0.0.1:{port}\nnodes=2\n", "http.ini": ""}
    server = Server(tmp_path, config, {"answers.py": plugin})
    status, printed = server.run_to_end(30.0)
    assert status == 1
    assert "plugin answers does not let the server start: the moon is full" in printed
