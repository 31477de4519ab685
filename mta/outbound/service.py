"""The outbound side put together: what the worker starts, stops and hands mail to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Unpack

from gevent import Greenlet, spawn

from mta.config.bounce_rules import BounceRules
from mta.config.schema import LimitSettings
from mta.events import Events
from mta.net.client_pool import ClientPool
from mta.outbound.attempt import Attempts
from mta.outbound.backoff import schedule
from mta.outbound.bouncer import Bouncer
from mta.outbound.delivery import Deliverer
from mta.outbound.desk import Desk
from mta.outbound.engine import Engine, Gate
from mta.outbound.limits import Limits
from mta.outbound.route import Router
from mta.outbound.rules import rules_of
from mta.outbound.settle import Settler
from mta.outbound.sites import Site, Sites
from mta.outbound.smarthost import SmarthostError, smarthosts
from mta.outbound.sources import pool_named, pools_of
from mta.outbound.submit import Submitter
from mta.outbound.suspensions import Suspensions
from mta.outbound.tls_reporter import TlsReporter, sender_of
from mta.outbound.waiting import Waiting
from mta.plugin.offload import Threads

if TYPE_CHECKING:
    from mta.config.schema import OutboundPoolSettings, OutboundRouteSettings, OutboundSettings
    from mta.logger import Logger
    from mta.net.dns import Resolver
    from mta.outbound.counters import Counters
    from mta.outbound.hmail import HMail
    from mta.outbound.spool import Spool
    from mta.outbound.tls_diary import TlsDiary
    from mta.outbound.tls_policy import TlsPolicies
    from mta.outbound.todo import Todo
    from mta.plugin.runner import HookRunner
    from mta.plugin.server import Contents, MailOptions, Recipients
    from mta.smtp.address import Address
    from mta.smtp.reply import Reply
    from mta.transaction import Transaction

MAX_SHOWN = 10_000  # entries, of those that wait the first ones


class Outbound:
    """One spool with everything that empties it.

    spool: open already. read_template: gives the lines of a file such as outbound.bounce_message as they are now.
    bounce_rules: the lines of that file; others may come later. limits, suspensions: those of outbound_limits.ini and of the
    operators; none unless given. tls: what next hops must prove, None for opportunistic TLS without a memory on disk.
    diary: where results for TLS reports are kept. routes, pools: the sections of outbound_routes.ini and outbound_pools.ini. events: where it is told
    what becomes of mail. Raises SmarthostError when these or [smarthost]
    can not be used.
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
        routes: Sequence[tuple[str, OutboundRouteSettings]] = (),
        pools: Sequence[tuple[str, OutboundPoolSettings]] = (),
        limits: Limits | None = None,
        suspensions: Suspensions | None = None,
        tls: TlsPolicies | None = None,
        diary: TlsDiary | None = None,
        events: Events | None = None,
    ) -> None:
        events = events or Events()
        self._logger = logger
        self._settings = settings
        self._routes = routes
        self._pools = pools
        self._spool = spool
        self.pool = ClientPool(settings.connections)
        self._router = Router(resolver, runner, logger, settings, tls=tls)
        self._lay_out(settings)
        self._deliverer = Deliverer(self._router, self.pool, settings, me)
        self._waits = schedule(settings)
        self._bouncer = Bouncer(me, read_template, self._send_report, settings)
        self._limits = limits or Limits(LimitSettings(), {})
        self._settler = Settler(
            spool,
            runner,
            logger,
            self._bouncer.send_report,
            self._waits_for,
            me=me,
            settings=settings,
            rules=BounceRules(bounce_rules),
            events=events,
        )
        self._sites = Sites(
            self._limits,
            suspensions if suspensions is not None else Suspensions(None),
            lambda: self._settings.concurrency_max,
        )
        waiting = self._waiting = Waiting(self._sites)
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
        threads = Threads()
        self.desk = Desk(spool, self.engine, waiting, self._attempts, self._settler, logger, threads.run)
        self._submitter = Submitter(
            spool, runner, logger, settings, me, self.engine.wake, self.engine.keeps, events
        )
        self._me = me
        self._reporter: TlsReporter | None = None
        self._reporting: Greenlet[[], None] | None = None
        if tls is not None and diary is not None:
            sender = sender_of(settings.tls_rpt, me)
            self._reporter = TlsReporter(diary, resolver, self.send, logger, sender, threads.run)
            tls.on_tls_result = self._reporter.collect

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

    def _send_report(
        self, mail_from: Address, rcpts: Sequence[Address], contents: bytes, hmail: HMail
    ) -> Reply:
        return self.send(mail_from, rcpts, contents, origin=hmail)

    def start(self, predecessor: Gate | None = None) -> None:
        """Begin to deliver what lies in the spool and what comes in.

        predecessor: owns what was there before, until it has ended; then that is ours.
        """
        self.engine.start(predecessor)
        if self._reporter is not None:
            self._reporting = spawn(lambda: self._report(predecessor))

    def _report(self, predecessor: Gate | None) -> None:
        if self._reporter is not None and (predecessor is None or predecessor.wait()):
            self._reporter.run()

    def read_suspensions(self) -> None:
        """Take over what others have written down meanwhile. Raises SuspensionsError."""
        self._sites.suspensions.read()

    def stop(self, drain_seconds: float = 30.0) -> None:
        """Finish what is under way, for at most so many seconds, then say good-bye to the next hops."""
        self.engine.stop(drain_seconds)
        if self._reporter is not None and self._reporting is not None:
            self._reporting.kill()
            self._reporter.save()
        self.pool.close_all()

    def flush(self) -> None:
        """Try everything in the queue now."""
        self.engine.flush()

    def counts(self) -> dict[str, int]:
        """How many attempts are under way, and how much waits for what."""
        return {"in_progress": self.engine.in_progress, **self._waiting.counts()}

    def inspect(self) -> dict[str, Any]:
        """The names of entries that are `under_way`, and of those that are `waiting`, each with the time in ms of its attempt."""
        waiting = nsmallest(MAX_SHOWN, self._waiting.schedule(), key=lambda each: each[1])
        return {"under_way": self.engine.names_under_way(), "waiting": waiting}

    def pools(self) -> dict[str, dict[str, int]]:
        """For each next hop the connections to it: those in use, and all of them with the idle ones."""
        in_use = Counter(map(str, self._deliverer.conversations.values()))
        size = in_use + Counter(map(str, self.pool.idle_hops()))
        return {hop: {"inUse": in_use[hop], "size": size[hop]} for hop in size}

    @property
    def counters(self) -> Counters:
        """What was counted since the start."""
        return self._settler.counters

    def prepare_rules(self) -> None:
        """Read the bounce rules, now rather than with the first bounce. Raises ValueError."""
        self._settler.rules.read()

    def prepare_templates(self) -> None:
        """The same for the files that a report is made of."""
        self._bouncer.prepare()

    def set_bounce_rules(self, lines: Sequence[str]) -> None:
        """Take over changed rules; when one of them is none, those before stay in force."""
        rules = BounceRules(lines)
        try:
            rules.read()
        except ValueError as error:
            self._logger.error(f"the bounce rules stay as they were: {error}", origin="outbound")
        else:
            self._settler.rules = rules

    def configure(self, settings: OutboundSettings) -> None:
        """Take over changed settings; what they say about next hops is left as it was when it can not be used."""
        self._router.settings = settings
        self._change_ways(settings)
        self._router.tls.security = settings.security
        if self._reporter is not None:
            self._reporter.sender = sender_of(settings.tls_rpt, self._me)
        self._deliverer.settings = settings
        self.pool.settings = settings.connections
        self._submitter.settings = settings
        self._spool.configure(settings.spool)
        self._waits = schedule(settings)
        self._bouncer.settings = settings
        self._settler.configure(settings)
        self._settings = settings
        self._sites.configure()
        self.engine.configure(settings)

    def change_routes(self, routes: Sequence[tuple[str, OutboundRouteSettings]]) -> None:
        """Take over changed routes, unless they can not be used."""
        self._routes = routes
        self._change_ways(self._router.settings)

    def change_pools(self, pools: Sequence[tuple[str, OutboundPoolSettings]]) -> None:
        """Take over changed pools, unless they, or the routes with them, can not be used."""
        self._pools = pools
        self._change_ways(self._router.settings)

    def _change_ways(self, settings: OutboundSettings) -> None:
        try:
            self._lay_out(settings)
        except SmarthostError as error:
            self._logger.error(f"{error}; smarthosts, routes and pools stay as they were", origin="outbound")
        self._attempts.hints.clear()

    def _lay_out(self, settings: OutboundSettings) -> None:
        """Tell the router about all of it, or about nothing. Raises SmarthostError."""
        hosts = smarthosts(settings)
        pools = pools_of(self._pools)
        rules = rules_of(self._routes, pools, settings.enable_tls)
        pool = pool_named(settings.pool, pools, "outbound.ini [main]")
        self._router.smarthosts, self._router.rules, self._router.pool = hosts, rules, pool

    def limit(self, limits: Limits) -> None:
        """Take over changed limits."""
        self._limits = limits
        self._sites.configure(limits)
        self._attempts.hints.clear()
        self.engine.reconsider()

    def _waits_for(self, domain: str) -> tuple[int, ...]:
        """The retry schedule for a domain."""
        own = self._limits.intervals(domain)
        return self._waits if own is None else own

    def _guess(self, todo: Todo) -> Site | None:
        """The site where a mail will probably be counted: that of the last mail for its domain, if only that matters."""
        if not self._router.goes_by_domain(todo):
            return None
        return self._attempts.hints.get(todo.domain)
