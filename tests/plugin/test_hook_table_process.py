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
from mta.plugin.verdict import Code
from mta.worker import StartError, Worker
from tests.plugin.test_hook_table import place_of
from tests.support.hook_table import CELLS, Cell
from tests.support.install import eventually
from tests.support.server import Server

PLUGIN = """
from mta.plugin import DSN, {code}, Plugin


class Answers(Plugin):
    def register(self):
        self.register_hook("{hook}", self.answer)

    def answer(self, *args):
        self.server.notes.asked = True
        return {answer}

    def hook_noop(self, connection, argument):
        self.lognotice("marked line")
"""
ANSWERS = {"alone": "{}", '"words"': "{}, 'words'", "DSN": "{}, DSN.no_such_user('words')"}
FILES = {
    "smtp.ini": "listen=127.0.0.1:0\n",
    "http.ini": "listen=127.0.0.1:0\n",
    "outbound.ini": "disabled=true\n",
    "log.ini": "level=notice\n",
    "plugins": "answers\n",
    "me": "mx.example.test\n",
}


def install(directory: Path, cell: Cell) -> None:
    """An installation whose only plugin answers as a row says."""
    answer = ANSWERS[cell.column].format(cell.code.name)
    plugin = PLUGIN.format(code=cell.code.name, hook=cell.hook, answer=answer)
    for folder, files in (("config", FILES), ("plugins", {"answers.py": plugin})):
        (directory / folder).mkdir()
        for name, text in files.items():
            (directory / folder / name).write_text(text)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[Cell], Worker]]:
    """Makes the worker of a row; it is stopped in the end."""
    undo: list[Callable[[], object]] = []

    def worker_for(cell: Cell) -> Worker:
        install(tmp_path, cell)
        fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT, 0o600)
        worker = Worker(tmp_path, fd, one_of_many(tmp_path, undo) if cell.hook == "init_child" else None)
        undo.extend([worker.stop, lambda: os.close(fd)])
        return worker

    yield worker_for
    for each in undo:
        each()


def one_of_many(directory: Path, undo: list[Callable[[], object]]) -> Inherited:
    """What a master prepares for a second worker: only the first runs init_master."""
    open_directory(Disk(), directory / "queue")
    master, alive = os.pipe()
    undo.extend([lambda: os.close(master), lambda: os.close(alive)])
    return Inherited(Share(1, 2), bind_all(["127.0.0.1:0"]), [], master)


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
    assert "Listening on" in text or cell.effect == "not written"
    assert ("marked line" in text) is (cell.effect == "written")


EFFECTS: dict[str, Callable[[Cell, Worker], None]] = {
    "starts": starts,
    "does not start": does_not_start,
    "written": is_written,
    "not written": is_written,
}

ROWS = [cell for cell in CELLS if place_of(cell.hook) == "process"]


@pytest.mark.parametrize("cell", ROWS, ids=str)
def test_row(cell: Cell, make: Callable[[Cell], Worker]) -> None:
    worker = make(cell)
    EFFECTS[cell.effect.partition(":")[0]](cell, worker)
    assert eventually(lambda: worker._server.notes.get("asked"))


@pytest.mark.parametrize("hook", ["init_master", "init_child"])
@pytest.mark.parametrize("code", [Code.DENY, Code.DENYSOFT])
def test_a_server_of_several_processes_ends_with_status_1(hook: str, code: Code, tmp_path: Path) -> None:
    plugin = PLUGIN.format(code=code.name, hook=hook, answer=f"{code.name}, 'the moon is full'")
    config = {**FILES, "smtp.ini": "listen=127.0.0.1:{port}\nnodes=2\n", "http.ini": ""}
    server = Server(tmp_path, config, {"answers.py": plugin})
    status, printed = server.run_to_end()
    assert status == 1
    assert "plugin answers does not let the server start: the moon is full" in printed
