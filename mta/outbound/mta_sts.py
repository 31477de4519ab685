"""MTA-STS (RFC 8461): the policy that binds us for a domain, from the cache or fetched, and what went wrong with it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mta.net.dns import LookupFailed, Resolver
from mta.net.tls_security import TlsFault
from mta.outbound.sts_cache import Known, StsCache, is_domain
from mta.outbound.sts_fetch import StsFetcher, StsFetchFailed
from mta.outbound.sts_policy import StsPolicy, policy_id
from mta.record import record

if TYPE_CHECKING:
    from mta.logger import Logger

RETRY_SECONDS = 300  # RFC 8461 3.3: not more often after a failure
REFRESH_SECONDS = 86_400  # RFC 8461 10.2: ask again once a day even if the id is the same
_MAX_FAILURES = 10_000


@record
class StsAnswer:
    """The policy that binds us, None when there is none. fault: a fetch that failed just now."""

    policy: StsPolicy | None = None
    fault: TlsFault | None = None


NOTHING = StsAnswer()


class MtaSts:
    """Knows the policies of domains. One for the process; deliveries that want the same one wait for a single fetch."""

    def __init__(self, resolver: Resolver, fetcher: StsFetcher, cache: StsCache, logger: Logger) -> None:
        self._resolver = resolver
        self._fetcher = fetcher
        self._cache = cache
        self._logger = logger
        self._failed: OrderedDict[str, float] = OrderedDict()
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    def policy_for(self, domain: str) -> StsAnswer:
        """The policy of a recipient's domain. It may take as long as a fetch; nothing that a domain does makes it raise."""
        domain = domain.lower().rstrip(".")
        if not is_domain(domain):
            return NOTHING
        known = self._cache.get(domain)
        announced = self._announced(domain)
        if announced is None or not self._is_wanted(domain, known, announced):
            return StsAnswer(known.policy if known else None)
        turn = self._turns.setdefault(domain, _Turn())
        with turn.lock:
            known = self._cache.get(domain)  # somebody may have fetched it while we waited
            if not self._is_wanted(domain, known, announced):
                return StsAnswer(known.policy if known else None)
            return self._refresh(domain, announced, known)

    def _announced(self, domain: str) -> str | None:
        """The id of the policy that the DNS tells of now; None when it tells of none, which undoes no policy we have."""
        try:
            return policy_id(self._resolver.lookup_txt(f"_mta-sts.{domain}"))
        except LookupFailed:
            return None

    def _is_wanted(self, domain: str, known: Known | None, announced: str) -> bool:
        now = time.time()
        fresh = known is not None and known.id == announced and now < known.fetched + REFRESH_SECONDS
        return not fresh and not now < self._failed.get(domain, 0.0) + RETRY_SECONDS

    def _refresh(self, domain: str, announced: str, known: Known | None) -> StsAnswer:
        try:
            policy = self._fetcher.fetch(domain)
        except StsFetchFailed as error:
            self._remember_failure(domain)
            kept = (
                "; the policy from before stays in force" if known else "; delivering as if there were none"
            )
            self._logger.notice(f"MTA-STS policy of {domain}: {error}{kept}", origin="outbound")
            return StsAnswer(known.policy if known else None, TlsFault(error.kind, str(error)))
        self._failed.pop(domain, None)
        try:
            self._cache.put(domain, Known(announced, time.time(), policy))
        except OSError as error:
            self._logger.warn(f"cannot keep the MTA-STS policy of {domain}: {error}", origin="outbound")
        return StsAnswer(policy)

    def _remember_failure(self, domain: str) -> None:
        self._failed[domain] = time.time()
        self._failed.move_to_end(domain)
        if len(self._failed) > _MAX_FAILURES:
            self._failed.popitem(last=False)


class _Turn:
    """Who holds it fetches; it goes when nobody waits for it any more."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
