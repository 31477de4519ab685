"""Who may send mail through this server, and where it goes."""

from __future__ import annotations

from collections.abc import Iterable

from mta.plugin import (
    DENY,
    DENYSOFT,
    OK,
    Address,
    Answer,
    Connection,
    HMail,
    NextHop,
    NextHopError,
    Params,
    Plugin,
    RelayDestDomainsSettings,
    RelaySettings,
    Route,
    domain_key,
    ip_in_list,
    parse_network,
)

NOT_ALLOWED = "You are not allowed to relay"
NOT_ACCEPTED = "Mail for that recipient is not accepted here."
NOTE = "relay_dest_domains"


class Relay(Plugin):
    """Each switch of relay.ini is one of four independent parts; only what is on at the start is registered."""

    cfg: RelaySettings = RelaySettings()
    acl_allow: tuple[str, ...] = ()
    routes: dict[str, Route] = {}
    hops: dict[str, NextHop | None] = {}

    def register(self) -> None:
        self.load_settings(self.config.settings(RelaySettings, on_change=self.load_settings))
        if self.cfg.acl:
            self.register_acl()
        if self.cfg.force_routing or self.cfg.dest_domains:
            self.load_routes(self.config.settings(RelayDestDomainsSettings, on_change=self.load_routes))
        if self.cfg.force_routing:
            self.register_hook("get_mx", self.force_routing)
        if self.cfg.dest_domains:
            self.register_dest_domains()
        if self.cfg.all:
            self.register_hook("rcpt", self.all)

    def register_acl(self) -> None:
        self.load_acl(self.config.get("relay_acl_allow", "list", on_change=self.load_acl))
        self.register_hook("connect_init", self.acl)
        self.register_hook("connect", self.acl_again, -100)
        self.register_hook("connect", self.pass_relaying)

    def register_dest_domains(self) -> None:
        self.register_hook("rcpt", self.dest_domains)
        self.register_hook("rcpt", self.dest_domains_default, 100)
        self.register_hook("data", self.dest_domains_outbound, -100)

    def load_settings(self, settings: RelaySettings) -> None:
        self.cfg = settings

    def load_acl(self, lines: Iterable[str]) -> None:
        """An entry that is no network has been reported by the reader; it must not cost us the others."""
        self.acl_allow = tuple(entry for entry in lines if parse_network(entry) is not None)

    def load_routes(self, settings: RelayDestDomainsSettings) -> None:
        routes = {domain_key(domain): route for domain, route in settings.domains.items()}
        self.hops = {domain: self.hop_of(domain, route) for domain, route in routes.items() if route.nexthop}
        self.routes = routes

    def hop_of(self, domain: str, route: Route) -> NextHop | None:
        try:
            return NextHop.parse(route.nexthop)
        except NextHopError as error:
            self.logerror(f"relay_dest_domains.ini: {domain}: {error}")
            return None

    # ---- acl: clients that may relay

    def acl(self, connection: Connection) -> Answer:
        if not self.cfg.acl:
            return None
        if not ip_in_list(connection.remote.ip, self.acl_allow):
            connection.results.add(self, {"skip": "acl(unlisted)"})
            return None
        connection.results.add(self, {"pass": "acl"})
        connection.relaying = True
        return OK

    def acl_again(self, connection: Connection) -> Answer:
        """Behind XCLIENT the client is another one, with rights of its own; connect_init was asked about the proxy."""
        if connection.notes.get("xclient"):
            self.acl(connection)
        return None

    def pass_relaying(self, connection: Connection) -> Answer:
        """Our own clients need not please the plugins that judge strangers."""
        return OK if connection.relaying else None

    # ---- dest_domains: recipients that anybody may send to

    def dest_domains(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # RCPT comes after MAIL
        results = connection.transaction.results
        if not self.cfg.dest_domains:
            return None
        if connection.relaying:
            results.add(self, {"skip": "relay_dest_domain(relay)"})
            return None
        route = self.routes.get(rcpt.host)
        if route is None or route.action not in ("accept", "continue"):
            results.add(self, {"fail": "relay_dest_domain"})
            return DENY, NOT_ALLOWED if route is None or route.action == "deny" else NOT_ACCEPTED
        results.add(self, {"pass": "relay_dest_domain"})
        connection.transaction.notes[NOTE] = True
        return OK if route.action == "accept" else None

    def dest_domains_default(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        """Runs last: nobody objected to a domain whose action is `continue`."""
        route = self.routes.get(rcpt.host)
        if connection.relaying or not self.cfg.dest_domains or route is None or route.action != "continue":
            return None
        return OK

    def dest_domains_outbound(self, connection: Connection) -> Answer:
        """Send the message on its way like that of a client who may relay.

        Not before all recipients are known: a client that may relay could add any recipient to the first one.
        """
        transaction = connection.transaction
        if transaction is not None and transaction.notes.get(NOTE):
            transaction.relaying = True
        return None

    # ---- all: an open relay

    def all(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        if not self.cfg.all or connection.transaction is None:
            return None
        self.loginfo(f"confirming recipient {rcpt}", connection)
        connection.transaction.relaying = True
        return OK

    # ---- force_routing: the next hop of a domain

    def force_routing(self, hmail: HMail, domain: str) -> Answer:
        key = domain_key(domain)
        if key not in self.routes:
            key = "any"
        if not self.cfg.force_routing or key not in self.hops:
            self.logdebug(f"using normal MX lookup for: {domain}", hmail)
            return None
        hop = self.hops[key]
        if hop is None:
            return DENYSOFT, f"the nexthop of {key} in relay_dest_domains.ini is not usable"
        self.logdebug(f"using {hop} for: {domain}", hmail)
        return OK, hop
