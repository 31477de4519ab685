"""The outbound side of a server on a queue directory of its own, made of the real parts, with the plugins a test gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.message.stream import MessageStream
from mta.net.dns import Resolver
from mta.outbound.qfile import SET_ASIDE, TEMPORARY, QueueFileName
from mta.outbound.service import Outbound
from mta.plugin.hooks import Plugin
from mta.smtp.address import Address
from mta.smtp.reply import Reply
from mta.transaction import Transaction
from tests.support.outbound import opened, queue_files
from tests.support.plugins import runner_of

MESSAGE = (
    b"Message-Id: <x@a.test>\r\nDate: Sun, 22 Nov 2026 01:21:39 +0000\r\nSubject: hi\r\n\r\n.dot\r\nbody\r\n"
)


def through(smarthost: str, **settings: object) -> OutboundSettings:
    """Settings that send everything to one host, without TLS."""
    return OutboundSettings(smarthost=SmarthostSettings(host=(smarthost,), tls="off"), **settings)


class Relay:
    """An outbound side; start() and stop() it as often as a test wants. `lines` is its log."""

    def __init__(
        self,
        directory: Path,
        settings: OutboundSettings,
        plugins: Sequence[Plugin] = (),
        resolver: Resolver | None = None,
    ) -> None:
        self.directory = directory
        self.settings = settings
        self._plugins = plugins
        self._resolver = resolver or Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.2)
        self._close: Callable[[], None] = lambda: None

    def start(self) -> Relay:
        runner, self.lines = runner_of(*self._plugins)
        spool, self.disk = opened(self.directory, runner._logger)
        self._close = spool.close
        self.outbound = Outbound(
            spool=spool,
            resolver=self._resolver,
            runner=runner,
            logger=runner._logger,
            settings=self.settings,
            me="relay.test",
            bounce_template=lambda: ["", "{reason}"],
        )
        self.outbound.start()
        return self

    def stop(self, drain: float = 2.0) -> None:
        self.outbound.stop(drain)
        self._close()

    def submit(self, *rcpts: str, message: bytes = MESSAGE, uuid: str = "UUID.1") -> Reply:
        transaction = Transaction(uuid, Address.parse("sender@a.test"), MessageStream.from_message(message))
        transaction.rcpt_to = [Address.parse(rcpt) for rcpt in rcpts or ("joe@b.test",)]
        return self.outbound.submit(transaction)

    def entries(self) -> list[QueueFileName]:
        """The queue files that are entries."""
        names = [text for text in queue_files(self.directory) if not text.startswith((TEMPORARY, SET_ASIDE))]
        return [QueueFileName.parse(text) for text in names]

    def empty(self) -> bool:
        return not queue_files(self.directory)
