"""Plugin.run: what a program gets, what comes back, and that nothing of it is left, however it ends."""

from __future__ import annotations

import inspect
import os
import re
import resource
import signal
import time
from pathlib import Path

import gevent
import pytest

from mta.paths import DOCS
from mta.plugin import (
    DENYSOFT,
    Finished,
    OutputTooLarge,
    Plugin,
    ProgramError,
    ProgramNotStarted,
    ProgramTimeout,
)
from tests.support.plugins import connection_from, runner_of
from tests.support.server import eventually
from tests.support.service import Inbound


class Runs(Plugin):
    """Runs a program at hook noop, and says how that went."""

    name = "runs"
    cmd: list[str] = []
    options: dict[str, object] = {}
    cleaned = False

    def hook_noop(self, connection, argument):
        client = {"client": connection} if self.options.get("client") else {}
        try:
            self.run(self.cmd, timeout=600, **client)
        finally:
            self.cleaned = True


def sh(script: str, *args: object, **options: object) -> Finished:
    return Runs().run(["sh", "-c", script, "sh", *map(str, args)], **options)


def numbers(path: Path) -> list[int]:
    """The process ids that a script has written, once the line is complete."""
    assert eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    return [int(word) for word in path.read_text().split()]


def is_gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


# $1 is told who runs; both would stay for ever.
FOR_EVER = 'sleep 100000 & echo $$ $! > "$1"; wait'


# ---- in and out


def test_bytes_go_in_and_bytes_come_out():
    every_byte = bytes(range(256))
    assert Runs().run(["cat"], every_byte) == Finished(0, every_byte, b"")


def test_the_streams_are_kept_apart_and_the_status_is_told():
    assert sh("echo out; echo err >&2; exit 7") == Finished(7, b"out\n", b"err\n")


def test_a_signal_is_a_negative_status():
    assert sh("kill -9 $$").code == -signal.SIGKILL


def test_more_than_a_pipe_holds_in_both_directions():
    much = os.urandom(1 << 20)
    assert Runs().run(["cat"], much).stdout == much


def test_a_program_need_not_read_what_it_gets():
    assert Runs().run(["true"], b"x" * (1 << 20)) == Finished(0, b"", b"")


def test_without_input_there_is_nothing_to_read():
    assert Runs().run(["cat"]) == Finished(0, b"", b"")


def test_there_is_no_shell():
    text = "$(id); `id` > /dev/null & *"
    assert Runs().run(["echo", text]).stdout.decode() == f"{text}\n"
    with pytest.raises(TypeError, match="there is no shell"):
        Runs().run("echo hello")


def test_arguments_may_be_text_bytes_or_paths(tmp_path):
    assert Runs().run([b"echo", "\u00e4", b"\xff", tmp_path]).stdout == (
        "\u00e4".encode() + b" \xff " + os.fsencode(tmp_path) + b"\n"
    )


def test_the_environment_is_clean(monkeypatch):
    monkeypatch.setenv("SMARTHOST_PASSWORD", "secret")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    lines = Runs().run(["env"], env={"SENDER": "a@example.org"}).stdout.decode().splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert "TZ=Asia/Tokyo" in lines and "SENDER=a@example.org" in lines
    assert names <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SENDER"}


def test_it_gets_no_descriptor_and_no_ignored_signal_of_the_server():
    ours = os.dup(0)
    os.set_inheritable(ours, True)
    try:
        assert Runs().run(["ls", "/proc/self/fd"]).stdout.split() == [
            b"0",
            b"1",
            b"2",
            b"3",
        ]  # 3: the directory
    finally:
        os.close(ours)
    assert sh("kill -PIPE $$").code == -signal.SIGPIPE


# ---- what goes wrong


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(ProgramNotStarted, match=r"^no-such-program: No such file") as caught:
        Runs().run(["no-such-program", "a-secret"])
    assert "a-secret" not in str(caught.value)
    (tmp_path / "data").write_text("no program")
    with pytest.raises(ProgramNotStarted, match="Permission denied"):
        Runs().run([tmp_path / "data"])


def test_no_descriptors_are_left_to_start_it_with():
    plugin, held = Runs(), []
    plugin.run(["true"])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with pytest.raises(OSError):
            while True:
                held.append(os.dup(0))
        for _ in range(5):
            with pytest.raises(ProgramNotStarted, match="Too many open files"):
                plugin.run(["true"], b"input")
            os.close(held.pop())
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_takes_too_long_is_killed_with_all_it_started(tmp_path):
    with pytest.raises(ProgramTimeout, match=r"^sh took longer than 0.5 s$"):
        sh(FOR_EVER, tmp_path / "pids", timeout=0.5)
    assert eventually(lambda: all(map(is_gone, numbers(tmp_path / "pids"))))


@pytest.mark.parametrize("script", ["yes", "yes >&2", "yes & yes >&2"])
def test_what_writes_too_much_is_killed(script, tmp_path):
    with pytest.raises(OutputTooLarge, match=r"^sh wrote more than 100000 bytes$"):
        sh(f'echo $$ > "$1"; {script}; sleep 100000', tmp_path / "pids", max_output=100_000)
    assert eventually(lambda: all(map(is_gone, numbers(tmp_path / "pids"))))


