"""`haraka trace` on what real servers wrote about real sessions and deliveries."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.cli.trace_lines import parse, rotated
from mta.cli.trace_story import since
from mta.cli.trace_target import related
from tests.support import server
from tests.support.client import RawClient
from tests.support.command import HARAKA, haraka
from tests.support.fake_mx import FakeMx
from tests.support.server import Server, eventually

MESSAGE = b"Subject: hi\r\nMessage-Id: <spring.1@a.test>\r\n\r\nbody\r\n"
UUID = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"


def started(directory: Path, mx: FakeMx, log_ini: str) -> Server:
    return server.relay(directory, mx.port, {"log.ini": log_ini}, retries="1h*3").start()


@pytest.fixture
def relay(tmp_path: Path, mx: FakeMx) -> Iterator[Server]:
    """A relay with events, whose next hop first turns b.test away for now and c.test for good."""
    mx.reply("rcpt", "451 4.7.1 greylisted", rcpt="joe@b.test")
    mx.reply("rcpt", "550 5.1.1 no such user", rcpt="sue@c.test")
    running = started(tmp_path / "relay", mx, "[events]\nfile=log/events.jsonl\n")
    yield running
    running.kill()


def send(running: Server, *rcpts: str, message: bytes = MESSAGE) -> str:
    """Send a mail; its uuid."""
    with RawClient(running.port) as client:
        answer = client.send("ann@a.test", rcpts, message)
        client.command("QUIT")
    return re.search(rf"{UUID}\.1", answer)[0]


def trace(running: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return haraka("trace", *words, "-c", str(running.directory))


def told(running: Server, uuid: str, *words: str) -> list[list[str]]:
    """The lines of the story, each as time, number, event, and the rest."""
    result = trace(running, uuid, *words)
    assert result.returncode == 0, result.stderr
    return [line.split(None, 3) for line in result.stdout.splitlines()]


def settled(running: Server, uuid: str, *events: str) -> None:
    """Wait until the trace of a mail has all these events."""

    def there() -> bool:
        said = trace(running, uuid).stdout
        return all(f" {event} " in said for event in events)

    assert eventually(there, 15, 0.2), running.log


def test_the_whole_life_of_a_message(relay: Server, mx: FakeMx) -> None:
    uuid = send(relay, "joe@b.test", "sue@c.test", "tom@d.test")
    settled(relay, uuid, "deferred", "bounced", "delivered", "disconnect")
    assert eventually(lambda: trace(relay, uuid).stdout.count(" delivered ") == 2, 15, 0.2)
    lines = told(relay, uuid)
    assert lines[0] == [uuid] and lines[1][0] == "since"
    own = [
        (number, event)
        for time, number, event, *_ in lines[2:-1]
        if time.startswith("+") and number[0] in ".-"
    ]
    assert own[:7] == [
        ("-", "connect"),
        (".1", "mail"),
        *[(".1", "rcpt")] * 3,
        (".1", "queue"),
        (".1", "queue"),
    ]
    assert {
        (".1", "data"),
        ("-", "disconnect"),
        (".1.1", "deferred"),
        (".1.2", "bounced"),
        (".1.3", "delivered"),
    } <= set(own)
    text = trace(relay, uuid).stdout
    assert "<ann@a.test> from client.test with ESMTP: accepted: 250 2.1.0" in text
    assert "451 4.7.1 greylisted; again at 2" in text
    assert "550 5.1.1 no such user; the sender is told" in text
    assert f"<tom@d.test> to 127.0.0.1 [127.0.0.1]:{mx.port}: 250 2.0.0 taken (attempt 1)" in text
    assert re.search(r"now  \.1\.1 +waits +\w{6}: backoff: the next attempt is not due", text)
    assert lines[-1][:3] == ["in", "the", "end"]
    assert set(lines[-1][3].split(", ")) == {"1 waiting", "1 bounced", "2 delivered"}


def test_the_report_is_a_part_of_the_story(relay: Server) -> None:
    uuid = send(relay, "sue@c.test")
    settled(relay, uuid, "bounced", "delivered")
    lines = [line for line in told(relay, uuid) if len(line) == 4]
    queued = [line for line in lines if line[2] == "queue"]
    assert queued[1][3] == f"a mail of our own from <>, about {uuid}.1"
    report = queued[1][1]
    assert re.fullmatch("[0-9A-F]{8}", report)
    assert [line[1] for line in lines if line[2] == "delivered"] == [f"{report}.1"]


def test_a_beginning_an_entry_a_session_and_a_message_id(relay: Server) -> None:
    uuid = send(relay, "tom@d.test", "zoe@e.test")
    settled(relay, uuid, "delivered", "disconnect")
    assert eventually(lambda: trace(relay, uuid).stdout.count(" delivered ") == 2, 15, 0.2)
    whole = trace(relay, uuid).stdout
    session = uuid.removesuffix(".1")
    for name in (uuid[:8], uuid[:8].lower(), session, uuid.lower(), "spring.1@a.test", "<spring.1@a.test>"):
        assert trace(relay, name).stdout.splitlines()[1:] == whole.splitlines()[1:], name
    entry = trace(relay, f"{uuid}.2").stdout
    assert "zoe@e.test" in entry and " connect " in entry
    assert not [line for line in entry.splitlines() if " .1.1 " in line]
    assert trace(relay, f"{uuid[:8]}.7").stdout.count("mail") == 0


def test_what_is_only_in_the_queue(tmp_path: Path, mx: FakeMx) -> None:
    mx.reply("rcpt", "451 4.7.1 greylisted")
    running = started(tmp_path / "relay", mx, "[main]\nlevel=info\n")
    try:
        uuid = send(running, "joe@b.test")
        assert eventually(running.deferred)
        result = trace(running, uuid)
        assert result.returncode == 0 and "no [events] file" in result.stderr
        assert "greylisted" not in result.stdout and "backoff" in result.stdout
        assert result.stdout.splitlines()[-1].strip() == "in the end  1 waiting"
        running.stop()
        assert "backoff" in trace(running, uuid[:10]).stdout
    finally:
        running.kill()


def test_nothing_known(relay: Server) -> None:
    result = trace(relay, "ABCDEF")
    assert result.returncode == 1 and result.stdout == ""
    assert "nothing is known about ABCDEF in" in result.stderr and "events.jsonl, the queue" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["ABCDE", "--log", "/dev/null"],
            "'ABCDE' is too short: trace takes a uuid, or at least 6 characters of one",
        ),
        (["ABCDEF"], "haraka trace needs -c DIR, or --log FILE, or both"),
        ([], "the following arguments are required: id"),
    ],
)
def test_what_makes_no_sense(words: list[str], said: str) -> None:
    result = haraka("trace", *words)
    assert result.returncode == 2 and said in result.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = haraka("trace", "ABCDEF", "--log", str(tmp_path / "none"))
    assert result.returncode == 1 and "No such file or directory" in result.stderr


def test_json(relay: Server) -> None:
    uuid = send(relay, "joe@b.test")
    settled(relay, uuid, "deferred", "disconnect")
    found = json.loads(trace(relay, uuid, "--json").stdout)
    assert found["traced"] == [uuid]
    assert {event["event"] for event in found["events"]} >= {
        "connect",
        "mail",
        "queue",
        "deferred",
        "disconnect",
    }
    assert [event["v"] for event in found["events"]] == [1] * len(found["events"])
    assert [entry["uuid"] for entry in found["queue"]] == [f"{uuid}.1"]


def test_rotated_and_packed_files_are_read(relay: Server) -> None:
    uuid = send(relay, "tom@d.test")
    settled(relay, uuid, "delivered", "disconnect")
    relay.stop()
    before = trace(relay, uuid).stdout
    path = relay.directory / "log" / "events.jsonl"
    half = path.read_bytes().splitlines(keepends=True)
    with gzip.open(path.with_name("events.jsonl-20261126.gz"), "wb") as packed:
        packed.writelines(half[:4])
    path.with_name("events.jsonl.1").write_bytes(b"".join(half[4:6]))
    path.write_bytes(b"".join(half[6:]))
    assert trace(relay, uuid).stdout == before and before.count(" rcpt ") == 1


def test_which_names_are_rotated_ones(tmp_path: Path) -> None:
    ours = ("log", "log.1", "log.2.gz", "log-20261126", "log-20261126.gz", "log-2026-11-26", "log.gz")
    for name in (*ours, "log.bak", "logs", "log.1.txt", "other", "log.json"):
        (tmp_path / name).touch()
    assert {path.name for path in rotated(tmp_path / "log")} == set(ours)
    assert rotated(tmp_path / "no" / "log") == []


@pytest.mark.parametrize("format", ["default", "logfmt", "json"])
@pytest.mark.parametrize("timestamps", ["true", pytest.param("false", marks=pytest.mark.slow)])
def test_a_log_tells_the_story_where_there_are_no_events(
    tmp_path: Path, mx: FakeMx, format: str, timestamps: str
) -> None:
    mx.reply("rcpt", "550 5.1.1 no such user", "250 ok")
    ini = f"[main]\nlevel=info\nformat={format}\ntimestamps={timestamps}\n"
    running = started(tmp_path / "relay", mx, ini)
    log = str(running.log_file)
    try:
        uuid = send(running, "sue@c.test")
        assert eventually(lambda: "msgs=1/0/0" in running.log or '"msgs": "1/0/0"' in running.log)
        assert eventually(lambda: mx.messages)
        assert eventually(lambda: running.log.count("delivered") >= 1)
    finally:
        running.stop()
    result = haraka("trace", uuid[:12], "--log", log)
    text = result.stdout
    assert result.returncode == 0, result.stderr
    assert re.search(r"NOTICE +\[core\] connect ip=127.0.0.1", text)
    assert re.search(r"\.1 +NOTICE +\[core\] sender <ann@a.test>", text)
    assert re.search(
        r"\.1\.1 +NOTICE +\[outbound\] recipient <sue@c.test> rejected: 550 5.1.1 no such user", text
    )
    report = [line for line in text.splitlines() if "[outbound] delivered" in line]
    assert len(report) == 1 and re.search(r" [0-9A-F]{8}\.1 ", report[0])
    assert ("+0.000" in text) == (timestamps == "true")
    assert haraka("trace", "<spring.1@a.test>", "--log", log).stdout.splitlines()[1:] == text.splitlines()[1:]


def test_lines_may_come_from_a_pipe_with_anything_in_front(relay: Server) -> None:
    uuid = send(relay, "sue@c.test")
    settled(relay, uuid, "bounced", "delivered")
    relay.stop()
    events = (relay.directory / "log" / "events.jsonl").read_text()
    piped = "".join(f"Nov 26 01:02:03 mx haraka[12]: {line}\n" for line in events.splitlines())
    result = subprocess.run(
        [sys.executable, HARAKA, "trace", uuid, "--log", "-"],
        input="not a line of ours { [x] uuid=\n" + piped,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    )
    assert result.stdout == trace(relay, uuid).stdout and " bounced " in result.stdout


def test_a_beginning_of_several_is_not_guessed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("[INFO] [AAAAAA11.1] [core] one\n[INFO] [AAAAAA22.1] [core] two\n")
    result = haraka("trace", "AAAAAA", "--log", str(log))
    assert result.returncode == 1 and "AAAAAA may be AAAAAA11, AAAAAA22" in result.stderr
    assert "one" in haraka("trace", "aaaaaa1", "--log", str(log)).stdout


def test_a_stranger_does_not_write_to_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        json.dumps({"event": "new", "id": "AAAAAAAA", "time": "x", "what": "\x1b[2J\n\u202e"}) + "\n"
    )
    text = haraka("trace", "AAAAAAAA", "--log", str(log)).stdout
    assert "what=\\x1b[2J\\n\\u202e" in text and "\x1b" not in text


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[1, 2]",
        '{"event": 1, "id": "X"}',
        '{"uuid": 5, "message": "x"}',
        "uuid=",
        "uuid=X level=INFO",
        "[INFO] [x y] [z] m",
        "{" * 100_000,
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert parse(line) is None


def test_an_event_of_another_version_is_shown_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"event":"rcpt","id":"AAAAAAAA.1","time":"2026-11-26T01:02:03.004Z","v":9,"to":"joe"}\n')
    assert "rcpt      to=joe" in haraka("trace", "AAAAAAAA", "--log", str(log)).stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "+0.000"), (59.9, "+59.900"), (62.5, "+1:02.500"), (7384, "+2:03:04"), (263045, "+3d 01:04:05")],
)
def test_times_since_the_first_event(seconds: float, text: str) -> None:
    assert since(seconds) == text


@pytest.mark.parametrize(
    ("uuid", "target", "answer"),
    [
        ("A", "A.1", True),
        ("A.1", "A", True),
        ("A.1.2", "A.1", True),
        ("A.1", "A.1.2", True),
        ("A.1.1", "A.1.2", False),
        ("A.2", "A.1", False),
        ("A.10", "A.1", False),
        ("AB", "A", False),
    ],
)
def test_what_belongs_to_what(uuid: str, target: str, answer: bool) -> None:
    assert related(uuid, target) is answer
