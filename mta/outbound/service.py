"""The outbound side put together: what the worker starts, stops and hands mail to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mta.config.bounce_rules import parse_rules
from mta.net.client_pool import ClientPool
from mta.outbound.backoff import schedule
from mta.outbound.bouncer import Bouncer
from mta.outbound.delivery import Deliverer
from mta.outbound.engine import Engine
from mta.outbound.route import Router
from mta.outbound.settle import Settler
from mta.outbound.smarthost import SmarthostError, smarthosts
from mta.outbound.submit import Submitter

if TYPE_CHECKING:
    from mta.config.schema import OutboundSettings
    from mta.logger import Logger
    from mta.net.dns import Resolver
    from mta.outbound.counters import Counters
    from mta.outbound.spool import Spool
    from mta.plugin.runner import HookRunner
    from mta.smtp.address import Address
    from mta.smtp.reply import Reply
    from mta.transaction import Transaction


class Outbound:
    """One spool with everything that empties it.

    spool: open already. read_template: gives the lines of a file such as outbound.bounce_message as they are now.
    bounce_rules: the lines of that file; others may come later.
    Raises SmarthostError when [smarthost] can not be used.
    """

    def __init__(
        self,
        *,
        spool: Spool,
        resolver: Resolver,
        runner: HookRunner,
        logger: Logger,
        settings: OutboundSettings,
        me: str,
        read_template: Callable[[str], Sequence[str]],
        bounce_rules: Sequence[str] = (),
    ) -> None:
        self._logger = logger
        self.pool = ClientPool()
        self._router = Router(resolver, runner, logger, settings, smarthosts(settings))
        self._deliverer = Deliverer(self._router, self.pool, settings, me)
        self._waits = schedule(settings)
        self._bouncer = Bouncer(me, read_template, self.send, settings)
        self._settler = Settler(
            spool,
            runner,
            logger,
            self._bouncer.send_report,
            lambda domain: self._waits,
            me=me,
            settings=settings,
            rules=parse_rules(bounce_rules),
        )
        self.engine = Engine(spool, self._deliverer, self._settler, runner, logger, settings)
        self._submitter = Submitter(spool, runner, logger, settings, me, self.engine.wake)

    def submit(self, transaction: Transaction) -> Reply:
        """Queue a mail that has arrived: 250 once it is durable, else 4xx."""
        return self._submitter.submit(transaction)

    def send(self, mail_from: Address, rcpts: Sequence[Address], contents: bytes) -> Reply:
        """Queue a mail of our own: header and body in lines, dots not stuffed."""
        return self._submitter.send(mail_from, rcpts, contents)

    def start(self) -> None:
        """Begin to deliver what lies in the spool and what comes in."""
        self.engine.start()

    def stop(self, drain_seconds: float = 30.0) -> None:
        """Finish what is under way, for at most so many seconds, then say good-bye to the next hops."""
        self.engine.stop(drain_seconds)
        self.pool.close_all()

    def flush(self) -> None:
        """Try everything in the queue now."""
        self.engine.flush()

    @property
    def counters(self) -> Counters:
        """What was counted since the start."""
        return self._settler.counters

    def set_bounce_rules(self, lines: Sequence[str]) -> None:
        """Take over changed rules; when one of them is none, those before stay in force."""
        try:
            self._settler.rules = parse_rules(lines)
        except ValueError as error:
            self._logger.error(f"the bounce rules stay as they were: {error}", origin="outbound")

    def configure(self, settings: OutboundSettings) -> None:
        """Take over changed settings; a [smarthost] section that can not be used leaves the old one in force."""
        try:
            self._router.smarthosts = smarthosts(settings)
        except SmarthostError as error:
            self._logger.error(f"{error}; the smarthosts stay as they were", origin="outbound")
        self._router.settings = settings
        self._deliverer.settings = settings
        self._submitter.settings = settings
        self._waits = schedule(settings)
        self._bouncer.settings = settings
        self._settler.configure(settings)
        self.engine.configure(settings)
