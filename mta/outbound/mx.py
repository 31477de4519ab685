"""Which hosts take mail for a domain, in the order in which to try them: RFC 5321 5.1, RFC 7505."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, islice
from operator import attrgetter
from typing import cast

from mta.config.schema import OutboundSettings
from mta.net.dns import MX, Family, LookupFailed, NotFound, Resolver, Tempfail
from mta.net.host_health import HostHealth
from mta.net.ip import address_literal, is_ip, is_own_ip
from mta.net.next_hop import NextHop, TlsPolicy
from mta.smtp.reply import Reply

MAX_HOSTS = 20  # a hostile zone may list thousands
MAX_ADDRESSES = 8  # of one host


class NoRoute(Exception):
    """There is nowhere to send the mail to: for good (a 5yz reply) or for now (4yz). expired: as in an Outcome."""

    def __init__(self, reply: Reply, expired: str = "") -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.expired = expired


def candidates(
    domain: str,
    hosts: Sequence[MX],
    resolver: Resolver,
    settings: OutboundSettings,
    health: HostHealth | None = None,
) -> Iterator[NextHop]:
    """Yield the next hops for a domain, best first; its mail_hosts are looked up when their priority's turn comes.

    Equal priorities come in random order (RFC 5321 5.1), those that are down last; inet_prefer sorts inside a priority
    only. A host that is this machine ends the list, with all others of its priority, unless local_mx_ok. Raises NoRoute instead of yielding nothing.
    """
    found = False
    doubt: LookupFailed | None = None
    for group in _by_priority(hosts):
        hops, failure = _resolved(group, resolver, settings)
        if failure is not None and not isinstance(doubt, Tempfail):
            doubt = failure
        if not settings.local_mx_ok and any(is_own_ip(hop.host) for hop in hops):
            # RFC 5321 5.1: whoever is listed himself must not hand the mail to his equals or lessers, or it loops.
            if not found:
                raise NoRoute(Reply(554, f"Mail for {domain} loops back to this server", "5.4.6"))
            return
        for hop in hops if health is None else health.up_first(hops):
            found = True
            yield hop
    if not found:
        raise NoRoute(_unreachable(domain, doubt))


def addresses(hop: NextHop, resolver: Resolver, settings: OutboundSettings) -> list[NextHop]:
    """A next hop named by an operator or a plugin as one hop for each of its addresses.

    A name that the DNS does not know stays a name: the system may find it elsewhere, such as in /etc/hosts.
    """
    if hop.path or is_ip(hop.host):
        return [hop]
    try:
        found = resolver.lookup_ip(hop.host, _family(settings))
    except LookupFailed:
        found = []
    return [at(hop, ip) for ip in found[:MAX_ADDRESSES]] or [hop]


@lru_cache(maxsize=1024)  # the same few hops all day
def at(hop: NextHop, ip: str) -> NextHop:
    """The same next hop at one address, remembering the name it was found by."""
    if hop.host == ip:
        return hop
    return replace(hop, host=ip, from_dns=hop.name)


def tls_policy(settings: OutboundSettings) -> TlsPolicy:
    """How to treat STARTTLS at hosts that nobody said anything special about."""
    return "opportunistic" if settings.enable_tls else "off"


def _family(settings: OutboundSettings) -> Family:
    return cast(Family, settings.inet_prefer)


def mail_hosts(domain: str, resolver: Resolver) -> list[MX]:
    """The MX records of a domain, equal ones shuffled; the domain itself when it has none (RFC 5321 5.1).

    Raises NoRoute.
    """
    literal = address_literal(domain)
    if literal:
        return [MX(0, literal)]
    try:
        records = resolver.lookup_mx(domain)
    except NotFound as error:
        raise NoRoute(Reply(550, f"No Such Domain: {domain}", "5.1.2")) from error
    except LookupFailed as error:
        raise NoRoute(Reply(451, f"DNS lookup failure: {error}", "4.4.3")) from error
    if not records:
        return [MX(0, domain)]
    hosts = [record for record in records if record.host]
    if not hosts:
        raise NoRoute(Reply(556, f"Domain {domain} sends and receives no email (NULL MX)", "5.1.10"))
    random.shuffle(hosts)
    hosts.sort(key=attrgetter("priority"))  # keeps the shuffled order of equals
    return hosts[:MAX_HOSTS]


def _by_priority(hosts: Sequence[MX]) -> Iterator[list[MX]]:
    for _, group in groupby(hosts, attrgetter("priority")):
        yield list(group)


def _resolved(
    group: Sequence[MX], resolver: Resolver, settings: OutboundSettings
) -> tuple[list[NextHop], LookupFailed | None]:
    """The addresses of hosts of one priority, and why one of them has none: a passing reason if there is one."""
    hops: list[NextHop] = []
    failure: LookupFailed | None = None
    policy = tls_policy(settings)
    for priority, host in group:
        try:
            found = resolver.lookup_ip(host, _family(settings))
        except LookupFailed as error:
            failure = error if failure is None or isinstance(error, Tempfail) else failure
            continue
        for ip in islice(found, MAX_ADDRESSES):
            name = None if ip == host else host
            hops.append(NextHop(host=ip, priority=priority, from_dns=name, tls=policy))
    if settings.inet_prefer != "default":
        hops.sort(key=lambda hop: (":" in hop.host) is (settings.inet_prefer == "v4"))
    return hops, failure


def _unreachable(domain: str, failure: LookupFailed | None) -> Reply:
    if isinstance(failure, Tempfail):
        return Reply(451, f"DNS lookup failure: {failure}", "4.4.3")
    return Reply(550, f"Nowhere to deliver mail to for domain: {domain}", "5.4.4")
