"""`haraka demo`: three messages really go through, and it says so."""

from __future__ import annotations

import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mta.cli import demo
from mta.cli.demo_messages import letters
from mta.cli.demo_sink import Sink
from mta.cli.errors import CommandError
from mta.logger import Logger
from tests.support.command import HARAKA, haraka
from tests.support.ports import free_port


def rows(output: str) -> list[list[str]]:
    """The cells of the table, which are two or more blanks apart."""
    table = output.split("\n\n")[1]
    return [re.split(r" {2,}", line) for line in table.splitlines()]


def test_once_shows_the_way_of_three_messages(tmp_path: Path) -> None:
    result = haraka("demo", "--once", "--port", str(free_port()), TMPDIR=str(tmp_path))
    assert (result.returncode, result.stderr) == (0, "")
    heading, *messages = rows(result.stdout)
    assert heading == ["Message", "Accepted", "Queued as", "Delivered", "Lies in Maildir/new"]
    assert [row[0] for row in messages] == ["plain text", "with an attachment", "UTF-8 addresses"]
    for row in messages:
        assert row[1] == "250"
        assert re.fullmatch(r"[0-9A-F]{8}-[0-9A-F-]{27}\.1", row[2])
        assert re.fullmatch(r"after \d+ ms", row[3])
    assert len({row[4] for row in messages}) == 3
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = haraka("demo", "--once", "--port", str(port), TMPDIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"haraka: cannot listen on 127.0.0.1:{port}: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_messages_that_do_not_arrive_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "PATIENCE", 0.2)
    lines: list[str] = []
    swallows, waits = (Sink(tmp_path / name, Logger(write=lines.append)) for name in ("a", "b"))
    swallows.start()
    try:
        with pytest.raises(CommandError, match=r"3 of 3 messages did not arrive within 0\.2 s"):
            demo._show_the_way(letters(), swallows.port, waits)
    finally:
        swallows.stop()
        waits.stop()
    assert [row[3] for row in rows("\n\n" + capsys.readouterr().out)[1:]] == ["no", "no", "no"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stays_up_and_what_it_suggests_works(tmp_path: Path, number: signal.Signals) -> None:
    port = str(free_port())
    process = subprocess.Popen(
        [sys.executable, HARAKA, "demo", "--port", port],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    alarm = threading.Timer(40, process.kill)
    alarm.start()
    try:
        assert process.stdout is not None
        shown = ""
        while "sendmail(" not in shown:
            shown += process.stdout.readline()
        assert f"swaks --server 127.0.0.1:{port} " in shown
        snippet = shown[shown.index("  import smtplib") :]
        exec("\n".join(line[2:] for line in snippet.splitlines()), {"smtplib": smtplib})
        line = process.stdout.readline()
        while not line.startswith("arrived: "):
            assert line, "the demo ended"
            line = process.stdout.readline()
        arrived = Path(line.removeprefix("arrived: ").strip())
        message = message_from_bytes(arrived.read_bytes(), policy=policy.default)
        assert message["Subject"] == "hello"
        assert message.get_content() == "It works.\n"
        stored = [
            message_from_bytes(path.read_bytes(), policy=policy.default) for path in arrived.parent.iterdir()
        ]
        inbox = {each["Subject"]: each for each in stored}
        assert inbox.keys() == {"Plain text", "With an attachment", "Grüße 问候", "hello"}
        assert inbox["Plain text"].get_content() == "A line.\n.\n..a line that starts with dots\n"
        attachment = next(inbox["With an attachment"].iter_attachments())
        assert attachment.get_content() == bytes(range(256)) * 16
        assert str(inbox["Grüße 问候"]["To"]) == "用户@例子.example"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    finally:
        alarm.cancel()
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []
