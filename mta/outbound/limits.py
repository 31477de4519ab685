"""What outbound_limits.ini says about one destination."""

from __future__ import annotations

from collections.abc import Mapping

from mta.config.schema import LimitSettings

DEFAULT_CONCURRENCY = 20  # as Postfix: what a stranger's mail server takes without complaint


class Limits:
    """common: for everybody; named: by domain, site or smarthost."""

    __slots__ = ("_common", "_named")

    def __init__(self, common: LimitSettings, named: Mapping[str, LimitSettings]) -> None:
        self._common = common
        self._named = {name.lower(): settings for name, settings in named.items()}

    def names(self, name: str) -> bool:
        """True when there is a section of that name; a domain that has one is counted apart from the rest of its site."""
        return name in self._named

    def of(self, name: str) -> LimitSettings:
        """The limits of a domain, site or smarthost."""
        return self._named.get(name, self._common)

    def concurrency(self, name: str, chosen: bool, most: int) -> int:
        """The most deliveries at a time. chosen: our operator named the hosts, and may ask much of them; most: in all."""
        return self.of(name).concurrency or (most if chosen else min(DEFAULT_CONCURRENCY, most))

    def intervals(self, domain: str) -> tuple[int, ...] | None:
        """The waits between attempts that this file sets for a domain."""
        return self.of(domain).temp_fail_intervals
