"""How sure we must be of a host, as one table over everything that may ask for it."""

from __future__ import annotations

import pytest

from mta.config.schema import OutboundTlsSettings, TlsSettings
from mta.net.next_hop import NextHop
from mta.net.tlsa import Tlsa
from mta.outbound.dane import DaneAnswer
from mta.outbound.sts_policy import StsPolicy
from mta.outbound.tls_demands import Demands, decide
from mta.outbound.tls_rules import HostList, TlsRules

EE = Tlsa(3, 1, 1, b"x" * 32)
OLD = Tlsa(1, 1, 1, b"x" * 32)
USABLE = DaneAnswer("usable", "mx.b.test", (EE,), (OLD, EE))
UNUSABLE = DaneAnswer("unusable", "mx.b.test", (), (OLD,))
BOGUS = DaneAnswer("bogus", "mx.b.test", reason="SERVFAIL")
ENFORCE = StsPolicy("enforce", ("mx.b.test",), 60)
ELSEWHERE = StsPolicy("enforce", ("other.test",), 60)
TESTING = StsPolicy("testing", ("mx.b.test",), 60)
TESTING_ELSEWHERE = StsPolicy("testing", ("other.test",), 60)
NONE = StsPolicy("none", (), 60)

OPEN = ("opportunistic", "none")
PKIX = ("required", "pkix")
DANE = ("required", "dane")
BARE = ("required", "none")  # TLS that nothing proves
CLEAR = ("off",)
REFUSED = ("refused",)


def shown(hop: NextHop) -> tuple[str, ...]:
    if hop.security is None:
        return (hop.tls,)
    if hop.security.objection is not None and not hop.security.watched:
        return REFUSED
    return hop.tls, hop.security.proof


@pytest.mark.parametrize(
    ("demands", "expected", "policy"),
    [
        ({}, OPEN, "no-policy-found"),
        ({"verify": True}, ("opportunistic", "pkix"), "no-policy-found"),
        # DANE: RFC 7672 2.2
        ({"dane": USABLE}, DANE, "tlsa"),
        ({"dane": UNUSABLE}, BARE, "tlsa"),
        ({"dane": BOGUS}, REFUSED, "tlsa"),
        # MTA-STS: RFC 8461 section 5
        ({"sts": ENFORCE}, PKIX, "sts"),
        ({"sts": ELSEWHERE}, REFUSED, "sts"),
        ({"sts": NONE}, OPEN, "no-policy-found"),
        # Stalwart enforced what was only for testing.
        ({"sts": TESTING}, OPEN, "sts"),
        ({"sts": TESTING_ELSEWHERE}, OPEN, "sts"),
        # DANE comes first: RFC 8461 section 2
        ({"dane": USABLE, "sts": ENFORCE}, DANE, "tlsa"),
        ({"dane": USABLE, "sts": ELSEWHERE}, DANE, "tlsa"),
        ({"dane": BOGUS, "sts": ENFORCE}, REFUSED, "tlsa"),
        ({"dane": UNUSABLE, "sts": ENFORCE}, PKIX, "tlsa"),
        ({"dane": UNUSABLE, "sts": TESTING}, BARE, "tlsa"),
        # the operator
        ({"forced": True}, PKIX, "no-policy-found"),
        ({"forced": True, "avoided": True}, PKIX, "no-policy-found"),
        ({"forced": True, "dane": USABLE}, DANE, "tlsa"),
        ({"forced": True, "dane": UNUSABLE}, PKIX, "tlsa"),
        ({"forced": True, "dane": BOGUS}, REFUSED, "tlsa"),
        ({"forced": True, "sts": TESTING}, PKIX, "sts"),
        ({"avoided": True}, CLEAR, None),
        ({"avoided": True, "dane": USABLE}, CLEAR, None),
        ({"avoided": True, "sts": ELSEWHERE}, CLEAR, None),
        # REQUIRETLS: RFC 8689 4.2.1
        ({"require_tls": True}, PKIX, "no-policy-found"),
        ({"require_tls": True, "avoided": True}, PKIX, "no-policy-found"),
        ({"require_tls": True, "dane": USABLE}, DANE, "tlsa"),
        ({"require_tls": True, "sts": TESTING}, PKIX, "sts"),
        ({"require_tls": True, "sts": ELSEWHERE}, REFUSED, "sts"),
    ],
)
def test_mx_hosts(demands: dict[str, object], expected: tuple[str, ...], policy: str | None) -> None:
    hop = NextHop("127.0.0.1", from_dns="mx.b.test")
    decided = decide(hop, Demands("b.test", mx=True, **demands))  # type: ignore[arg-type]
    assert shown(decided) == expected
    assert (decided.security.facts.policy_type if decided.security else None) == policy


@pytest.mark.parametrize(
    ("tls", "demands", "expected"),
    [
        ("off", {}, CLEAR),
        ("off", {"forced": True}, PKIX),
        ("off", {"require_tls": True}, PKIX),
        ("off", {"sts": ENFORCE}, CLEAR),
        ("required", {}, PKIX),
        ("required", {"avoided": True}, PKIX),
        ("opportunistic", {"avoided": True}, CLEAR),
    ],
)
def test_what_was_said_of_the_hop_before(
    tls: str, demands: dict[str, object], expected: tuple[str, ...]
) -> None:
    hop = NextHop("127.0.0.1", tls=tls)  # type: ignore[arg-type]
    assert shown(decide(hop, Demands("b.test", **demands))) == expected  # type: ignore[arg-type]


def test_names_that_dane_goes_by() -> None:
    decided = decide(NextHop("127.0.0.1", from_dns="alias.b.test"), Demands("b.test", mx=True, dane=USABLE))
    assert decided.security is not None
    assert decided.security.names == ("mx.b.test",)
    assert decided.security.tlsa == (EE,)
    assert decided.security.facts.strings == (str(OLD), str(EE))


def test_below_a_trust_anchor_the_domain_may_be_named() -> None:
    anchored = DaneAnswer("usable", "mx.b.test", (EE, Tlsa(2, 1, 1, b"x" * 32)))
    decided = decide(NextHop("127.0.0.1", from_dns="mx.b.test"), Demands("b.test", mx=True, dane=anchored))
    assert decided.security is not None and decided.security.names == ("mx.b.test", "b.test")


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ((), False),
        (("192.0.2.7",), True),
        (("192.0.2.0/24",), True),
        (("192.0.3.0/24",), False),
        (("mx.b.test",), True),
        (("b.test",), True),
        (("test",), False),
        (("2001:db8::/32", "b.test"), True),
    ],
)
def test_lists_of_hosts(entries: tuple[str, ...], expected: bool) -> None:
    hop = NextHop("192.0.2.7", from_dns="MX.b.test")
    assert HostList(entries).has(hop, "B.test") is expected


def test_the_rules_of_tls_ini() -> None:
    section = OutboundTlsSettings(force_tls_hosts=("a.test",), no_tls_hosts=("c.test",))
    rules = TlsRules.of(TlsSettings(force_tls_hosts=("b.test",), outbound=section))
    assert rules == TlsRules(HostList(("b.test", "a.test")), HostList(("c.test",)), False)


@pytest.mark.parametrize(
    ("main", "outbound", "expected"),
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
)
def test_what_outbound_does_not_say_is_as_in_main(main: bool, outbound: bool | None, expected: bool) -> None:
    section = OutboundTlsSettings(reject_unauthorized=outbound)
    assert TlsRules.of(TlsSettings(reject_unauthorized=main, outbound=section)).verify is expected
