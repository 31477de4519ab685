"""`haraka queue` against a real server, and against the directory alone."""

from __future__ import annotations

import json
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import server
from tests.support.command import haraka
from tests.support.fake_mx import FakeMx
from tests.support.server import Server, eventually

MESSAGE = "Subject: hi\r\n\r\n.leading dot\r\nbody\r\n"


@pytest.fixture
def relay(tmp_path: Path, mx: FakeMx) -> Iterator[Server]:
    """A relay whose next hop turns everything away for now."""
    mx.reply("rcpt", "451 4.7.1 greylisted")
    running = server.relay(tmp_path / "relay", mx.port, retries="1h*3")
    running.start()
    yield running
    running.kill()


def send(relay: Server, *rcpts: str) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port) as smtp:
        smtp.sendmail("ann@a.test", list(rcpts), MESSAGE)


def queue(relay: Server, *words: str) -> subprocess.CompletedProcess[str]:
    verb, *rest = words
    return haraka("queue", verb, "-c", str(relay.directory), *rest)


def listed(relay: Server, *words: str) -> list[dict]:
    return json.loads(queue(relay, "list", "--json", *words).stdout)


def deferred(relay: Server, *rcpts: str) -> list[dict]:
    """Send mail and wait until each has been put off once."""
    for rcpt in rcpts:
        send(relay, rcpt)
    assert eventually(
        lambda: [name.split("_")[2] for name in relay.entries()] == ["1"] * len(rcpts), interval=0.05
    )
    return listed(relay)


def test_a_day_of_an_operator(relay: Server, mx: FakeMx, tmp_path: Path) -> None:
    joe, sue = deferred(relay, "joe@b.test", "sue@c.test")
    assert (joe["to"], joe["attempts"], joe["error"]) == (
        ["joe@b.test"],
        1,
        "127.0.0.1: 451 4.7.1 greylisted",
    )
    assert joe["state"] == "backoff" and 3000 < joe["due"] < 4000

    text = queue(relay, "list").stdout.splitlines()
    assert text[0].split()[:5] == ["ID", "AGE", "SIZE", "TRIES", "STATE"]
    assert joe["id"] in text[1] and "451 4.7.1 greylisted" in text[1]
    assert [each["id"] for each in listed(relay, "error~greylist", "domain:c.*")] == [sue["id"]]
    assert queue(relay, "find", "domain:nowhere").returncode == 1

    why = queue(relay, "why", joe["id"])
    assert why.returncode == 0
    assert f"{joe['id']}: backoff: the next attempt is not due, until 2" in why.stdout
    assert "greylisted" in why.stdout
    shown = queue(relay, "show", joe["uuid"], "--message").stdout
    assert "from:      <ann@a.test>" in shown and "..leading dot" in shown

    assert queue(relay, "hold", joe["id"]).stdout == "hold: 1 done\n"
    assert [each["state"] for each in listed(relay, "held")] == ["held"]
    dry = queue(relay, "delete", "--match", "held").stdout
    assert dry.endswith("1 to delete; nothing is done without --yes\n") and len(listed(relay)) == 2
    assert queue(relay, "release", joe["id"]).stdout == "release: 1 done\n"

    out = tmp_path / "out"
    out.mkdir()
    assert queue(relay, "export", sue["id"], "-d", str(out)).returncode == 0
    assert (out / f"{sue['id']}.eml").read_bytes().endswith(b"\r\n\r\n.leading dot\r\nbody\r\n")
    assert json.loads((out / f"{sue['id']}.json").read_text())["to"] == ["sue@c.test"]

    suspended = queue(relay, "suspend", "127.0.0.1", "--for", "2h", "--reason", "they asked")
    assert suspended.stdout.startswith("127.0.0.1 suspended until 2")
    mx.reply("rcpt", "250 ok")
    assert queue(relay, "retry", "--match", "", "--yes").stdout.startswith("retry: ")
    assert eventually(
        lambda: "suspended: 127.0.0.1 is suspended (they asked)" in queue(relay, "why", sue["id"]).stdout
    )
    stats = queue(relay, "stats").stdout
    assert "suspended:    127.0.0.1 until" in stats and "127.0.0.1 " in stats
    assert queue(relay, "resume", "127.0.0.1").stdout == "127.0.0.1 resumed\n"
    assert queue(relay, "resume", "127.0.0.1").returncode == 1
    assert eventually(lambda: sorted(mx.rcpts()) == ["joe@b.test", "sue@c.test"])
    assert listed(relay) == []


def test_delete_bounce_and_the_old_switches(relay: Server, mx: FakeMx) -> None:
    joe, sue = deferred(relay, "joe@b.test", "sue@c.test")
    assert queue(relay, "delete", joe["id"], "nothing").stdout == "delete: 1 done\n"
    mx.reply("rcpt", "250 ok")
    assert queue(relay, "bounce", sue["id"], "--reason", "account closed").stdout == "bounce: 1 done\n"
    assert eventually(lambda: mx.rcpts() == ["ann@a.test"])
    assert b"account closed" in mx.messages[0].data
    mx.reply("rcpt", "451 later")
    deferred(relay, "bob@d.test", "tim@e.test")
    mx.reply("rcpt", "250 ok")
    assert haraka("--qunstick", "d.test", "-c", str(relay.directory)).stdout == "retry: 1 done\n"
    assert eventually(lambda: "bob@d.test" in mx.rcpts())
    assert "nothing is done" in haraka("--qempty", "-c", str(relay.directory)).stdout
    assert haraka("--qempty", "-f", "-c", str(relay.directory)).stdout == "delete: 1 done\n"
    assert listed(relay) == []


def test_without_a_server_the_directory_is_shown_and_nothing_changed(relay: Server) -> None:
    (joe,) = deferred(relay, "joe@b.test")
    relay.stop()
    shown = queue(relay, "list")
    assert joe["id"] in shown.stdout and "the server is not running" in shown.stderr
    assert "backoff: the next attempt is not due" in queue(relay, "why", joe["id"]).stdout
    assert "entries:    1" in queue(relay, "stats").stdout
    for words in (("hold", joe["id"]), ("flush",), ("suspend", "b.test")):
        refused = queue(relay, *words)
        assert (refused.returncode, refused.stderr) == (1, "haraka: the server is not running\n")
    live = queue(relay, "list", "site:x")
    assert live.returncode == 1 and "only a running server knows site" in live.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dance",), "invalid choice: 'dance'"),
        (("list", "colour:red"), "there is no key 'colour'"),
        (("hold",), "needs either IDs or --match EXPRESSION"),
        (("hold", "x", "--match", "held"), "needs either IDs or --match EXPRESSION"),
        (("suspend", "x", "--for", "soon"), "a time is a number with s, m, h or d"),
        (("reroute", "x"), "--to"),
    ],
)
def test_usage(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "queue").mkdir()
    verb, *rest = words
    result = haraka("queue", verb, "-c", str(tmp_path), *rest)
    assert result.returncode == 2 and message in result.stderr
