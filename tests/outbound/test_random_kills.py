"""Hundreds of kills at random moments under load: what was acknowledged arrives, or its sender is told."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.numbered_mail import END, recipients, sender
from tests.support.outbound import queue_files
from tests.support.sink import RecordingSink

ROOT = Path(__file__).resolve().parents[2]
SLOW = [pytest.mark.slow, pytest.mark.timeout(900)]


def answers(stage: str, address: str, attempt: int) -> str | None:
    if stage != "rcpt":
        return None
    if address.startswith("no"):
        return "550 5.1.1 nobody"
    return "451 4.2.0 later" if address.startswith("later") and attempt == 1 else None


@pytest.mark.parametrize(
    "intake, kills",
    [
        ("files", 20),
        ("journal", 20),
        pytest.param("files", 300, marks=SLOW),
        pytest.param("journal", 1000, marks=SLOW),
    ],
)
def test_random_kills_lose_nothing(intake: str, kills: int, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    with RecordingSink(answers) as sink:
        command = [sys.executable, "-m", "tests.support.kill_rounds", str(tmp_path), str(sink.port)]
        done = subprocess.run(
            [*command, str(kills), str(seed), intake], cwd=ROOT, capture_output=True, text=True, timeout=800
        )
        assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    got = Counter(rcpt for mail in sink.messages for rcpt in mail.rcpts)
    acknowledged = [int(line) for line in (tmp_path / "acknowledged").read_text().split()]
    assert len(acknowledged) >= kills // 2, "the processes did not live long enough to do anything"
    lost = [rcpt for number in acknowledged for rcpt in owed(number) if not got[rcpt]]
    assert not lost, f"seed {seed}: {len(lost)} lost, such as {lost[:10]}"
    assert queue_files(tmp_path / "queue") == []
    reports = [mail for mail in sink.messages if mail.mail_from == ""]
    torn = [mail.rcpts for mail in sink.messages if mail.mail_from and not mail.wire.endswith(END)]
    assert torn == []
    repeated = sum(count - 1 for count in got.values())
    print(
        f"\n{kills} kills, {len(acknowledged)} messages acknowledged: nothing lost, {len(sink.messages)} arrived and "
        f"{len(reports)} of them are reports, {repeated} recipients served again"
    )


def owed(number: int) -> list[str]:
    """Who must have got something: the recipients, and the sender where one of them refuses."""
    rcpts = recipients(number)
    refused = [rcpt for rcpt in rcpts if rcpt.startswith("no")]
    return [rcpt for rcpt in rcpts if rcpt not in refused] + [sender(number)] * bool(refused)
