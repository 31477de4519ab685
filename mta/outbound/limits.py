"""What outbound_limits.ini says about one destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mta.config.rate import Rate
from mta.config.schema import LimitSettings
from mta.outbound.share import EVERYTHING, Share

DEFAULT_CONCURRENCY = 20  # as Postfix: what a stranger's mail server takes without complaint


class Limits:
    """common: for everybody; named: by domain, site or smarthost. Of what they allow a worker takes its share.

    sections: those of the named; a domain that has one is counted apart from the rest of its site.
    """

    __slots__ = ("_common", "_share", "sections")

    def __init__(
        self, common: LimitSettings, named: Mapping[str, LimitSettings], share: Share = EVERYTHING
    ) -> None:
        self._share = share
        self._common = _shared(common, share)
        self.sections = {name.lower(): _shared(settings, share) for name, settings in named.items()}

    def of(self, name: str) -> LimitSettings:
        """The limits of a domain, site or smarthost."""
        return self.sections.get(name, self._common)

    def concurrency(self, name: str, chosen: bool, most: int) -> int:
        """The most deliveries at a time. chosen: our operator named the hosts, and may ask much of them; most: in all."""
        usual = most if chosen else min(self._share.part(DEFAULT_CONCURRENCY), most)
        return self.of(name).concurrency or usual

    def intervals(self, domain: str) -> tuple[int, ...] | None:
        """The waits between attempts that this file sets for a domain."""
        return self.of(domain).temp_fail_intervals


def _shared(settings: LimitSettings, share: Share) -> LimitSettings:
    if share.slots == 1:
        return settings
    rate = settings.rate and Rate(settings.rate.count, settings.rate.seconds * share.slots)
    return replace(settings, concurrency=share.part(settings.concurrency), rate=rate)
