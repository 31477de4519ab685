"""A queue of very many entries: what is due is delivered soon after the start, and what waits takes little memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import eventually
from tests.support.sink import RecordingSink

ROOT = Path(__file__).resolve().parents[2]
DUE = 100
BYTES_PER_ENTRY = 500
MEMORY = Path("/dev/shm")
BYTES_IN_MEMORY = 6000  # that a small file takes there
# A million takes minutes to make; the figures grow with the number.
MANY = pytest.param(200_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])
MODULE = "tests.support.crowded_queue"


@pytest.fixture
def queue(later: int, tmp_path: Path) -> Iterator[Path]:
    """Where the entries lie: in memory if there is room, as a disk takes much longer to make them than we to read them."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * later * BYTES_IN_MEMORY
    directory = Path(tempfile.mkdtemp(dir=MEMORY if roomy else tmp_path)) / "queue"
    yield directory
    shutil.rmtree(directory.parent)  # pytest would keep it for two more runs


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as recording:
        yield recording


@pytest.mark.parametrize("later", [20_000, MANY])
def test_start_with_a_crowded_queue(later: int, queue: Path, sink: RecordingSink) -> None:
    fill = f"from pathlib import Path; import {MODULE} as m; m.fill(Path({str(queue)!r}), {later}, {DUE})"
    subprocess.run([sys.executable, "-c", fill], cwd=ROOT, check=True)
    command = [sys.executable, "-m", MODULE, str(queue), str(sink.port)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert eventually(lambda: sink.sessions > 0, 300, 0.01)
        first = time.monotonic()
        sink.wait_for(DUE, 300)
        last = time.monotonic()
        figures = json.loads(process.stdout.readline())
        process.stdin.close()
        process.wait(60)
    each = figures["bytes"] / later
    print(
        f"\n{later} entries: all names read after {figures['seconds']:.1f} s, the {DUE} due ones delivered in "
        f"{last - first:.1f} s from the first, {each:.0f} bytes an entry, {later / figures['seconds']:.0f} entries a second"
    )
    assert {rcpt for mail in sink.messages for rcpt in mail.rcpts} == {"joe@b.test"}
    assert figures["waiting"] <= later + DUE
    assert each < BYTES_PER_ENTRY
