"""Our side of TLS towards each next hop: which certificate of ours it is shown, if any; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mta.net.ip import IPNetwork, parse_ip, parse_network

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.tls_client import TlsClient


class TlsClients:
    """One client for each certificate. Never changed: new settings make a new one.

    usual: for hosts of which nothing is said; named: for the hosts that it has, whether they are excluded or not; bare: shows
    no certificate, for those of `excluded`. Hosts are names, addresses and networks, as in tls.ini.
    """

    __slots__ = ("_excluded", "_named", "usual")

    def __init__(
        self,
        usual: TlsClient,
        named: Mapping[str, TlsClient] | None = None,
        bare: TlsClient | None = None,
        excluded: Iterable[str] = (),
    ) -> None:
        self.usual = usual
        self._named = _Hosts(named or {})
        self._excluded = _Hosts(dict.fromkeys(excluded, bare or usual))

    def for_hop(self, hop: NextHop) -> TlsClient:
        """The client to meet that host with. An address fits a host that is given by address or was found by MX."""
        return self._named.get(hop) or self._excluded.get(hop) or self.usual


class _Hosts:
    """Clients by host; a name counts more than an address, and a small network more than a large one."""

    __slots__ = ("_by_name", "_by_network")

    def __init__(self, clients: Mapping[str, TlsClient]) -> None:
        self._by_name: dict[str, TlsClient] = {}
        self._by_network: list[tuple[IPNetwork, TlsClient]] = []
        for host, client in clients.items():
            network = parse_network(host)
            if network is None:
                self._by_name[host.lower().rstrip(".")] = client
            else:
                self._by_network.append((network, client))
        self._by_network.sort(key=lambda each: -each[0].prefixlen)

    def get(self, hop: NextHop) -> TlsClient | None:
        if not self._by_name and not self._by_network:
            return None
        client = self._by_name.get(hop.name.lower())
        if client is not None or not self._by_network:
            return client
        address = parse_ip(hop.host)
        if address is None:
            return None
        return next((client for network, client in self._by_network if address in network), None)
