"""How sure we must be of each next hop: the operator's word, REQUIRETLS, DANE, MTA-STS, in this order, else opportunistic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mta.config.schema import SecuritySettings
from mta.net.dns import LookupFailed, Resolver
from mta.net.ip import address_literal, is_ip
from mta.net.next_hop import NextHop
from mta.net.no_tls import NoTlsHosts
from mta.net.smtp_client import ClientError, SmtpClient, TlsFailed
from mta.net.smtp_starttls import BY_CONFIGURATION, NOT_OFFERED
from mta.net.tls_clients import TlsClients
from mta.net.tls_security import PolicyFacts, TlsFault, TlsOutcome, TlsSecurity
from mta.outbound.dane import ABSENT, DaneAnswer, dane_for
from mta.outbound.mta_sts import NOTHING, MtaSts, StsAnswer
from mta.outbound.mx import NoRoute
from mta.outbound.tls_demands import Demands, decide, is_vouched_for
from mta.outbound.tls_result import OnTlsResult, TlsResult
from mta.outbound.tls_rules import TlsRules
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.outbound.hmail import HMail

# RFC 8689 4.2.1: where the name of the host is only hearsay, a certificate for it proves nothing.
NOT_VALIDATED = Reply(
    550,
    "REQUIRETLS needs MX hosts that DNSSEC or MTA-STS vouches for, or a next hop that was configured",
    "5.7.10",
)
NOT_VALIDATED_YET = Reply(450, f"{NOT_VALIDATED.text}; the MTA-STS policy cannot be had now", "4.7.10")

_MAX_CHOSEN = 1000


class TlsPolicies:
    """Puts the demands on next hops, and learns from what became of them. One for each engine.

    sts: None without MTA-STS; on_tls_result: told what came of TLS at each MX. Change `rules`, `security` and `clients`
    at any time.
    """

    def __init__(
        self,
        resolver: Resolver,
        no_tls: NoTlsHosts,
        sts: MtaSts | None = None,
        *,
        rules: TlsRules | None = None,
        security: SecuritySettings | None = None,
        clients: TlsClients | None = None,
        on_tls_result: OnTlsResult | None = None,
    ) -> None:
        self._resolver = resolver
        self._sts = sts
        self.no_tls = no_tls
        self.rules = rules or TlsRules()
        self.security = security or SecuritySettings()
        self.clients = clients
        self.on_tls_result = on_tls_result
        self._chosen: dict[tuple[object, ...], NextHop] = {}

    @property
    def heeds_dane(self) -> bool:
        """True when DANE is on, and there is a name server whose AD bit may be believed."""
        return self.security.dane == "ad" and (self.security.dns_trusted or self._resolver.on_this_machine)

    def for_chosen(self, hmail: HMail, hop: NextHop) -> NextHop:
        """A hop that an operator or a plugin named: the policies of domains have no say there (RFC 8461 section 2)."""
        return self.as_of_now(self.decided(hmail, hop))

    def decided(self, hmail: HMail, hop: NextHop) -> NextHop:
        """As for_chosen, from the settings and the mail alone."""
        rules = self.rules
        forced, avoided = self._is_forced(hop, hmail), rules.avoided.has(hop, hmail.todo.domain)
        # Most mail goes where the mail before went, and a dataclass costs more than a look into a dictionary.
        key = (hop, forced, avoided, rules.verify, hmail.todo.require_tls, self.clients)
        decided = self._chosen.get(key)
        if decided is None:
            if len(self._chosen) >= _MAX_CHOSEN:
                self._chosen.clear()
            decided = self._chosen[key] = decide(hop, self._of_operator(hop, hmail))
        return decided

    def for_mx(self, hmail: HMail, hops: Iterable[NextHop]) -> Iterator[NextHop]:
        """The hosts that the DNS named for the mail's domain, looked up one by one.

        Raises NoRoute when the mail asks for REQUIRETLS and nothing vouches for any of them.
        """
        domain = hmail.todo.domain
        relaxed = hmail.todo.tls_optional
        sts = NOTHING if relaxed else self._sts_for(domain)
        secure = not relaxed and self.heeds_dane and self._mx_is_secure(domain)
        vouched = False
        for hop in hops:
            demands = replace(
                self._of_operator(hop, hmail),
                domain=domain,
                mx=True,
                mx_secure=secure,
                dane=self._dane_for(hop, secure),
                sts=sts.policy,
            )
            if demands.require_tls and not is_vouched_for(hop, demands):
                continue
            vouched = True
            yield self.as_of_now(decide(hop, demands))
        if hmail.todo.require_tls and not vouched:
            raise NoRoute(NOT_VALIDATED if sts.fault is None else NOT_VALIDATED_YET)

    def learn(self, hmail: HMail, hop: NextHop, came: SmtpClient | ClientError) -> None:
        """Take in what became of a connection to a hop: remember broken TLS, report on policies."""
        if isinstance(came, SmtpClient):
            outcome, failed = came.tls, False
            if came.reused or hop.tls == "off" or hop.path:
                return
            if outcome.fault and not outcome.secured and outcome.fault.kind != NOT_OFFERED:
                self.no_tls.add(hop.name)
        elif isinstance(came, TlsFailed):
            outcome, failed = TlsOutcome(fault=TlsFault(came.kind, str(came))), True
        else:
            return
        if self.on_tls_result is not None and hop.security is not None and hop.security.facts.domain:
            fault = outcome.fault if failed else _what_to_tell(hop.security, outcome)
            self.on_tls_result(_result(hmail.todo.domain, hop, hop.security.facts, fault))

    def _of_operator(self, hop: NextHop, hmail: HMail) -> Demands:
        return Demands(
            forced=self._is_forced(hop, hmail),
            avoided=self.rules.avoided.has(hop, hmail.todo.domain),
            verify=self.rules.verify,
            require_tls=hmail.todo.require_tls,
            client=self.clients.for_hop(hop) if self.clients else None,
        )

    def _is_forced(self, hop: NextHop, hmail: HMail) -> bool:
        return hmail.todo.force_tls or self.rules.forced.has(hop, hmail.todo.domain)

    def as_of_now(self, hop: NextHop) -> NextHop:
        """The hop, in clear if its TLS turned out to be broken and nobody asks for it."""
        if hop.tls == "opportunistic" and not hop.implicit_tls and hop.name in self.no_tls:
            return replace(hop, tls="off", security=None)
        return hop

    def _sts_for(self, domain: str) -> StsAnswer:
        if self._sts is None or not self.security.mta_sts or address_literal(domain):
            return NOTHING
        answer = self._sts.policy_for(domain)
        if answer.fault is not None and self.on_tls_result is not None:
            policy = answer.policy
            self.on_tls_result(
                TlsResult(
                    domain=domain,
                    policy_type="sts",
                    policy_strings=policy.lines() if policy else (),
                    policy_domain=domain,
                    mx_patterns=policy.mx if policy else (),
                    result_type=answer.fault.kind,
                    receiving_mx="",
                    receiving_ip="",
                    failure_reason=answer.fault.reason,
                )
            )
        return answer

    def _mx_is_secure(self, domain: str) -> bool:
        if address_literal(domain):
            return False
        try:
            return self._resolver.mx_is_secure(domain)
        except LookupFailed:
            return False

    def _dane_for(self, hop: NextHop, mx_secure: bool) -> DaneAnswer:
        if not mx_secure or is_ip(hop.name) or hop.tls == "off":
            return ABSENT
        return dane_for(self._resolver, hop.name, hop.port)


def _what_to_tell(security: TlsSecurity, outcome: TlsOutcome) -> TlsFault | None:
    """What was wrong with a connection that was good enough for the mail."""
    if security.watched:
        return security.objection or outcome.fault
    return (
        None if outcome.secured else outcome.fault
    )  # whatever its certificate is like, it proved what was asked


def _result(domain: str, hop: NextHop, facts: PolicyFacts, fault: TlsFault | None) -> TlsResult:
    return TlsResult(
        domain=domain,
        policy_type=facts.policy_type,
        policy_strings=facts.strings,
        policy_domain=facts.domain,
        mx_patterns=facts.mx_patterns,
        result_type=fault.kind if fault else None,
        receiving_mx=hop.name,
        receiving_ip=hop.host,
        failure_reason=fault.reason if fault else "",
    )


def advice(hop: NextHop, error: ClientError) -> str:
    """What went wrong, in one line for the log, with what an operator can do about it."""
    security = hop.security
    if not isinstance(error, TlsFailed) or security is None or not security.by:
        return str(error)
    if security.by == BY_CONFIGURATION:
        return f"{error} (tls.ini force_tls_hosts says so)"
    return f"{error} (the mail waits; tell the postmaster there, or list {hop.name} in tls.ini [outbound] no_tls_hosts)"