def test_exactly_as_much_as_is_allowed():
    assert len(sh("head -c 5000 /dev/zero", max_output=5000).stdout) == 5000
    with pytest.raises(OutputTooLarge):
        sh("head -c 5001 /dev/zero", max_output=5000)


def test_all_errors_are_of_one_kind():
    for error in (ProgramNotStarted, ProgramTimeout, OutputTooLarge):
        assert issubclass(error, ProgramError)


def test_what_a_program_leaves_behind_does_not_keep_the_plugin_waiting():
    done = sh("sleep 100000 & echo $!")
    assert done.code == 0
    assert eventually(lambda: is_gone(int(done.stdout)))


def test_nothing_is_left_over():
    Runs().run(["true"], b"x")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        Runs().run(["true"], b"x")
        with pytest.raises(ProgramNotStarted):
            Runs().run(["no-such-program"], b"x")
        with pytest.raises(ProgramTimeout):
            Runs().run(["sleep", "1000"], b"x", timeout=0.0)
    assert len(os.listdir("/proc/self/fd")) == before
    assert eventually(lambda: not children())


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


# ---- who waits, and until when


def test_others_go_on_meanwhile(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    waits = gevent.spawn(sh, 'cat "$1"', tmp_path / "fifo")
    assert sh('echo hello > "$1"', tmp_path / "fifo").code == 0
    assert waits.get().stdout == b"hello\n"


def test_at_most_so_many_at_once(tmp_path):
    plugin, ended = Runs(), []
    plugin.max_programs = 1
    os.mkfifo(tmp_path / "fifo")
    first = gevent.spawn(plugin.run, ["cat", tmp_path / "fifo"])
    first.link(lambda _: ended.append("first"))
    gevent.sleep(0)
    second = gevent.spawn(plugin.run, ["true"])
    second.link(lambda _: ended.append("second"))
    time.sleep(0.3)  # enough for the second to end, if it had been let in
    (tmp_path / "fifo").write_text("x")
    gevent.joinall([first, second], raise_error=True)
    assert eventually(lambda: ended == ["first", "second"])


def test_the_time_of_the_hook_is_up(tmp_path):
    plugin = Runs()
    plugin.cmd = ["sh", "-c", FOR_EVER, "sh", str(tmp_path / "pids")]
    plugin.register_hook("data", lambda connection: plugin.hook_noop(connection, ""))
    plugin.timeout = 0.5
    runner, lines = runner_of(plugin)
    assert runner.run("data", connection_from()).code is DENYSOFT
    assert plugin.cleaned and "timed out on hook data" in lines[0]
    assert eventually(lambda: all(map(is_gone, numbers(tmp_path / "pids"))))


def test_the_session_is_ended(tmp_path):
    session = gevent.spawn(sh, FOR_EVER, tmp_path / "pids")
    pids = numbers(tmp_path / "pids")
    session.kill()
    assert eventually(lambda: all(map(is_gone, pids)))


@pytest.mark.parametrize("before", ["", "RSET\r\nRSET\r\n"], ids=["silent", "with commands still unread"])
def test_the_client_is_gone(before, tmp_path):
    plugin = Runs()
    plugin.options = {"client": True}
    plugin.cmd = ["sh", "-c", FOR_EVER, "sh", str(tmp_path / "pids")]
    with Inbound([plugin]) as inbound:
        client = inbound.client()
        client.send(f"NOOP\r\n{before}".encode())
        pids = numbers(tmp_path / "pids")
        client.close()
        assert eventually(lambda: all(map(is_gone, pids)))
        assert eventually(lambda: plugin.cleaned)
        assert not [line for line in inbound.lines if "[CRIT]" in line]


def test_a_client_that_stays_is_served(tmp_path):
    plugin = Runs()
    plugin.options = {"client": True}
    plugin.cmd = ["sh", "-c", 'cat "$1"', "sh", str(tmp_path / "fifo")]
    os.mkfifo(tmp_path / "fifo")
    with Inbound([plugin]) as inbound:
        client = inbound.client()
        client.send(b"NOOP\r\n")
        time.sleep(1.2)  # it is looked for twice meanwhile
        (tmp_path / "fifo").write_text("x")
        assert client.read().startswith("250 ") and plugin.cleaned
        client.close()


def test_it_belongs_into_the_hook_not_into_a_thread():
    plugin = Runs()
    with pytest.raises(RuntimeError, match="not into a thread of offload"):
        plugin.offload(plugin.run, ["true"])


def test_the_page_names_all_arguments():
    page = (DOCS / "Blocking.md").read_text(encoding="utf-8").split("## self.run")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?!is raised)", page, re.MULTILINE)
    assert rows == list(inspect.signature(Plugin.run).parameters)[1:]
    assert set(re.findall(r"`(Program\w+|Output\w+)`", page)) == {
        error.__name__ for error in (ProgramError, ProgramNotStarted, ProgramTimeout, OutputTooLarge)
    }
