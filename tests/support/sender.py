"""Routing and delivery attempts of the real parts, with a name server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from mta.config.schema import (
    OutboundPoolSettings,
    OutboundRouteSettings,
    OutboundSettings,
    SmarthostSettings,
)
from mta.net.client_pool import ClientPool
from mta.net.dns import Resolver
from mta.outbound.delivery import Deliverer
from mta.outbound.hmail import HMail
from mta.outbound.mx import NoRoute
from mta.outbound.outcome import Outcome, of_reply
from mta.outbound.route import Router
from mta.outbound.rules import rules_of
from mta.outbound.smarthost import smarthosts
from mta.outbound.sources import pool_named, pools_of
from mta.plugin.hooks import Plugin
from tests.support.dns_server import DnsServer, Zone
from tests.support.outbound import hmail_for
from tests.support.plugins import runner_of

BODY = b"Subject: hello\r\n\r\nbody\r\n"


class Sender:
    """Smarthosts as outbound.ini writes them, routes and pools by name; a context manager. lines: the log."""

    def __init__(
        self,
        *hosts: str,
        failover_on: str = "connection",
        pool: str = "",
        routes: Mapping[str, OutboundRouteSettings] | None = None,
        pools: Mapping[str, OutboundPoolSettings] | None = None,
        zone: Zone | None = None,
        plugins: Sequence[Plugin] = (),
    ) -> None:
        runner, self.lines = runner_of(*plugins)
        self._logger = runner._logger
        self.dns = DnsServer(zone or {})
        resolver = Resolver(["127.0.0.1"], port=self.dns.port, timeout=1.0, lifetime=1.0)
        settings = OutboundSettings(
            connect_timeout=5,
            local_mx_ok=True,
            smarthost=SmarthostSettings(host=hosts, tls="off", failover_on=failover_on),
        )
        self.clients = ClientPool()
        self.router = Router(resolver, runner, runner._logger, settings, smarthosts(settings))
        known = pools_of((pools or {}).items())
        self.router.rules = rules_of((routes or {}).items(), known, True)
        self.router.pool = pool_named(pool, known, "")
        self.deliverer = Deliverer(self.router, self.clients, settings, "relay.test")

    def hmail(self, *rcpts: str, sender: str = "sender@a.test", uuid: str = "UUID.1.1") -> HMail:
        """A mail to recipients of one domain."""
        rcpts = rcpts or ("joe@b.test",)
        domain = rcpts[0].partition("@")[2]
        hmail = hmail_for(rcpts, BODY, domain=domain, mail_from=sender, logger=self._logger)
        hmail.todo = replace(hmail.todo, uuid=uuid)
        return hmail

    def send(self, hmail: HMail) -> dict[str, Outcome]:
        """Make one attempt."""
        try:
            outcomes = self.deliverer.deliver(hmail, self.deliverer.route(hmail))
        except NoRoute as error:
            outcomes = dict.fromkeys(hmail.todo.rcpt_to, of_reply(error.reply))
        return {rcpt.address: outcome for rcpt, outcome in outcomes.items()}

    def deliver(self, *rcpts: str, change: Callable[[HMail], object] | None = None) -> Outcome:
        """Make an attempt for one mail, which `change` may change before; the outcome of its first recipient."""
        hmail = self.hmail(*rcpts)
        if change is not None:
            change(hmail)
        return next(iter(self.send(hmail).values()))

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clients.close_all()
        self.dns.close()
