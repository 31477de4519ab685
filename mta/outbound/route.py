"""Where one mail goes: hook get_mx is asked first, then the smarthosts, then the DNS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice

from mta.config.schema import OutboundSettings
from mta.logger import Logger
from mta.net.dns import Resolver
from mta.net.next_hop import LMTP_PORT, SMTP_PORT, SMTPS_PORT, NextHop, NextHopError
from mta.net.no_tls import NoTlsHosts
from mta.outbound.hmail import HMail
from mta.outbound.mx import NoRoute, addresses, candidates, mail_hosts
from mta.outbound.site import site_of_hops, site_of_hosts
from mta.outbound.tls_policy import TlsPolicies
from mta.plugin.runner import HookRunner
from mta.plugin.verdict import DENY, DENYDISCONNECT, DENYSOFT, DENYSOFTDISCONNECT, OK, Verdict
from mta.smtp.dsn import DSN
from mta.smtp.reply import Reply

MAX_CANDIDATES = 30

_HOP_KEYS = frozenset(field.name for field in fields(NextHop))
_NAMES_A_HOST = ("exchange", "host", "path")


@dataclass(frozen=True, slots=True)
class Route:
    """Where one mail may go. site: what politeness is counted by; hops: best first, looked up as they are asked for.

    chosen: an operator or a plugin named the hops, not the DNS.
    """

    site: str
    hops: Iterator[NextHop]
    chosen: bool = False


class Router:
    """Knows the next hops for a mail. One for each engine; change `settings` and `smarthosts` at any time.

    tls: what each of them must prove.
    """

    __slots__ = ("_logger", "_resolver", "_runner", "settings", "smarthosts", "tls")

    def __init__(
        self,
        resolver: Resolver,
        runner: HookRunner,
        logger: Logger,
        settings: OutboundSettings,
        smarthosts: Sequence[NextHop] = (),
        tls: TlsPolicies | None = None,
    ) -> None:
        self._resolver = resolver
        self._runner = runner
        self._logger = logger
        self.settings = settings
        self.smarthosts = tuple(smarthosts)
        self.tls = tls or TlsPolicies(resolver, NoTlsHosts(logger))

    def route(self, hmail: HMail) -> Route:
        """The site that takes this mail, and its next hops, at most MAX_CANDIDATES. Raises NoRoute when there is none.

        The hops raise NoRoute too, when none of the names that they come from has an address.
        """
        route = self._route(hmail)
        return Route(route.site, islice(route.hops, MAX_CANDIDATES), route.chosen)

    def _route(self, hmail: HMail) -> Route:
        domain = hmail.todo.domain
        chosen: Sequence[NextHop] | None = (
            self._chosen_by_plugin(hmail, domain) if self._runner.has("get_mx") else None
        )
        if chosen is None:
            chosen = self.smarthosts
        if chosen:
            hops = (self.tls.for_chosen(hmail, hop) for hop in self._resolved(chosen))
            return Route(site_of_hops(chosen), hops, chosen=True)
        hosts = mail_hosts(domain, self._resolver)
        found = candidates(domain, hosts, self._resolver, self.settings)
        return Route(site_of_hosts(host for _, host in hosts), self.tls.for_mx(hmail, found))

    def _resolved(self, hops: Iterable[NextHop]) -> Iterator[NextHop]:
        for hop in hops:
            yield from addresses(hop, self._resolver, self.settings)

    def _chosen_by_plugin(self, hmail: HMail, domain: str) -> list[NextHop] | None:
        """The next hops that hook get_mx names; None when it leaves the choice to us."""
        verdict = self._runner.run("get_mx", hmail, domain)
        if verdict.code in (DENY, DENYDISCONNECT):
            raise NoRoute(_refusal(verdict, Reply(550, f"No MX for {domain}", "5.1.2")))
        if verdict.code in (DENYSOFT, DENYSOFTDISCONNECT):
            raise NoRoute(_refusal(verdict, Reply(450, f"Temporary MX lookup error for {domain}", "4.4.4")))
        if verdict.code is not OK or not verdict.message:
            return None
        return self._understood(verdict, hmail)

    def _understood(self, verdict: Verdict, hmail: HMail) -> list[NextHop]:
        try:
            hops = next_hops(verdict.message)
        except (NextHopError, TypeError, ValueError) as error:
            self._logger.error(
                f"Plugin {verdict.plugin} named no usable next hop: {error}",
                origin=verdict.plugin,
                uuid=hmail.todo.uuid,
            )
            raise NoRoute(Reply(451, "No usable next hop", "4.3.5")) from error
        if self.settings.enable_tls:
            return hops
        return [replace(hop, tls="off") if hop.tls == "opportunistic" else hop for hop in hops]


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
