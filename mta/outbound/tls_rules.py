"""What the operator says about TLS with next hops, as tls.ini has it."""

from __future__ import annotations

from collections.abc import Sequence

from mta.config.schema import TlsSettings
from mta.net.ip import parse_ip, parse_network
from mta.net.next_hop import NextHop
from mta.record import record


@record
class HostList:
    """Addresses, networks, host names and domains, as force_tls_hosts[] has them."""

    entries: Sequence[str] = ()

    def has(self, hop: NextHop, domain: str) -> bool:
        """True when the list has the hop's address or name, or the domain that the mail goes to."""
        if not self.entries:
            return False
        if hop.name.lower() in self.entries or domain.lower() in self.entries:
            return True
        address = parse_ip(hop.host)
        return address is not None and any(
            network is not None and address in network for network in map(parse_network, self.entries)
        )


@record
class TlsRules:
    """What the operator says. forced, avoided: hosts; verify: no TLS with a certificate that proves nothing."""

    forced: HostList = HostList()
    avoided: HostList = HostList()
    verify: bool = False

    @classmethod
    def of(cls, settings: TlsSettings) -> TlsRules:
        """The rules of tls.ini."""
        section = settings.outbound
        verify = section.reject_unauthorized
        return cls(
            HostList((*settings.force_tls_hosts, *section.force_tls_hosts)),
            HostList(section.no_tls_hosts),
            settings.reject_unauthorized if verify is None else verify,
        )
