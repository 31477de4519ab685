"""The writer against real pipes: a reader that stalls, dies, or comes back, and a fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent import monkey

from mta.log_writer import LogWriter

ROOT = Path(__file__).resolve().parent.parent
_read = monkey.get_original("os", "read")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for fd in (reader, writer):
        try:
            os.close(fd)
        except OSError:
            pass


def read_all(fd: int) -> bytes:
    """What is in the pipe right now."""
    os.set_blocking(fd, False)
    parts = []
    while True:
        try:
            part = os.read(fd, 1 << 20)
        except BlockingIOError:
            break
        if not part:
            break
        parts.append(part)
    os.set_blocking(fd, True)
    return b"".join(parts)


def drain_until(fd: int, done: bytes, seconds: float = 5) -> bytes:
    """Read the pipe until `done` is in it."""
    got = b""
    deadline = time.monotonic() + seconds
    while done not in got:
        assert time.monotonic() < deadline, got[-200:]
        got += read_all(fd)
        gevent.sleep(0.01)
    return got


def test_lines_arrive_in_order_and_in_few_writes(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd)
    for number in range(100):
        writer.write(f"line {number}")
    assert read_all(reader) == b""  # nothing is written on the caller's time
    assert writer.flush()
    assert read_all(reader).decode().splitlines() == [f"line {number}" for number in range(100)]
    writer.write("later")
    assert writer.close()
    assert read_all(reader) == b"later\n"


def test_lines_are_written_without_a_flush_and_soon(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd, interval=0.05)
    writer.write("one")
    assert drain_until(reader, b"one\n") == b"one\n"
    writer.close()


def test_no_thread_lives_while_nothing_is_logged(pipe: tuple[int, int]) -> None:
    _, fd = pipe
    writer = LogWriter(fd, interval=0.01)

    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    writer.write("x")
    assert threads() == before + 1
    writer.flush()
    for _ in range(100):
        if threads() == before:
            break
        gevent.sleep(0.01)
    assert threads() == before
    writer.close()


def test_hub_ticks_on_while_the_reader_stalls(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd, interval=0.01)
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            gevent.sleep(0.001)

    ticker = gevent.spawn(tick)
    # Far more than a pipe holds, and nobody reads: whoever waited for the thread here would wait for ever.
    for _ in range(3):
        for _ in range(1000):
            writer.write("x" * 1000)
        before = ticks
        gevent.sleep(0.05)
        assert ticks > before
    assert not writer.flush(timeout=0.1)
    ticker.kill()
    got = 0
    while not writer.flush(timeout=0.02):
        got += read_all(reader).count(b"\n")
    got += read_all(reader).count(b"\n")
    assert (got, writer.dropped) == (3000, 0)
    writer.close()


def test_memory_is_bounded_and_dropped_lines_are_reported(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd, interval=0.01, max_waiting=100_000, dropped_line=lambda count: f"lost {count}")
    text = "y" * 936  # with what a str costs: 1000
    for _ in range(5):  # the thread takes the first ones and gets stuck with them
        for _ in range(100):
            writer.write(text)
        gevent.sleep(0.03)
    before = writer.dropped
    for _ in range(10_000):
        writer.write(text)
    assert writer.dropped - before >= 9_900
    assert writer._waiting <= 100_000
    total = writer.dropped
    got = b""
    while not writer.flush(timeout=0.02):
        got += read_all(reader)
    got += read_all(reader)
    told = [int(line[5:]) for line in got.decode().splitlines() if line.startswith("lost ")]
    assert sum(told) == total
    assert got.count(b"y\n") == 10_500 - total
    writer.write("after")
    writer.close()
    assert read_all(reader) == b"after\n"  # and it is said once only


def test_reader_that_went_away_harms_nobody() -> None:
    reader, fd = os.pipe()
    writer = LogWriter(fd, interval=0.01)
    os.close(reader)
    for _ in range(3):
        writer.write("into the void")
        assert writer.flush()
    assert writer.dropped == 3 + 2  # the two notices about earlier ones were lost as well
    os.close(fd)
    writer.write("closed descriptor")
    assert writer.close()


def test_full_disk_is_told_when_there_is_room_again(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    target = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    writer = LogWriter(full, interval=0.01, dropped_line=lambda count: f"lost {count}")
    writer.write("a")
    writer.write("b")
    assert writer.flush()
    os.dup2(target, full)
    writer.write("c")
    assert writer.close()
    assert (tmp_path / "log").read_text() == "c\nlost 2\n"
    os.close(full)
    os.close(target)


def test_non_blocking_descriptor_loses_nothing(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    os.set_blocking(fd, False)
    writer = LogWriter(fd, interval=0.01)
    lines = [f"{number:05d}" + "z" * 500 for number in range(1000)]
    for line in lines:
        writer.write(line)
    got = b""
    while not writer.flush(timeout=0.02):
        got += read_all(reader)
    got += read_all(reader)
    assert got.decode().splitlines() == lines
    assert writer.dropped == 0
    writer.close()


def test_text_that_is_not_unicode_is_written_all_the_same(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd)
    writer.write("grün \udcff")
    writer.close()
    assert read_all(reader) == "grün \\udcff\n".encode()


def test_a_child_does_not_write_its_parents_lines(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd, interval=0.05)
    writer.write("parent before")
    pid = os.fork()
    if pid == 0:
        try:
            writer.write("child")
            writer.flush()
        finally:
            os._exit(0)
    writer.write("parent after")
    assert os.waitpid(pid, 0)[1] == 0
    assert writer.close()
    assert sorted(read_all(reader).decode().splitlines()) == ["child", "parent after", "parent before"]


def test_a_signal_handler_may_log(pipe: tuple[int, int]) -> None:
    reader, fd = pipe
    writer = LogWriter(fd, interval=0.01)
    previous = signal.signal(signal.SIGUSR1, lambda *_: writer.write("signal"))
    try:
        with writer._lock:  # as if the signal arrived in the middle of write()
            os.kill(os.getpid(), signal.SIGUSR1)
            for _ in range(1000):
                pass
        assert writer.close()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert read_all(reader) == b"signal\n"


EXIT_SCRIPT = """
from gevent import monkey; monkey.patch_all()
from mta.log_writer import LogWriter
writer = LogWriter(1)
for number in range({lines}):
    writer.write("line %d" % number)
{end}
"""


def run_script(lines: int, end: str) -> subprocess.Popen[bytes]:
    script = EXIT_SCRIPT.format(lines=lines, end=end)
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "raise RuntimeError('boom')"])
def test_exit_flushes(end: str) -> None:
    process = run_script(1000, end)
    output, _ = process.communicate(timeout=20)
    assert output.decode().splitlines() == [f"line {number}" for number in range(1000)]


def test_exit_does_not_wait_for_ever_for_a_stalled_reader() -> None:
    process = run_script(30_000, "")
    assert process.wait(timeout=20) == 0
    assert process.stdout is not None
    process.stdout.close()


def test_lines_of_several_processes_are_not_torn_apart() -> None:
    """A pipe in packet mode (pipe(2), O_DIRECT) keeps what was written in one piece together."""
    reader, end = os.pipe2(os.O_DIRECT)
    lines = [f"{number} {'x' * (number * 37 % 700)}" for number in range(200)]
    lines[100] = "y" * 5000  # longer than what a pipe takes in one piece
    writer = LogWriter(end, shared=True)
    for line in lines:
        writer.write(line)
    packets: list[bytes] = []
    while b"".join(packets).count(b"\n") < len(lines):
        packets.append(_read(reader, 1 << 16))
    assert b"".join(packets).decode().splitlines() == lines
    torn = [packet for packet in packets if not packet.endswith(b"\n")]
    assert len(torn) == 1 and set(torn[0]) == {ord("y")}
    assert len(packets) < 30, "a write for each line would be too much"
    writer.close()
    os.close(reader)
    os.close(end)
