"""The outbound side put together: what the worker starts, stops and hands mail to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack

from mta.config.schema import LimitSettings
from mta.net.client_pool import ClientPool
from mta.outbound.attempt import Attempts
from mta.outbound.backoff import schedule
from mta.outbound.bouncer import Bouncer
from mta.outbound.delivery import Deliverer
from mta.outbound.desk import Desk
from mta.outbound.engine import Engine
from mta.outbound.limits import Limits
from mta.outbound.route import Router
from mta.outbound.settle import Settler
from mta.outbound.sites import Site, Sites
from mta.outbound.smarthost import SmarthostError, smarthosts
from mta.outbound.submit import Submitter
from mta.outbound.suspensions import Suspensions
from mta.outbound.waiting import Waiting
from mta.plugin.offload import Threads

if TYPE_CHECKING:
    from mta.config.schema import OutboundSettings
    from mta.logger import Logger
    from mta.net.dns import Resolver
    from mta.outbound.spool import Spool
    from mta.outbound.tls_policy import TlsPolicies
    from mta.outbound.todo import Todo
    from mta.plugin.runner import HookRunner
    from mta.plugin.server import Contents, MailOptions, Recipients
    from mta.smtp.address import Address
    from mta.smtp.reply import Reply
    from mta.transaction import Transaction


class Outbound:
    """One spool with everything that empties it.

    spool: open already. bounce_template: gives the lines of outbound.bounce_message as they are now. limits, suspensions:
    those of outbound_limits.ini and of the operators; none unless given.
    tls: what next hops must prove, None for opportunistic TLS without a memory on disk.
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
        bounce_template: Callable[[], Sequence[str]],
        limits: Limits | None = None,
        suspensions: Suspensions | None = None,
        tls: TlsPolicies | None = None,
    ) -> None:
        self._logger = logger
        self._settings = settings
        self._runner = runner
        self.pool = ClientPool(settings.connections)
        self._router = Router(resolver, runner, logger, settings, smarthosts(settings), tls)
        self._deliverer = Deliverer(self._router, self.pool, settings, me)
        bouncer = Bouncer(me, bounce_template, self.send)
        self._settler = Settler(spool, runner, logger, bouncer.send_bounce, schedule(settings))
        self._sites = Sites(
            limits or Limits(LimitSettings(), {}),
            suspensions if suspensions is not None else Suspensions(None),
            lambda: self._settings.concurrency_max,
        )
        waiting = Waiting(self._sites)
        self._attempts = Attempts(
            spool,
            self._deliverer,
            self._settler,
            runner,
            self._sites,
            logger,
            lambda site: self.engine.left(site),
        )
        self.engine = Engine(spool, self._attempts, waiting, logger, settings, self._guess)
        self.desk = Desk(spool, self.engine, waiting, self._attempts, self._settler, logger, Threads().run)
        self._submitter = Submitter(spool, runner, logger, settings, me, self.engine.wake)

    def submit(self, transaction: Transaction) -> Reply:
        """Queue a mail that has arrived: 250 once it is durable, else 4xx."""
        return self._submitter.submit(transaction)

    def send(
        self,
        mail_from: Address | str,
        rcpts: Recipients,
        contents: Contents,
        **options: Unpack[MailOptions],
    ) -> Reply:
        """Queue a mail of our own; see mta.plugin.server.Server.send_email."""
        return self._submitter.send(mail_from, rcpts, contents, **options)

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

    def configure(self, settings: OutboundSettings) -> None:
        """Take over changed settings; a [smarthost] section that can not be used leaves the old one in force."""
        try:
            self._router.smarthosts = smarthosts(settings)
        except SmarthostError as error:
            self._logger.error(f"{error}; the smarthosts stay as they were", origin="outbound")
        self._router.settings = settings
        self._router.tls.security = settings.security
        self._deliverer.settings = settings
        self.pool.settings = settings.connections
        self._submitter.settings = settings
        self._settler.waits = schedule(settings)
        self._settings = settings
        self._sites.configure()
        self.engine.configure(settings)

    def limit(self, limits: Limits) -> None:
        """Take over changed limits."""
        self._sites.configure(limits)
        self._attempts.hints.clear()
        self.engine.reconsider()

    def _guess(self, todo: Todo) -> Site | None:
        """The site where a mail will probably be counted: that of the last mail for its domain, if only that matters."""
        if self._runner.has("get_mx"):
            return None
        return self._attempts.hints.get(todo.domain)
