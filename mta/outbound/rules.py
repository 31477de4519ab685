"""The routes of outbound_routes.ini: which mail goes another way than the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mta.config.envelopes import ANY, NULL_SENDER
from mta.config.schema import OutboundRouteSettings
from mta.config.sources import Source
from mta.net.next_hop import NextHop, TlsPolicy
from mta.outbound.smarthost import SmarthostError, hops_of, tls_of
from mta.outbound.sources import Pool, pool_named
from mta.plugin.domains import domain_key
from mta.record import record
from mta.smtp.address import Address


class Domains:
    """Domains, `*.domain` for all below one, `*` for all there are."""

    __slots__ = ("_any", "_exact", "_suffixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = set(patterns)
        self._any = ANY in patterns
        self._exact = {domain_key(each) for each in patterns if not each.startswith(ANY)}
        self._suffixes = {domain_key(each[2:]) for each in patterns if each.startswith("*.")}

    def __contains__(self, domain: str) -> bool:
        if self._any or domain in self._exact:
            return True
        while self._suffixes and domain:
            domain = domain.partition(".")[2]
            if domain in self._suffixes:
                return True
        return False


class Senders:
    """Domains as above, addresses, and `<>`; local parts are compared in any case."""

    __slots__ = ("_addresses", "_domains", "_null")

    def __init__(self, patterns: Iterable[str]) -> None:
        patterns = set(patterns)
        self._null = NULL_SENDER in patterns or ANY in patterns
        split = [each.rpartition("@") for each in patterns if "@" in each]
        self._addresses = {(local, domain_key(domain)) for local, _, domain in split}
        self._domains = Domains(each for each in patterns if "@" not in each and each != NULL_SENDER)

    def __contains__(self, sender: Address) -> bool:
        if sender.is_null:
            return self._null
        return sender.host in self._domains or (sender.user.lower(), sender.host) in self._addresses


@record
class Rule:
    """One route. recipients, senders: None fits everybody; hops: none means the MX, tls is for it; helo: "" for the pool's."""

    name: str
    recipients: Domains | None
    senders: Senders | None
    hops: tuple[NextHop, ...]
    tls: TlsPolicy
    failover_on: str
    pool: Pool | None
    helo: str

    def fits(self, domain: str, sender: Address) -> bool:
        """True when mail from the sender to the domain goes this way."""
        return (self.recipients is None or domain in self.recipients) and (
            self.senders is None or sender in self.senders
        )


class Rules:
    """Routes in their order, found by what they are for: thousands of them cost a mail no more than a few.

    ask_senders: one of them is for certain senders.
    """

    __slots__ = ("_by_recipient", "_by_sender", "_others", "_rules", "ask_senders")

    def __init__(self, rules: Iterable[tuple[Rule, OutboundRouteSettings]] = ()) -> None:
        rules = tuple(rules)
        self.ask_senders = any(rule.senders is not None for rule, _ in rules)
        self._rules = tuple(rule for rule, _ in rules)
        self._by_recipient: dict[str, list[int]] = {}
        self._by_sender: dict[str, list[int]] = {}
        self._others: list[int] = []
        for number, (_, section) in enumerate(rules):
            self._index(number, section)

    def _index(self, number: int, section: OutboundRouteSettings) -> None:
        if section.recipients and ANY not in section.recipients:
            place, patterns = self._by_recipient, section.recipients
        elif section.senders and ANY not in section.senders:
            place, patterns = self._by_sender, section.senders
        else:
            self._others.append(number)
            return
        for pattern in patterns:
            place.setdefault(_key(pattern), []).append(number)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def find(self, domain: str, sender: Address) -> Rule | None:
        """The first one that fits mail from the sender to the domain."""
        if not self._rules:
            return None
        numbers = list(self._others)
        for key in _keys(domain) if self._by_recipient else ():
            numbers += self._by_recipient.get(key, ())
        for key in _sender_keys(sender) if self._by_sender else ():
            numbers += self._by_sender.get(key, ())
        for number in sorted(numbers):
            if self._rules[number].fits(domain, sender):
                return self._rules[number]
        return None


def _key(pattern: str) -> str:
    """A pattern as _keys and _sender_keys have it."""
    if pattern == NULL_SENDER:
        return pattern
    local, at, domain = pattern.rpartition("@")
    wild = "*." if domain.startswith("*.") else ""
    return f"{local}{at}{wild}{domain_key(domain[len(wild) :])}"


def _keys(domain: str) -> Iterator[str]:
    """The patterns that a domain fits: itself, and all that it is below."""
    yield domain
    while domain:
        domain = domain.partition(".")[2]
        yield f"*.{domain}"


def _sender_keys(sender: Address) -> Iterator[str]:
    if sender.is_null:
        yield NULL_SENDER
        return
    yield f"{sender.user.lower()}@{sender.host}"
    yield from _keys(sender.host)


def rules_of(
    sections: Iterable[tuple[str, OutboundRouteSettings]], pools: Mapping[str, Pool], enable_tls: bool
) -> Rules:
    """The routes of outbound_routes.ini. Raises SmarthostError that names the section."""
    return Rules((_rule(name, section, pools, enable_tls), section) for name, section in sections)


def _rule(name: str, section: OutboundRouteSettings, pools: Mapping[str, Pool], enable_tls: bool) -> Rule:
    where = f"outbound_routes.ini [{name}]"
    for wrong, why in (
        (not section.recipients and not section.senders, "needs recipients or senders, `*` for all of them"),
        (bool(section.host) is section.mx, "needs either host or mx=true"),
        (section.bind and section.pool, "has bind and pool, and only one of them can be"),
        (section.mx and section.auth_user, "has a password for any MX"),
    ):
        if wrong:
            raise SmarthostError(f"{where} {why}")
    return Rule(
        name,
        Domains(section.recipients) if section.recipients else None,
        Senders(section.senders) if section.senders else None,
        hops_of(section, where, enable_tls),
        tls_of(section.tls, enable_tls),
        section.failover_on,
        Pool(section.bind, (Source(section.bind),))
        if section.bind
        else pool_named(section.pool, pools, where),
        section.bind_helo,
    )
