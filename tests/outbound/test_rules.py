"""Which route a mail takes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mta.config.schema import OutboundPoolSettings, OutboundRouteSettings
from mta.config.sources import Source
from mta.outbound.rules import rules_of
from mta.outbound.smarthost import SmarthostError
from mta.outbound.sources import pools_of
from mta.smtp.address import Address

POOLS = pools_of([("p", OutboundPoolSettings(source=(Source("192.0.2.1"),)))])


def route(**keys: object) -> OutboundRouteSettings:
    return OutboundRouteSettings(**({"host": ("relay.test:25",)} | keys))


@pytest.mark.parametrize(
    ("patterns", "domain", "fits"),
    [
        (("b.test",), "b.test", True),
        (("b.test",), "x.b.test", False),
        (("*.b.test",), "b.test", False),
        (("*.b.test",), "x.b.test", True),
        (("*.b.test",), "x.y.b.test", True),
        (("*.b.test",), "xb.test", False),
        (("a.test", "b.test"), "b.test", True),
        (("*",), "b.test", True),
        (("bücher.example",), "xn--bcher-kva.example", True),
        (("*.bücher.example",), "mx.xn--bcher-kva.example", True),
    ],
)
def test_recipients(patterns: tuple[str, ...], domain: str, fits: bool) -> None:
    rules = rules_of([("r", route(recipients=patterns))], {}, True)
    assert (rules.find(domain, Address.parse("joe@a.test")) is not None) is fits


@pytest.mark.parametrize(
    ("patterns", "sender", "fits"),
    [
        (("a.test",), "joe@a.test", True),
        (("a.test",), "joe@x.a.test", False),
        (("*.a.test",), "joe@x.a.test", True),
        (("joe@a.test",), "Joe@A.test", True),
        (("joe@a.test",), "ann@a.test", False),
        (("<>",), "<>", True),
        (("<>",), "joe@a.test", False),
        (("a.test",), "<>", False),
        (("*",), "<>", True),
        (("*",), "joe@a.test", True),
    ],
)
def test_senders(patterns: tuple[str, ...], sender: str, fits: bool) -> None:
    rules = rules_of([("r", route(senders=patterns))], {}, True)
    assert (rules.find("b.test", Address.parse(sender)) is not None) is fits


def test_the_first_that_fits_counts_and_both_sides_must() -> None:
    rules = rules_of(
        [
            ("both", route(recipients=("b.test",), senders=("a.test",))),
            ("wide", route(recipients=("*.test", "b.test"))),
            ("narrow", route(recipients=("b.test",))),
        ],
        {},
        True,
    )
    for domain, sender, name in (
        ("b.test", "joe@a.test", "both"),
        ("b.test", "joe@c.test", "wide"),
        ("c.test", "joe@a.test", "wide"),
    ):
        found = rules.find(domain, Address.parse(sender))
        assert found is not None and found.name == name
    assert rules.find("c.example", Address.parse("joe@a.test")) is None


PATTERNS = ("*", "a.test", "*.a.test", "b.a.test", "*.b.a.test", "*.test")


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(PATTERNS)), st.lists(st.sampled_from((*PATTERNS, "<>", "joe@a.test")))
        )
    ),
    st.sampled_from(("a.test", "b.a.test", "c.b.a.test", "test", "x.test")),
    st.sampled_from(("<>", "joe@a.test", "ann@b.a.test", "joe@x.test")),
)
def test_what_is_looked_up_is_what_is_found_one_by_one(
    written: list[tuple[list[str], list[str]]], domain: str, sender: str
) -> None:
    sections = [
        (str(number), route(recipients=tuple(recipients), senders=tuple(senders)))
        for number, (recipients, senders) in enumerate(written)
        if recipients or senders
    ]
    rules, address = rules_of(sections, {}, True), Address.parse(sender)
    first = next((rule for rule in rules if rule.fits(domain, address)), None)
    assert rules.find(domain, address) is first


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({}, "needs recipients or senders, `*` for all of them"),
        ({"recipients": ("*",), "host": ()}, "needs either host or mx=true"),
        ({"recipients": ("*",), "mx": True}, "needs either host or mx=true"),
        ({"recipients": ("*",), "mx": True, "host": (), "auth_user": "me"}, "has a password for any MX"),
        ({"recipients": ("*",), "auth_user": "me"}, "has auth_user but no auth_pass, auth_pass_file or auth_pass_env"),
        ({"recipients": ("*",), "auth_pass": "x"}, "has a password but no auth_user"),
        ({"recipients": ("*",), "pool": "q"}, "pool: there is no [q] in outbound_pools.ini"),
        ({"recipients": ("*",), "pool": "p", "bind": "192.0.2.1"}, "has bind and pool, and only one of them can be"),
    ],
)  # fmt: skip
def test_routes_that_make_no_sense(keys: dict[str, object], complaint: str) -> None:
    with pytest.raises(SmarthostError) as caught:
        rules_of([("r", route(**keys))], POOLS, True)
    assert str(caught.value) == f"outbound_routes.ini [r] {complaint}"


def test_hosts_are_sorted_by_priority_and_have_the_password() -> None:
    hosts = ("c.test:25 20", "a.test:25 10", "smtps://b.test:465 10", "lmtp:///run/lmtp")
    (rule,) = rules_of(
        [("r", route(recipients=("*",), host=hosts, auth_user="me", auth_pass="pw"))], {}, False
    )
    assert [(hop.host or hop.path, hop.priority, hop.tls) for hop in rule.hops] == [
        ("a.test", 10, "off"),
        ("b.test", 10, "required"),
        ("/run/lmtp", 11, "off"),
        ("c.test", 20, "off"),
    ]
    assert {(hop.auth_user, hop.auth_pass) for hop in rule.hops} == {("me", "pw")}
    assert "pw" not in repr(rule)
