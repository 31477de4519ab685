"""Every fault of a next hop, wherever it can strike: each recipient has the right fate, and in the end gets its mail once."""

from __future__ import annotations

import email
import json
import resource
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest
import trustme

from mta.message.stream import MessageStream
from mta.net.next_hop import NextHop, TlsPolicy
from mta.net.smtp_errors import Timeouts
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import DENYSOFT, OK
from mta.smtp.address import Address
from mta.transaction import Transaction
from tests.support.fake_mx import FakeMx
from tests.support.fault_table import Cell, cells, confusing, expected, unknown
from tests.support.faulty_hop import FaultyHop
from tests.support.outbound import queue_files
from tests.support.relay import Relay
from tests.support.server import eventually

LATER = 3600  # seconds
SETTLED = 40.0  # seconds within which a wave of faults must be over; a hang costs about three
WAVE = 400  # cells at once
# Eight of them make a message that does not fit into the buffers of the system, nor into one chunk of BDAT.
LINES = b"a line of a message that takes its time\r\n" * 1800
FIRST, AGAIN = b"Subject: first\r\n", b"Subject: again\r\n"
REPORTS = "senders.test"


class Ways(Plugin):
    """Sends the mail of each cell to its hops, and reports to a host of their own."""

    name = "ways"

    def __init__(self, stages: Sequence[Stage], reports: FakeMx) -> None:
        self.stages = {stage.cell.domain: stage for stage in stages}
        self.reports = NextHop(host=reports.host, port=reports.port, tls="off")

    def hook_get_mx(self, hmail, domain):
        stage = self.stages.get(domain)
        return OK, stage.next_hops() if stage else [self.reports]

    def hook_deferred(self, hmail, deferral):
        """A report that was late on a busy machine must not wait as long as the mail does."""
        return (DENYSOFT, "0.5") if hmail.todo.domain.endswith(REPORTS) else None


class Stage:
    """One cell with its hops."""

    def __init__(self, cell: Cell, tls: ssl.SSLContext) -> None:
        self.cell = cell
        # An address of its own, as what is remembered of a host must not meet the next cell.
        host = f"127.9.{cell.number // 200}.{cell.number % 200 + 1}"
        refuses = cell.recipients[0] if cell.refused else ""
        self.hop = FaultyHop(
            host, cell.wire, cell.phase, cell.kind, refuses, tls if cell.wire in ("tls", "required") else None
        )
        self.hops = [self.hop, FaultyHop(host, cell.wire)] if cell.backup else [self.hop]
        self.sender = f"sender@c{cell.number}.{REPORTS}"
        self.again = f"again@{cell.domain}"

    def next_hops(self) -> list[NextHop]:
        user, password = ("me", "secret") if self.cell.phase == "auth" else (None, None)
        lmtp = self.cell.wire == "lmtp"
        return [
            NextHop(
                hop.host,
                hop.port,
                using_lmtp=lmtp,
                auth_user=user,
                auth_pass=password,
                tls=self._tls_policy(hop),
            )
            for hop in self.hops
        ]

    def _tls_policy(self, hop: FaultyHop) -> TlsPolicy:
        if hop.tls is None:
            return "off"
        if self.cell.wire == "required":
            return (
                "required" if hop.phase else "off"
            )  # its certificate proves nothing, so healing takes this too
        return "opportunistic"

    def mail(self, subject: bytes, rcpts: Sequence[str]) -> Transaction:
        big = self.cell.phase in ("body", "chunk") and subject is FIRST
        stream = MessageStream.from_message(subject + b"\r\nshort\r\n")
        for _ in range(8 if big else 0):
            stream.append(LINES)
        transaction = Transaction(f"UUID.{self.cell.number}", Address.parse(self.sender), stream)
        transaction.rcpt_to = [Address.parse(rcpt) for rcpt in rcpts]
        return transaction

    def taken(self, subject: bytes) -> list[Counter[str]]:
        """How often each recipient got the mail: from the first host, and from the second if there is one."""
        return [
            Counter(rcpt for mail in hop.taken if subject in mail.data for rcpt in mail.rcpts)
            for hop in self.hops
        ]


