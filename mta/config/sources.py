"""The lines of a pool in outbound_pools.ini: `192.0.2.1 10 mail1.example.com`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from mta.config.smarthost import is_host_name
from mta.record import record

MAX_WEIGHT = 1000


@record
class Source:
    """An address that mail leaves from. weight: its share, 0 for none; helo: what we call ourselves then, "" as usual."""

    address: str
    weight: int = 1
    helo: str = ""

    @property
    def is_v6(self) -> bool:
        """True for an IPv6 address."""
        return ":" in self.address

    def __str__(self) -> str:
        return f"{self.address} {self.weight} {self.helo}".rstrip()


def parse_source(text: str) -> Source:
    """Read one line. Raises ValueError that says which word is wrong."""
    address, *rest = text.split() or [""]
    weights = [word for word in rest if re.fullmatch(r"[0-9]{1,9}", word)]
    names = [word for word in rest if word not in weights]
    if len(weights) > 1 or len(names) > 1:
        raise ValueError(f"{text!r} has more than an address, a weight and a name")
    weight = int(weights[0]) if weights else 1
    if weight > MAX_WEIGHT:
        raise ValueError(f"the weight {weight} is out of range")
    if names and not is_host_name(names[0]):
        raise ValueError(f"{names[0]!r} is not a host name")
    return Source(parse_address(address), weight, names[0] if names else "")


def parse_sources(texts: Sequence[str]) -> tuple[Source, ...]:
    """Read the lines of a pool, blank ones left out. Raises ValueError, for an address that comes twice too."""
    sources = tuple(parse_source(text) for text in texts if text.strip())
    addresses = [source.address for source in sources]
    for address in addresses:
        if addresses.count(address) > 1:
            raise ValueError(f"{address} comes twice")
    return sources


def parse_address(text: str) -> str:
    """An IP address in its usual form; IPv6 may stand in brackets. Raises ValueError."""
    try:
        return str(ipaddress.ip_address(re.sub(r"^\[(.*)\]\Z", r"\1", text)))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None
