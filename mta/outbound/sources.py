"""Addresses that mail leaves from: pools of them, and which one a mail gets."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from mta.config.schema import OutboundPoolSettings
from mta.config.sources import Source
from mta.net.ip import parse_ip
from mta.outbound.mx import NoRoute
from mta.outbound.smarthost import SmarthostError
from mta.record import record
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.net.next_hop import NextHop

ABSENT_SECONDS = 60.0  # until an address that was not there is tried first again
MAX_ABSENT = 10_000  # remembered at a time; a plugin may name any address


@record
class Pool:
    """Addresses under a name; those of weight 0 take no mail."""

    name: str
    sources: tuple[Source, ...]

    def ranked(self, key: str) -> list[Source]:
        """The sources for a mail, best first: by their weights over many keys, always the same for one key.

        Rendezvous hashing with weights: a source that is added takes its share from each of the others and moves nothing
        else, one that goes leaves its mail to each of them.
        """
        wanted = [source for source in self.sources if source.weight]
        return sorted(wanted, key=lambda source: _distance(key, source))


def _distance(key: str, source: Source) -> float:
    digest = blake2b(f"{key} {source.address}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    fraction = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -math.log(fraction) / source.weight


def pools_of(sections: Iterable[tuple[str, OutboundPoolSettings]]) -> dict[str, Pool]:
    """The pools of outbound_pools.ini by their names. Raises SmarthostError for one without a source."""
    pools = {}
    for name, section in sections:
        if not any(source.weight for source in section.source):
            raise SmarthostError(f"outbound_pools.ini [{name}] has no source with a weight")
        pools[name] = Pool(name, section.source)
    return pools


def pool_named(name: str, pools: Mapping[str, Pool], where: str) -> Pool | None:
    """The pool of that name, None for "". Raises SmarthostError that begins with `where`."""
    if name and name not in pools:
        raise SmarthostError(f"{where} pool: there is no [{name}] in outbound_pools.ini")
    return pools.get(name)


class AbsentSources:
    """Addresses that this machine turned out not to have; they are asked last for a while."""

    __slots__ = ("_logger", "_until")

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._until: dict[str, float] = {}

    def add(self, address: str) -> None:
        """Binding to it failed."""
        if address not in self:
            self._logger.warn(f"this machine has no address {address} to send from", origin="outbound")
        if len(self._until) >= MAX_ABSENT:
            self._until.clear()
        self._until[address] = time.monotonic() + ABSENT_SECONDS

    def __contains__(self, address: str) -> bool:
        return bool(self._until) and time.monotonic() < self._until.get(address, 0.0)

    def spread(self, hops: Iterable[NextHop], pool: Pool, key: str) -> Iterator[NextHop]:
        """Each hop with the source that the mail of that key leaves from, once more with the next one if that was absent.

        An IPv4 source for IPv4 hops, IPv6 for IPv6; hops that no source can reach are left out, those that have a source
        of their own, and sockets, stay as they are. Raises NoRoute instead of yielding nothing.
        """
        ranked = sorted(pool.ranked(key), key=lambda source: source.address in self)
        found = False
        for hop in hops:
            if hop.bind or hop.path:
                found = True
                yield hop
                continue
            for source in _able(ranked, hop):
                found = True
                yield replace(hop, bind=source.address, bind_helo=hop.bind_helo or source.helo or None)
                if source.address not in self:
                    break
        if not found:
            raise NoRoute(
                Reply(451, f"No address of pool {pool.name} can reach any of the next hops", "4.4.4")
            )


def is_absent_source(error: BaseException | None) -> bool:
    """True for the system's word that an address to bind to is not one of this machine."""
    return isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL


def _able(sources: Iterable[Source], hop: NextHop) -> list[Source]:
    """The sources of the hop's family; a name that only the system can look up is reached by either, IPv4 first."""
    address = parse_ip(hop.host)
    if address is None:
        return sorted(sources, key=lambda source: source.is_v6)
    return [source for source in sources if source.is_v6 is (address.version == 6)]