class Play:
    """A wave of cells and the outbound side that meets them, from the faults to the good end."""

    def __init__(self, site: Relay, stages: Sequence[Stage], reports: FakeMx) -> None:
        self.site = site
        self.stages = stages
        self.reports = reports
        self.waiting: dict[str, tuple[set[str], int]] = {}

    def submit(self, subject: bytes) -> None:
        """Everything at once, so that the commits share their syncs."""
        submit = self.site.outbound.submit
        jobs = [
            gevent.spawn(
                submit, stage.mail(subject, stage.cell.recipients if subject is FIRST else [stage.again])
            )
            for stage in self.stages
        ]
        gevent.joinall(jobs, raise_error=True)
        assert {job.value.code for job in jobs} == {250}

    def look(self) -> None:
        """Read what waits in the queue: recipients and attempts by domain."""
        self.waiting = {}
        for name in map(str, self.site.entries()):
            try:
                content = (self.site.directory / name).read_bytes()
            except FileNotFoundError:
                continue  # renamed, or done with, since we read its name
            size = int.from_bytes(content[:4], "big")
            todo = json.loads(content[4 : 4 + size])
            rcpts = {f"{rcpt['user']}@{rcpt['host']}" for rcpt in todo["rcpt_to"]}
            known, _ = self.waiting.get(todo["domain"], (set(), 0))
            self.waiting[todo["domain"]] = (known | rcpts, int(name.split("_")[2]))

    def told(self, stage: Stage) -> list[set[str]]:
        """The failed recipients in each report that went to the sender of a cell."""
        return [
            {rcpt for part in email.message_from_bytes(mail.data).walk() for rcpt in _failed(part)}
            for mail in self.reports.messages
            if mail.rcpts == [stage.sender]
        ]

    def faults_found(self) -> list[str]:
        """What is not as it should be after the first attempts, a line for each cell."""
        self.look()
        return [f"{stage.cell}: {what}" for stage in self.stages for what in self._first_attempt(stage)]

    def _first_attempt(self, stage: Stage) -> Iterator[str]:
        cell, fates = stage.cell, expected(stage.cell)
        first, second = [*stage.taken(FIRST), Counter[str]()][:2]
        seen: dict[str, str] = {}
        waiting, attempts = self.waiting.get(cell.domain, (set(), 1))
        reports = self.told(stage)
        told = Counter(rcpt for report in reports for rcpt in report)
        for rcpt in cell.recipients:
            where = [
                *(["deferred"] if rcpt in waiting else []),
                *(["failed"] * told[rcpt]),
                # What was taken in doubt waits as well, and stands for that alone.
                *(["delivered"] * first[rcpt] if not (unknown(cell) and rcpt in waiting) else []),
                *(["backup"] * second[rcpt]),
            ]
            seen[rcpt] = "+".join(where) or "lost"
        if seen != fates:
            yield f"fates {list(seen.values())}, should be {list(fates.values())}"
        if attempts != 1:
            yield f"{attempts} attempts are noted"
        if len(reports) > 1:
            yield f"{len(reports)} reports"

    def wrong_in_the_end(self) -> list[str]:
        """What is not as it should be when all hops are well again."""
        return [f"{stage.cell}: {what}" for stage in self.stages for what in self._in_the_end(stage)]

    def _in_the_end(self, stage: Stage) -> Iterator[str]:
        cell, fates = stage.cell, expected(stage.cell)
        taken = sum(stage.taken(FIRST), Counter[str]())
        for rcpt, fate in fates.items():
            allowed = (0,) if fate == "failed" else (1, 2) if unknown(cell) and fate == "deferred" else (1,)
            if taken[rcpt] not in allowed:
                yield f"{rcpt} ({fate}) got {taken[rcpt]} copies"
        if sum(stage.taken(AGAIN), Counter[str]()) != {stage.again: 1}:
            yield "the next message did not arrive once"
        if confusing(cell) and stage.hop.reused:
            yield "the connection was used again after nonsense"
        if len(self.told(stage)) != ("failed" in fates.values()):
            yield f"{len(self.told(stage))} reports"


def _failed(part: email.message.Message) -> Iterator[str]:
    if part.get("Action") == "failed":
        yield str(part["Final-Recipient"]).partition(";")[2].strip()


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("hop.test").configure_cert(context)
    return context


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No phase of a conversation may take more than two seconds."""
    monkeypatch.setattr(Timeouts.__init__, "__defaults__", (2.0,) * len(Timeouts.__init__.__defaults__))


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """As many as we may have: each cell needs about six."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def play(wave: Sequence[Cell], directory: Path, tls: ssl.SSLContext) -> list[str]:
    """Let one wave of faults happen, then heal the hops; returns what went wrong."""
    with ExitStack() as stack:
        reports = stack.enter_context(FakeMx())
        stages = [Stage(cell, tls) for cell in wave]
        for hop in [hop for stage in stages for hop in stage.hops]:
            stack.callback(hop.close)
        settings = {"temp_fail_intervals": (LATER,), "connect_timeout": 2, "concurrency_max": 4 * WAVE}
        site = Relay(directory, None, Ways(stages, reports), **settings).start()
        stack.callback(site.stop, 0)
        scene = Play(site, stages, reports)
        scene.submit(FIRST)
        eventually(lambda: not scene.faults_found(), SETTLED, 0.25)
        found = scene.faults_found()
        for stage in stages:
            stage.hop.heal()
        scene.submit(AGAIN)
        site.outbound.flush()
        eventually(lambda: site.empty() and not scene.wrong_in_the_end(), SETTLED, 0.25)
        found += scene.wrong_in_the_end()
        return found + [f"left in the queue: {name}" for name in queue_files(directory)]


@pytest.mark.usefixtures("impatient")
def test_one_fault_of_each_sort(tmp_path: Path, tls: ssl.SSLContext) -> None:
    """Each place and kind of a fault once, the other properties in turn."""
    of_sort: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells():
        of_sort.setdefault((cell.phase, cell.kind), []).append(cell)
    wave = [sort[number * 7 % len(sort)] for number, sort in enumerate(of_sort.values())]
    wrong = play(wave, tmp_path / "queue", tls)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("impatient")
def test_all_faults(tmp_path: Path, tls: ssl.SSLContext) -> None:
    every = cells()
    wrong = []
    for start in range(0, len(every), WAVE):
        wrong += play(every[start : start + WAVE], tmp_path / str(start), tls)
    print(f"\n{len(every)} faults of next hops, {len(wrong)} wrong")
    assert not wrong, "\n" + "\n".join(wrong)
