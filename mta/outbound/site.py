"""The names of sites: what concurrency, rates and suspensions are counted by.

Domains whose mail is taken by the hosts of one organisation are one site, however many domains that are: it is the
provider who feels how much we send.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from mta.net.ip import is_ip
from mta.net.next_hop import NextHop
from mta.plugin.domains import organizational_domain


def site_of_hosts(hosts: Iterable[str]) -> str:
    """The site behind MX hosts: the organisational domains of all of them, as `google.com` or `a.test+b.test`."""
    return "+".join(sorted({organisation(host) for host in hosts}))


def site_of_hops(hops: Sequence[NextHop]) -> str:
    """The site behind next hops that somebody chose: the hosts themselves, each once, in the order given."""
    if len(hops) == 1:
        return hops[0].path or hops[0].name
    return "+".join(dict.fromkeys(hop.path or hop.name for hop in hops))


@lru_cache(maxsize=10_000)
def organisation(host: str) -> str:
    """The registrable domain of a host (`alt1.aspmx.l.google.com` is google.com); an address is itself."""
    name = host.rstrip(".")
    return name if is_ip(name) else organizational_domain(name)
