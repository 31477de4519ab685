"""Counts what came of TLS in one day, by policy: what a report of RFC 8460 is made of."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeAlias

from mta.outbound.tls_result import TlsResult

MAX_DOMAINS = 10_000  # recipient domains in a day; what comes after them is not counted
MAX_POLICIES = 20  # of one domain in a day
MAX_FAILURES = 100  # kinds of failure under one policy
MAX_TEXT = 500  # characters of a reason

Policy: TypeAlias = tuple[str, tuple[str, ...], str, tuple[str, ...]]
Failure: TypeAlias = tuple[str, str, str, str]


class PolicyTally:
    """The sessions under one policy. failures: by result type, MX, address and reason."""

    __slots__ = ("failures", "successes")

    def __init__(self) -> None:
        self.successes = 0
        self.failures: Counter[Failure] = Counter()


class TlsTally:
    """The results of one day, in memory. A stranger's zone can make neither it nor one report larger than a few MB."""

    __slots__ = ("_domains", "changed")

    def __init__(self) -> None:
        self._domains: dict[str, dict[Policy, PolicyTally]] = {}
        self.changed = False

    def __len__(self) -> int:
        return len(self._domains)

    @property
    def domains(self) -> list[str]:
        """The recipient domains of which something is known."""
        return list(self._domains)

    def policies(self, domain: str) -> dict[Policy, PolicyTally]:
        """What is known of one domain; a policy is its type, its strings, its domain and its MX patterns."""
        return self._domains.get(domain, {})

    def add(self, result: TlsResult) -> None:
        """Count one result."""
        if result.domain not in self._domains and len(self._domains) >= MAX_DOMAINS:
            return
        policies = self._domains.setdefault(result.domain, {})
        policy = (result.policy_type, result.policy_strings, result.policy_domain, result.mx_patterns)
        if policy not in policies and len(policies) >= MAX_POLICIES:
            return
        tally = policies.setdefault(policy, PolicyTally())
        self.changed = True
        if result.result_type is None:
            tally.successes += 1
            return
        failure = (
            result.result_type,
            result.receiving_mx,
            result.receiving_ip,
            result.failure_reason[:MAX_TEXT],
        )
        if failure not in tally.failures and len(tally.failures) >= MAX_FAILURES:
            failure = (result.result_type, "", "", "more of these than can be listed")
        tally.failures[failure] += 1

    def include(self, other: TlsTally) -> None:
        """Add what another one has counted of the same day."""
        for domain in other.domains:
            if domain not in self._domains and len(self._domains) >= MAX_DOMAINS:
                continue
            policies = self._domains.setdefault(domain, {})
            for policy, theirs in other.policies(domain).items():
                ours = policies.setdefault(policy, PolicyTally())
                ours.successes += theirs.successes
                ours.failures.update(theirs.failures)

    def to_json(self) -> dict[str, Any]:
        """Everything, as from_json reads it."""
        return {
            domain: [
                {
                    "policy": policy,
                    "successes": tally.successes,
                    "failures": [[*failure, count] for failure, count in tally.failures.items()],
                }
                for policy, tally in policies.items()
            ]
            for domain, policies in self._domains.items()
        }

    @classmethod
    def from_json(cls, tree: Any) -> TlsTally:
        """What to_json gave. Raises ValueError, TypeError, KeyError, AttributeError for anything else."""
        made = cls()
        for domain, items in tree.items():
            policies = made._domains.setdefault(str(domain), {})
            for item in items:
                kind, strings, policy_domain, patterns = item["policy"]
                tally = policies[str(kind), _texts(strings), str(policy_domain), _texts(patterns)] = (
                    PolicyTally()
                )
                tally.successes = int(item["successes"])
                for kind, host, ip, reason, count in item["failures"]:
                    tally.failures[str(kind), str(host), str(ip), str(reason)] = int(count)
        return made


def _texts(items: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in items)
