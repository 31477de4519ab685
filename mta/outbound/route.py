"""Where one mail goes: hook get_mx, an operator's reroute, a note, routes, smarthosts, the DNS; the first that knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import NamedTuple

from mta.config.schema import OutboundSettings
from mta.config.smarthost import is_host_name
from mta.config.sources import Source
from mta.logger import DEBUG, Logger
from mta.net.dns import Resolver
from mta.net.hop_list import taking_turns
from mta.net.host_health import HostHealth
from mta.net.ip import address_literal, parse_ip
from mta.net.next_hop import LMTP_PORT, SMTP_PORT, SMTPS_PORT, NextHop, NextHopError, TlsPolicy
from mta.net.no_tls import NoTlsHosts
from mta.outbound.hmail import HMail
from mta.outbound.mx import NoRoute, addresses, candidates, mail_hosts
from mta.outbound.route_plan import Plan, Plans
from mta.outbound.rules import Rules
from mta.outbound.site import site_of_hops, site_of_hosts
from mta.outbound.sources import AbsentSources, Pool
from mta.outbound.tls_policy import TlsPolicies
from mta.outbound.todo import NEXT_HOP, Todo
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import DENY, DENYDISCONNECT, DENYSOFT, DENYSOFTDISCONNECT, OK, Verdict
from mta.smtp.dsn import DSN
from mta.smtp.reply import Reply

MAX_CANDIDATES = 30
NOTED_HOP, OUTBOUND_IP, OUTBOUND_HELO = "queue.next_hop", "outbound_ip", "outbound_helo"  # Haraka's notes

_ASKING_NOTES = frozenset({"queue", NOTED_HOP, OUTBOUND_IP, OUTBOUND_HELO})
_HOP_KEYS = frozenset(field.name for field in fields(NextHop))
_NAMES_A_HOST = ("exchange", "host", "path")


@dataclass(slots=True, eq=False)
class Route:
    """Where one mail may go.

    site: what politeness is counted by; hops: best first, looked up as they are asked for; chosen: an operator or a plugin
    named the hops, not the DNS; failover_on: see outbound.ini.
    """

    site: str
    hops: Iterator[NextHop]
    chosen: bool = False
    failover_on: str = "connection"


class _Choice(NamedTuple):
    """What somebody decided. hops: none means the MX; shared: equal priorities take turns; tls: for an MX."""

    hops: Sequence[NextHop] = ()
    failover_on: str = "connection"
    shared: bool = False
    tls: TlsPolicy | None = None
    pool: Pool | None = None
    helo: str = ""


class Router:
    """Knows the next hops for a mail. One for each engine.

    Change `settings`, `smarthosts`, `rules` and `pool` (where mail leaves from that no rule says more about) at any time.
    Tell `health` and `absent` what became of the hops. tls: what each of them must prove.
    """

    __slots__ = (
        "_logger",
        "_plans",
        "_resolver",
        "_runner",
        "absent",
        "health",
        "pool",
        "rules",
        "settings",
        "smarthosts",
        "tls",
    )

    def __init__(
        self,
        resolver: Resolver,
        runner: HookRunner,
        logger: Logger,
        settings: OutboundSettings,
        smarthosts: Sequence[NextHop] = (),
        tls: TlsPolicies | None = None,
    ) -> None:
        self._plans = Plans()
        self._resolver = resolver
        self._runner = runner
        self._logger = logger
        self.settings = settings
        self.smarthosts = tuple(smarthosts)
        self.rules = Rules()
        self.pool: Pool | None = None
        self.health = HostHealth(logger)
        self.absent = AbsentSources(logger)
        self.tls = tls or TlsPolicies(resolver, NoTlsHosts(logger))

    def route(self, hmail: HMail) -> Route:
        """The site that takes this mail, and its next hops, at most MAX_CANDIDATES. Raises NoRoute when there is none.

        The hops raise NoRoute too, when none of the names that they come from has an address, or no source reaches them.
        """
        usual = self._is_usual(hmail)
        plan = self._plans.find(hmail.todo.domain, self._grounds()) if usual else None
        if plan is not None:
            return Route(plan.site, iter((self.tls.as_of_now(plan.hop),)), True, plan.failover_on)
        choice = self._choice(hmail)
        if usual and len(choice.hops) == 1:
            self._plan(hmail, choice)
        site, hops = self._reachable(choice, hmail)
        hops = self._from_sources(hmail, choice, hops)
        return Route(site, islice(hops, MAX_CANDIDATES), bool(choice.hops), choice.failover_on)

    def goes_by_domain(self, todo: Todo) -> bool:
        """True when mail for the same domain goes the same way, whoever sends it."""
        if self.rules.ask_senders or self._runner.chains["get_mx"]:
            return False
        return not ((todo.extra and todo.extra.get(NEXT_HOP)) or (todo.notes and _noted_hop(todo)))

    # -- the same for mail after mail

    def _is_usual(self, hmail: HMail) -> bool:
        """True when mail for the same domain goes the same way, and no log line tells how that was found."""
        todo = hmail.todo
        return (
            not todo.extra
            and not todo.force_tls
            and _ASKING_NOTES.isdisjoint(todo.notes)
            and not self.rules.ask_senders
            and not self._runner.chains["get_mx"]
            and not self.health.any_down
            and hmail.logger.level < DEBUG
        )

    def _grounds(self) -> tuple[object, ...]:
        return self.settings, self.smarthosts, self.rules, self.pool, self.tls.rules, self.tls.clients

    def _plan(self, hmail: HMail, choice: _Choice) -> None:
        """Remember the way if it leads to one address from no particular source of ours."""
        found = addresses(choice.hops[0], self._resolver, self.settings)
        if len(found) != 1 or choice.pool or self.pool or choice.helo:
            return
        hop = self.tls.decided(hmail, found[0])
        plan = Plan(self._grounds(), site_of_hops(choice.hops), hop, choice.failover_on)
        self._plans.keep(hmail.todo.domain, plan)

    # -- who decides

    def _choice(self, hmail: HMail) -> _Choice:
        todo = hmail.todo
        chosen = self._chosen_by_plugin(hmail, todo.domain) if self._runner.has("get_mx") else None
        if chosen is None:
            chosen = self._asked_for(hmail)
        if chosen is not None:
            return _Choice(chosen)
        rule = self.rules.find(todo.domain, todo.mail_from)
        if rule is None and not self.smarthosts:
            return _Choice()
        if rule is None:
            return _Choice(self.smarthosts, self.settings.smarthost.failover_on, shared=True)
        hmail.logger.debug(f"takes the route [{rule.name}]", origin="outbound", uuid=todo.uuid)
        tls = None if rule.hops or rule.tls == "opportunistic" else rule.tls
        return _Choice(rule.hops, rule.failover_on, True, tls, rule.pool, rule.helo)

    def _chosen_by_plugin(self, hmail: HMail, domain: str) -> list[NextHop] | None:
        """The next hops that hook get_mx names; None when it leaves the choice to us."""
        verdict = self._runner.run("get_mx", hmail, domain)
        if verdict.code in (DENY, DENYDISCONNECT):
            raise NoRoute(_refusal(verdict, Reply(550, f"No MX for {domain}", "5.1.2")))
        if verdict.code in (DENYSOFT, DENYSOFTDISCONNECT):
            raise NoRoute(_refusal(verdict, Reply(450, f"Temporary MX lookup error for {domain}", "4.4.4")))
        if verdict.code is not OK or not verdict.message:
            return None
        return self._understood(verdict.message, f"Plugin {verdict.plugin}", hmail)

    def _asked_for(self, hmail: HMail) -> list[NextHop] | None:
        """The next hops that an operator gave this mail, or a plugin noted when it came in; None when nobody did."""
        if rerouted := hmail.todo.extra.get(NEXT_HOP):
            return [self._known(hop) for hop in self._understood(rerouted, "The operator", hmail)]
        noted = _noted_hop(hmail.todo)
        return self._understood(noted, f"The note {NOTED_HOP}", hmail) if noted else None

    def _understood(self, answer: object, who: str, hmail: HMail) -> list[NextHop]:
        try:
            hops = next_hops(answer)
        except (NextHopError, TypeError, ValueError) as error:
            raise self._unusable(hmail, f"{who} named no usable next hop: {error}") from error
        if self.settings.enable_tls:
            return hops
        return [replace(hop, tls="off") if hop.tls == "opportunistic" else hop for hop in hops]

    def _known(self, hop: NextHop) -> NextHop:
        """A host that the settings name too has its password and TLS from there: a reroute carries no secrets."""
        configured = (
            known for hops in (self.smarthosts, *(rule.hops for rule in self.rules)) for known in hops
        )
        for known in configured:
            if (known.host, known.port, known.path) == (hop.host, hop.port, hop.path) and not hop.auth_user:
                return known
        return hop

    def _unusable(self, hmail: HMail, why: str) -> NoRoute:
        hmail.logerror(why)
        return NoRoute(Reply(451, "No usable next hop", "4.3.5"))

    # -- what can be reached, and from where

    def _reachable(self, choice: _Choice, hmail: HMail) -> tuple[str, Iterator[NextHop]]:
        if choice.hops:
            hops = taking_turns(choice.hops) if choice.shared else choice.hops
            reachable = self.health.up_first(self._resolved(hops))
            return site_of_hops(choice.hops), (self.tls.for_chosen(hmail, hop) for hop in reachable)
        domain = hmail.todo.domain
        hosts = mail_hosts(domain, self._resolver)
        found = candidates(domain, hosts, self._resolver, self.settings, self.health)
        if choice.tls is not None:
            tls = choice.tls
            found = (replace(hop, tls=tls) for hop in found)
        return site_of_hosts(host for _, host in hosts), self.tls.for_mx(hmail, found)

    def _resolved(self, hops: Iterable[NextHop]) -> Iterator[NextHop]:
        for hop in hops:
            yield from addresses(hop, self._resolver, self.settings)

    def _from_sources(self, hmail: HMail, choice: _Choice, hops: Iterator[NextHop]) -> Iterator[NextHop]:
        """The hops with the address and the name that we use there."""
        pool, helo, notes = choice.pool or self.pool, choice.helo, hmail.todo.notes
        if OUTBOUND_IP in notes:
            pool = self._noted_pool(hmail) or pool
        if OUTBOUND_HELO in notes:
            helo = self._noted_helo(hmail) or helo
        if helo:
            hops = (replace(hop, bind_helo=helo) for hop in hops)
        return self.absent.spread(hops, pool, hmail.uuid or hmail.name.uniq) if pool else hops

    def _noted_pool(self, hmail: HMail) -> Pool | None:
        noted = hmail.todo.notes.get(OUTBOUND_IP)
        if not noted:
            return None
        if not isinstance(noted, str) or not parse_ip(noted):
            raise self._unusable(hmail, f"The note {OUTBOUND_IP} is no address: {noted!r}")
        return Pool(noted, (Source(noted),))

    def _noted_helo(self, hmail: HMail) -> str:
        noted = hmail.todo.notes.get(OUTBOUND_HELO)
        if not noted:
            return ""
        if not isinstance(noted, str) or not (is_host_name(noted) or address_literal(noted)):
            raise self._unusable(hmail, f"The note {OUTBOUND_HELO} is no host name: {noted!r}")
        return noted


def _noted_hop(todo: Todo) -> object:
    notes = todo.notes
    return notes.get(NOTED_HOP) if "queue" in notes or NOTED_HOP in notes else None


def next_hops(answer: object) -> list[NextHop]:
    """Read what hook get_mx answered with OK: a NextHop, a mapping of its fields or an object with such attributes (as
    Haraka's HarakaMx has), a host, a URL, or a list of those.

    The order is kept. Raises NextHopError (a ValueError) or TypeError, neither of which shows a password.
    """
    if isinstance(answer, NextHop):
        return [answer]
    if isinstance(answer, str):
        return [NextHop.parse(answer)]
    if isinstance(answer, Mapping):
        return [_from_mapping(answer)]
    if any(hasattr(answer, name) for name in _NAMES_A_HOST):
        return [_from_mapping({name: getattr(answer, name, None) for name in (*_HOP_KEYS, "exchange")})]
    if isinstance(answer, Iterable):
        return [hop for each in answer for hop in next_hops(each)]
    raise NextHopError(f"not a next hop: {type(answer).__name__}")


def reroute_to(text: str) -> str:
    """What a queue file keeps under NEXT_HOP, when an operator says where a mail shall go instead.

    Raises NextHopError when it is no next hop, or has a password: queue files have no secrets.
    """
    hop = NextHop.parse(text)
    if hop.auth_user is not None or hop.auth_pass is not None:
        raise NextHopError(
            "a reroute names no user and password; those of [smarthost] and of routes are used"
        )
    return text.strip()


def _from_mapping(given: Mapping[str, object]) -> NextHop:
    """A mapping with the names of NextHop's fields, `exchange` standing for host as in Haraka."""
    values = {
        ("host" if key == "exchange" else key): value for key, value in given.items() if value is not None
    }
    unknown = sorted(map(str, values.keys() - _HOP_KEYS))
    if unknown:
        raise NextHopError(f"a next hop has no {', '.join(unknown)}")
    if not values.get("host") and not values.get("path"):
        raise NextHopError("a next hop needs a host or a path")
    values["host"] = str(values.get("host", "")).rstrip(".")
    lmtp = bool(values.get("using_lmtp"))
    port = LMTP_PORT if lmtp else SMTPS_PORT if values.get("implicit_tls") else SMTP_PORT
    values["port"] = int(str(values.get("port") or port))
    values["priority"] = int(str(values.get("priority") or 0))
    return NextHop(**values)  # type: ignore[arg-type]  # the keys were checked just above


def _refusal(verdict: Verdict, default: Reply) -> Reply:
    """The default reply with the plugin's words, when it had some."""
    message = verdict.message
    if isinstance(message, DSN):
        return Reply(default.code, message.lines, f"{default.kind}.{message.sub}.{message.det}")
    if isinstance(message, (list, tuple)):
        message = "\n".join(map(str, message))
    return Reply(default.code, message, default.enhanced) if isinstance(message, str) and message else default
