"""Before the client reads 250 the data, the names and the directory are synced: seen from the system calls."""

import os
import re
import signal
import smtplib
from pathlib import Path

import pytest

from tests.support import needs, server
from tests.support.sink import RecordingSink

CALL = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)(.*)")
TRACED = "openat,fdatasync,fsync,rename,renameat,sendto"
SENT = "Message Queued"


def system_calls(trace: Path) -> list[tuple[str, str]]:
    """The calls of a trace in order, name and the rest of the line: a send counts when it begins, others when they end."""
    calls = []
    begun: dict[str, str] = {}  # what a thread had said when another one's call came in between
    for line in trace.read_text(errors="replace").splitlines():
        match = CALL.match(line)
        if match is None:
            continue
        thread, name, rest = match.groups()
        if "<unfinished" in line and name != "sendto":
            begun[thread] = rest
        elif f"<... {name}" not in line:
            calls.append((name, rest))
        elif name != "sendto":
            calls.append((name, begun.pop(thread, "") + rest))
    return calls


def traced_calls(directory: Path, sink: RecordingSink, intake: str, *messages: int) -> list[tuple[str, str]]:
    """The system calls of a relay that gets one message after another, each for so many domains."""
    needs.program("strace", "strace")
    trace = directory / "trace"
    command = ("strace", "-f", "-qq", "-s", "64", "-e", f"trace={TRACED}", "-o", str(trace), *server.OURS)
    relay = server.relay(directory / "relay", sink.port, command=command, intake=intake)
    relay.start()
    try:
        with smtplib.SMTP("127.0.0.1", relay.port, timeout=20) as smtp:
            for domains in messages:
                rcpts = [f"b@d{number}.test" for number in range(domains)]
                smtp.sendmail("a@example.org", rcpts, "Subject: hi\r\n\r\nbody\r\n")
    finally:
        os.killpg(relay.pid, signal.SIGTERM)  # strace itself waits for the server to end
        relay.stop()
    return system_calls(trace)


def replies_at(calls: list[tuple[str, str]]) -> list[int]:
    return [at for at, (name, rest) in enumerate(calls) if name == "sendto" and SENT in rest]


@pytest.mark.parametrize("domains", [1, 3])
def test_a_file_is_synced_before_250(tmp_path: Path, sink: RecordingSink, domains: int) -> None:
    calls = traced_calls(tmp_path, sink, "files", domains)
    (said,) = replies_at(calls)
    greeted = next(at for at, (name, _) in enumerate(calls) if name == "sendto")
    before = [name for name, rest in calls[greeted:said] if not rest.endswith("-1")]
    renames = [at for at, name in enumerate(before) if name.startswith("rename")]
    assert len(renames) == domains
    assert before[: renames[0]].count("fdatasync") == domains
    assert "fsync" in before[renames[-1] :], "the directory was not synced after the last rename"


def test_the_journal_is_synced_before_250(tmp_path: Path, sink: RecordingSink) -> None:
    calls = traced_calls(tmp_path, sink, "journal", 3, 1)
    first, second = replies_at(calls)
    begun = next(at for at, (name, rest) in enumerate(calls) if name == "openat" and '"journal.' in rest)
    steps = [name for name, rest in calls[begun:first] if not rest.endswith("-1")]
    assert [step for step in steps if step.startswith("f")][:2] == ["fdatasync", "fsync"], (
        "data, then its name"
    )
    assert "fdatasync" in [name for name, _ in calls[first:second]]
    assert not any(name.startswith("rename") for name, _ in calls[begun:second])
