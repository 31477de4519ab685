"""An outbound side with a queue directory of its own, made of the real parts."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mta.config.schema import OutboundSettings, SmarthostSettings, SpoolSettings
from mta.events import Events
from mta.message.stream import MessageStream
from mta.net.dns import Resolver
from mta.outbound.hot import HotMessage
from mta.outbound.journal_name import SegmentName
from mta.outbound.limits import Limits
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName
from mta.outbound.service import Outbound
from mta.outbound.spool import FILES_ONLY
from mta.outbound.suspensions import Suspensions
from mta.plugin.hooks import Plugin
from mta.smtp.address import Address
from mta.transaction import Transaction
from tests.support.fake_mx import FakeMx
from tests.support.outbound import opened, todo_for, words
from tests.support.plugins import runner_of
from tests.support.ports import free_port
from tests.support.queue_names import queue_names

MESSAGE = b"Message-Id: <x@a.test>\r\nDate: Sun, 22 Nov 2026 01:21:39 +0000\r\nSubject: hi\r\n\r\nbody\r\n"


class Relay:
    """An outbound side with its queue directory; start() and stop() as often as a test wants."""

    resolver: Resolver | None = None
    limits: Limits | None = None
    suspensions: Suspensions | None = None
    journal: SpoolSettings = FILES_ONLY
    events: Events | None = None

    def __init__(self, directory: Path, mx: FakeMx | None, *plugins: Plugin, **settings: object) -> None:
        self.directory = directory
        self.plugins = plugins
        host = (mx.smarthost,) if mx else (f"127.0.0.1:{free_port()}",)
        self.settings = OutboundSettings(smarthost=SmarthostSettings(host=host, tls="off"), **settings)
        self.lines: list[str] = []

    def open(self) -> Relay:
        runner, self.lines = runner_of(*self.plugins)
        self.spool, self.disk = opened(self.directory, runner._logger, self.journal)
        self.outbound = Outbound(
            spool=self.spool,
            resolver=self.resolver or Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.2),
            runner=runner,
            logger=runner._logger,
            settings=self.settings,
            me="relay.test",
            read_template=words("", "{reason}"),
            limits=self.limits,
            suspensions=self.suspensions,
            events=self.events,
        )
        return self

    def start(self) -> Relay:
        self.open()
        self.outbound.start()
        return self

    def stop(self, drain: float = 2.0) -> None:
        self.outbound.stop(drain)
        self.spool.close()

    def submit(self, *rcpts: str, mail_from: str = "sender@a.test", message: bytes = MESSAGE) -> None:
        stream = MessageStream.from_message(message)
        transaction = Transaction("UUID.1", Address.parse(mail_from), stream)
        transaction.rcpt_to = [Address.parse(rcpt) for rcpt in rcpts or ("joe@b.test",)]
        assert self.outbound.submit(transaction).code == 250

    def put(
        self, *rcpts: str, due_in: float = 0.0, attempts: int = 0, domain: str = "b.test"
    ) -> QueueFileName:
        """An entry on disk that the engine was not told of; the site is open but not started."""
        now_ms = int(time.time() * 1000)
        (name,) = self.spool.commit([todo_for(rcpts, domain=domain)], HotMessage([MESSAGE]), now_ms, now_ms)
        return self.spool.reschedule(name, attempts, now_ms + int(due_in * 1000))

    def entries(self) -> list[QueueFileName]:
        names = [text for text in queue_names(self.directory) if not text.startswith((TEMPORARY, SET_ASIDE))]
        return [QueueFileName.parse(text) for text in names]

    def empty(self) -> bool:
        # Files first: to read a journal with hundreds of segments takes the time that is needed to empty it.
        files = (name for name in os.listdir(self.directory) if SegmentName.parse(name) is None)
        return not any(files) and not queue_names(self.directory)

    def logged(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]
