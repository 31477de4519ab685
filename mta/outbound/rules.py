"""The routes of outbound_routes.ini: which mail goes another way than the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mta.config.envelopes import ANY, NULL_SENDER
from mta.config.schema import OutboundRouteSettings
from mta.config.sources import Source
from mta.net.next_hop import NextHop, TlsPolicy
from mta.outbound.smarthost import SmarthostError, hops_of, tls_of
from mta.outbound.sources import Pool, pool_named
from mta.plugin.domains import domain_key
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


@dataclass(frozen=True, slots=True)
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


def rules_of(
    sections: Iterable[tuple[str, OutboundRouteSettings]], pools: Mapping[str, Pool], enable_tls: bool
) -> tuple[Rule, ...]:
    """The routes in the order of the file. Raises SmarthostError that names the section."""
    return tuple(_rule(name, section, pools, enable_tls) for name, section in sections)


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


def rule_for(rules: Iterable[Rule], domain: str, sender: Address) -> Rule | None:
    """The first one that fits."""
    for rule in rules:
        if rule.fits(domain, sender):
            return rule
    return None
