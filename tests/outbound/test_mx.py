"""Where mail for a domain goes: a real resolver asks a name server on loopback."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.outbound.mx import NoRoute, addresses, candidates, mail_hosts
from mta.outbound.route import next_hops
from mta.outbound.smarthost import SmarthostError, smarthosts
from tests.support.dns_server import NXDOMAIN, SERVFAIL, DnsServer

ZONE = {
    "two.test": {"MX": ["20 second.test.", "10 first.test."]},
    "first.test": {"A": ["203.0.113.1"], "AAAA": ["2001:db8::1"]},
    "second.test": {"A": ["203.0.113.2"]},
    "equal.test": {"MX": ["10 a.test.", "10 b.test.", "10 c.test."]},
    "a.test": {"A": ["203.0.113.11"], "AAAA": ["2001:db8::11"]},
    "b.test": {"A": ["203.0.113.12"]},
    "c.test": {"A": ["203.0.113.13"]},
    "mixed.test": {"MX": ["10 six.test.", "20 four.test."]},
    "six.test": {"AAAA": ["2001:db8::6"]},
    "four.test": {"A": ["203.0.113.4"]},
    "implicit.test": {"A": ["203.0.113.20"]},
    "null.test": {"MX": ["0 ."]},
    "nullmore.test": {"MX": ["0 .", "10 first.test."]},
    "nothing.test": {"TXT": ['"here"']},
    "broken.test": SERVFAIL,
    "halfbroken.test": {"MX": ["10 broken.test.", "20 first.test."]},
    "allbroken.test": {"MX": ["10 broken.test.", "20 gone.test."]},
    "allgone.test": {"MX": ["10 gone.test."]},
    "gone.test": NXDOMAIN,
    "backup.test": {"MX": ["5 first.test.", "10 us.test.", "10 b.test.", "20 second.test."]},
    "ours.test": {"MX": ["10 us.test.", "20 second.test."]},
    "us.test": {"A": ["127.0.0.1"]},
    "many.test": {"MX": [f"10 m{n}.test." for n in range(60)]},
    **{f"m{n}.test": {"A": [f"198.51.100.{n}"]} for n in range(60)},
    "wide.test": {"A": [f"198.51.100.{n}" for n in range(60)]},
}


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    with DnsServer(ZONE) as server:
        yield Resolver(["127.0.0.1"], port=server.port, timeout=1.0, lifetime=2.0)


def hosts(domain: str, resolver: Resolver, **settings: object) -> list[str]:
    return [
        hop.host
        for hop in candidates(domain, mail_hosts(domain, resolver), resolver, OutboundSettings(**settings))
    ]


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("two.test", ["2001:db8::1", "203.0.113.1", "203.0.113.2"]),
        ("implicit.test", ["203.0.113.20"]),
        ("nullmore.test", ["2001:db8::1", "203.0.113.1"]),
        ("halfbroken.test", ["2001:db8::1", "203.0.113.1"]),
        ("[203.0.113.9]", ["203.0.113.9"]),
        ("[IPv6:2001:db8::9]", ["2001:db8::9"]),
    ],
)
def test_order(domain: str, expected: list[str], resolver: Resolver) -> None:
    assert hosts(domain, resolver) == expected


def test_a_candidate_knows_the_name_it_was_found_by(resolver: Resolver) -> None:
    hop = next(candidates("two.test", mail_hosts("two.test", resolver), resolver, OutboundSettings()))
    assert hop == NextHop("2001:db8::1", priority=10, from_dns="first.test")


@pytest.mark.parametrize(("enabled", "policy"), [(True, "opportunistic"), (False, "off")])
def test_enable_tls(enabled: bool, policy: str, resolver: Resolver) -> None:
    assert (
        next(
            candidates(
                "two.test", mail_hosts("two.test", resolver), resolver, OutboundSettings(enable_tls=enabled)
            )
        ).tls
        == policy
    )


@pytest.mark.parametrize(
    ("domain", "code", "enhanced", "text"),
    [
        ("gone.test", 550, "5.1.2", "No Such Domain: gone.test"),
        ("null.test", 556, "5.1.10", "Domain null.test sends and receives no email (NULL MX)"),
        ("nothing.test", 550, "5.4.4", "Nowhere to deliver mail to for domain: nothing.test"),
        ("allgone.test", 550, "5.4.4", "Nowhere to deliver mail to for domain: allgone.test"),
        ("broken.test", 451, "4.4.3", "DNS lookup failure"),
        ("allbroken.test", 451, "4.4.3", "DNS lookup failure"),
        ("ours.test", 554, "5.4.6", "Mail for ours.test loops back to this server"),
        ("us.test", 554, "5.4.6", "Mail for us.test loops back"),
        ("[127.0.0.1]", 554, "5.4.6", "loops back"),
        ("..", 550, "5.1.2", "No Such Domain"),
    ],
)
def test_no_route(domain: str, code: int, enhanced: str, text: str, resolver: Resolver) -> None:
    with pytest.raises(NoRoute) as caught:
        hosts(domain, resolver)
    reply = caught.value.reply
    assert (reply.code, reply.enhanced) == (code, enhanced)
    assert text in reply.text


def test_equal_priorities_come_in_every_order_equally_often(resolver: Resolver) -> None:
    seen = Counter(tuple(hosts("equal.test", resolver, inet_prefer="v4"))[:3] for _ in range(600))
    assert len(seen) == 6
    assert min(seen.values()) > 60


@pytest.mark.parametrize(
    ("prefer", "expected"), [("v4", ["2001:db8::6", "203.0.113.4"]), ("v6", ["2001:db8::6", "203.0.113.4"])]
)
def test_inet_prefer_does_not_cross_priorities(prefer: str, expected: list[str], resolver: Resolver) -> None:
    assert hosts("mixed.test", resolver, inet_prefer=prefer) == expected


@pytest.mark.parametrize(("prefer", "place"), [("v4", 3), ("v6", 0)])
def test_inet_prefer_sorts_all_hosts_of_a_priority(prefer: str, place: int, resolver: Resolver) -> None:
    for _ in range(10):
        assert hosts("equal.test", resolver, inet_prefer=prefer).index("2001:db8::11") == place


def test_own_address_ends_the_list(resolver: Resolver) -> None:
    assert hosts("backup.test", resolver) == ["2001:db8::1", "203.0.113.1"]


def test_own_address_is_fine_with_local_mx_ok(resolver: Resolver) -> None:
    assert hosts("ours.test", resolver, local_mx_ok=True) == ["127.0.0.1", "203.0.113.2"]


def test_hostile_zones_are_bounded(resolver: Resolver) -> None:
    assert len(hosts("many.test", resolver)) == 20
    assert len(hosts("wide.test", resolver)) == 8


def test_hosts_are_looked_up_when_their_turn_comes() -> None:
    with DnsServer(ZONE) as server:
        resolver = Resolver(["127.0.0.1"], port=server.port)
        next(candidates("two.test", mail_hosts("two.test", resolver), resolver, OutboundSettings()))
        assert server.count("first.test", "A") == 1
        assert server.count("second.test", "A") == 0


# -- next hops that people and plugins name


def test_named_hop_becomes_its_addresses(resolver: Resolver) -> None:
    hop = NextHop("first.test", port=587, tls="required", auth_user="u", auth_pass="p")
    found = addresses(hop, resolver, OutboundSettings(inet_prefer="v4"))
    assert [(each.host, each.port, each.from_dns, each.tls) for each in found] == [
        ("203.0.113.1", 587, "first.test", "required"),
        ("2001:db8::1", 587, "first.test", "required"),
    ]
    assert {each.auth_pass for each in found} == {"p"}


@pytest.mark.parametrize("host", ["gone.test", "broken.test", "203.0.113.7"])
def test_name_that_the_dns_does_not_know_is_left_to_the_system(host: str, resolver: Resolver) -> None:
    hop = NextHop(host)
    assert addresses(hop, resolver, OutboundSettings()) == [hop]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("mx.test", [NextHop("mx.test")]),
        ("mx.test:2525", [NextHop("mx.test", 2525)]),
        ("smtp://u:p%40@mx.test:587", [NextHop("mx.test", 587, auth_user="u", auth_pass="p@")]),
        ("lmtp://mx.test", [NextHop("mx.test", 24, using_lmtp=True)]),
        (NextHop("mx.test", 26), [NextHop("mx.test", 26)]),
        (["b.test", NextHop("a.test")], [NextHop("b.test"), NextHop("a.test")]),
        ({"exchange": "mx.test", "priority": 5}, [NextHop("mx.test", priority=5)]),
        ({"host": "mx.test", "port": "2525", "bind": None}, [NextHop("mx.test", 2525)]),
        ({"exchange": "mx.test", "using_lmtp": True}, [NextHop("mx.test", 24, using_lmtp=True)]),
        (
            {"path": "/run/lmtp.sock", "using_lmtp": True},
            [NextHop("", 24, path="/run/lmtp.sock", using_lmtp=True)],
        ),
    ],
)
def test_answers_of_get_mx(answer: object, expected: list[NextHop]) -> None:
    assert next_hops(answer) == expected


class HarakaMx:
    """What plugins of Haraka answer with, in Python."""

    def __init__(self, **fields: object) -> None:
        self.priority = 0
        self.from_dns = None
        self.__dict__.update(fields)


class Mx(NamedTuple):
    priority: int
    exchange: str


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HarakaMx(exchange="mx.a.test"), [NextHop("mx.a.test")]),
        (HarakaMx(exchange="mx.a.test", comment="ours"), [NextHop("mx.a.test")]),
        (HarakaMx(exchange="mx.a.test", using_lmtp=True), [NextHop("mx.a.test", 24, using_lmtp=True)]),
        (HarakaMx(path="/run/lmtp", using_lmtp=True), [NextHop("", 24, path="/run/lmtp", using_lmtp=True)]),
        (
            HarakaMx(
                exchange="mx.a.test",
                port=587,
                priority=10,
                bind="192.0.2.1",
                bind_helo="us.test",
                auth_user="me",
                auth_pass="secret",
                auth_type="plain",
            ),
            [NextHop("mx.a.test", 587, 10, "192.0.2.1", "us.test", False, None, "me", "secret", "plain")],
        ),
        (Mx(10, "mx.a.test."), [NextHop("mx.a.test", priority=10)]),
        (
            [
                Mx(20, "b.test"),
                HarakaMx(exchange="a.test"),
                "lmtp://c.test",
                {"exchange": "d.test", "port": "26"},
            ],
            [
                NextHop("b.test", priority=20),
                NextHop("a.test"),
                NextHop("c.test", 24, using_lmtp=True),
                NextHop("d.test", 26),
            ],
        ),
    ],
)
def test_objects_with_the_attributes_of_a_next_hop(answer: object, expected: list[NextHop]) -> None:
    assert next_hops(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        5,
        {"priority": 1},
        HarakaMx(),
        HarakaMx(exchange=None),
        HarakaMx(exchange="a", port="x"),
        {"host": "a", "colour": "red"},
        ["a.test", 7],
        "sm tp://",
        b"a",
    ],
)
def test_answers_of_get_mx_that_make_no_sense(answer: object) -> None:
    with pytest.raises(ValueError):
        next_hops(answer)


# -- smarthosts


def smart(**section: object) -> OutboundSettings:
    return OutboundSettings(smarthost=SmarthostSettings(**section))


def test_smarthosts_keep_their_order() -> None:
    found = smarthosts(smart(host=("b.test:587", "a.test:25", "[2001:db8::1]:26"), tls="required"))
    assert [(hop.host, hop.port, hop.tls) for hop in found] == [
        ("b.test", 587, "required"),
        ("a.test", 25, "required"),
        ("2001:db8::1", 26, "required"),
    ]


def test_no_smarthost() -> None:
    assert smarthosts(OutboundSettings()) == ()


@pytest.mark.parametrize(
    ("enable_tls", "tls", "expected"),
    [
        (True, "opportunistic", "opportunistic"),
        (False, "opportunistic", "off"),
        (False, "required", "required"),
        (True, "off", "off"),
    ],
)
def test_smarthost_tls(enable_tls: bool, tls: str, expected: str) -> None:
    settings = OutboundSettings(
        enable_tls=enable_tls, smarthost=SmarthostSettings(host=("a.test:25",), tls=tls)
    )
    assert smarthosts(settings)[0].tls == expected


def test_smarthost_password_stays_out_of_sight() -> None:
    hop = smarthosts(smart(host=("a.test:25",), auth_user="me", auth_pass="0123 pass"))[0]
    assert (hop.auth_user, hop.auth_pass) == ("me", "0123 pass")
    assert "0123" not in repr(hop)


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ({"auth_user": "me"}, "auth_user but no auth_pass"),
        ({"auth_pass": "p"}, "a password but no auth_user"),
    ],
)
def test_smarthost_credentials_that_make_no_sense(section: dict[str, str], complaint: str) -> None:
    with pytest.raises(SmarthostError, match=complaint):
        smarthosts(smart(host=("a.test:25",), **section))
