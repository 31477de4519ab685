"""Are the routes and pools of outgoing mail sound, and does this machine have the addresses that they name?"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from mta.config import Config, Problem
from mta.config.schema import OutboundPoolSettings, OutboundRouteSettings, OutboundSettings
from mta.net.ip import is_local
from mta.net.next_hop import NextHop
from mta.outbound.rules import rules_of
from mta.outbound.smarthost import SmarthostError
from mta.outbound.sources import Pool, pool_named, pools_of

IN_THE_CLEAR = "the password crosses the network in the clear, because TLS is off"


def bad_ways(config: Config) -> Iterator[Problem]:
    """Pools that are none, routes that say nothing or too much, pools that nobody knows, addresses that are not ours."""
    pools: dict[str, Pool] = {}
    for name, pool in config.sections(OutboundPoolSettings):
        try:
            pools |= pools_of([(name, pool)])
        except SmarthostError as error:
            yield _wrong(config, OutboundPoolSettings, name, error)
        yield from _absent(config, OutboundPoolSettings, name, [source.address for source in pool.source])
    for name, route in config.sections(OutboundRouteSettings):
        yield from _bad_route(config, name, route, pools)
    try:
        pool_named(config.settings(OutboundSettings).pool, pools, "")
    except SmarthostError as error:
        file, line = config.place(OutboundSettings, "main", "pool")
        yield Problem(file, str(error).removeprefix(" pool: "), line, "main", "pool", fatal=True)


def shows_password(hops: Iterable[NextHop]) -> bool:
    """True when one of the next hops, which have a password, is elsewhere and spoken to without TLS."""
    return any(
        hop.tls == "off" and not hop.path and hop.host != "localhost" and not is_local(hop.host)
        for hop in hops
    )


def _bad_route(
    config: Config, name: str, route: OutboundRouteSettings, pools: dict[str, Pool]
) -> Iterator[Problem]:
    try:
        (rule,) = rules_of([(name, route)], pools, config.settings(OutboundSettings).enable_tls)
    except SmarthostError as error:
        yield _wrong(config, OutboundRouteSettings, name, error)
        return
    if route.auth_user and shows_password(rule.hops):
        file, line = config.place_of_section(OutboundRouteSettings, name)
        yield Problem(file, IN_THE_CLEAR, line, name)
    if route.bind:
        yield from _absent(config, OutboundRouteSettings, name, [route.bind])


def _wrong(
    config: Config,
    cls: type[OutboundPoolSettings] | type[OutboundRouteSettings],
    name: str,
    error: SmarthostError,
) -> Problem:
    file, line = config.place_of_section(cls, name)
    return Problem(file, str(error).removeprefix(f"{cls.FILE} [{name}] "), line, name, fatal=True)


def _absent(
    config: Config,
    cls: type[OutboundPoolSettings] | type[OutboundRouteSettings],
    name: str,
    addresses: Iterable[str],
) -> Iterator[Problem]:
    """It may come later, as that of a failover pair does, so it keeps no server from starting."""
    for address in addresses:
        if not _is_of_this_machine(address):
            file, line = config.place_of_section(cls, name)
            yield Problem(file, f"this machine has no address {address} to send from", line, name)


def _is_of_this_machine(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True
