"""Lookups against a real name server on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mta.net.dns import MX, Family, NotFound, Resolver, Tempfail
from tests.support.dns_server import (
    GARBAGE,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    TIMEOUT,
    TRUNCATED,
    DnsServer,
)

ZONE = {
    "two.test": {"MX": ["20 MX2.two.test.", "10 mx1.two.test."]},
    "null.test": {"MX": ["0 ."]},
    "nomx.test": {"A": ["192.0.2.1"]},
    "alias.test": {"CNAME": ["two.test."]},
    "both.test": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]},
    "half.test": {"A": ["192.0.2.3"], "AAAA": SERVFAIL},
    "broken.test": SERVFAIL,
    "refused.test": REFUSED,
    "silent.test": TIMEOUT,
    "garbage.test": GARBAGE,
    "mixed.test": {"A": NXDOMAIN, "AAAA": SERVFAIL},
    "big.test": {"TXT": [TRUNCATED, *(f'"{number}" "{"x" * 200}"' for number in range(40))]},
    "spf.test": {"TXT": ['"v=spf1 " "-all"', '"caf\\195\\169"', '"\\255"']},
    "1.2.0.192.in-addr.arpa": {"PTR": ["Host.two.test."]},
    "odd.test": {"MX": ["10 a\\010b.test."]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
def resolver(server: DnsServer) -> Resolver:
    return Resolver([server.host], port=server.port, timeout=0.3, lifetime=0.6)


def test_mx_records_come_in_order_of_priority_and_in_lower_case(resolver: Resolver) -> None:
    assert resolver.lookup_mx("Two.Test") == [MX(10, "mx1.two.test"), MX(20, "mx2.two.test")]


def test_an_alias_is_followed(resolver: Resolver) -> None:
    assert [mx.host for mx in resolver.lookup_mx("alias.test")] == ["mx1.two.test", "mx2.two.test"]


def test_a_null_mx_has_an_empty_host(resolver: Resolver) -> None:
    assert resolver.lookup_mx("null.test") == [MX(0, "")]


def test_a_domain_without_mx_has_none_which_is_no_error(resolver: Resolver) -> None:
    assert resolver.lookup_mx("nomx.test") == []


def test_an_mx_with_a_line_feed_in_its_name_stays_escaped(resolver: Resolver) -> None:
    (mx,) = resolver.lookup_mx("odd.test")
    assert mx.host == "a\\010b.test"
    with pytest.raises(NotFound):
        resolver.lookup_ip(mx.host)


@pytest.mark.parametrize("name", ["missing.test", "a..b", "x" * 64 + ".test", "", ".", "é\ud800.test"])
def test_a_name_that_cannot_be_found_is_permanent(resolver: Resolver, name: str) -> None:
    with pytest.raises(NotFound):
        resolver.lookup_mx(name)


@pytest.mark.parametrize("name", ["broken.test", "refused.test", "silent.test", "garbage.test"])
def test_a_server_that_fails_is_temporary(resolver: Resolver, name: str) -> None:
    with pytest.raises(Tempfail) as failure:
        resolver.lookup_mx(name)
    assert name in str(failure.value) and "\n" not in str(failure.value)


def test_no_server_at_all_is_temporary() -> None:
    with pytest.raises(Tempfail):
        Resolver(["127.0.0.1"], port=1, timeout=0.2, lifetime=0.3).lookup_mx("two.test")


@pytest.mark.parametrize(
    ("family", "versions"), [("default", [6, 4, 4]), ("v6", [6, 4, 4]), ("v4", [4, 4, 6])]
)
def test_addresses_of_both_families(resolver: Resolver, family: Family, versions: list[int]) -> None:
    found = resolver.lookup_ip("both.test", family)
    assert sorted(found) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert [6 if ":" in ip else 4 for ip in found] == versions


def test_one_family_is_enough(resolver: Resolver) -> None:
    assert resolver.lookup_ip("half.test") == ["192.0.2.3"]


def test_no_address_and_a_failure_is_temporary(resolver: Resolver) -> None:
    with pytest.raises(Tempfail):
        resolver.lookup_ip("mixed.test")


def test_a_host_without_addresses_has_none(resolver: Resolver) -> None:
    assert resolver.lookup_ip("two.test") == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", ["192.0.2.7"]),
        ("2001:db8::7", ["2001:db8::7"]),
        ("[192.0.2.7]", ["192.0.2.7"]),
        ("[IPv6:2001:db8::7]", ["2001:db8::7"]),
        ("localhost", ["::1", "127.0.0.1"]),
        ("Mail.LOCALHOST.", ["::1", "127.0.0.1"]),
    ],
)
def test_some_hosts_need_no_server(
    server: DnsServer, resolver: Resolver, host: str, expected: list[str]
) -> None:
    before = len(server.queries)
    assert resolver.lookup_ip(host) == expected
    assert len(server.queries) == before


def test_names_of_an_address(resolver: Resolver) -> None:
    assert resolver.lookup_ptr("192.0.2.1") == ["host.two.test"]
    with pytest.raises(NotFound):
        resolver.lookup_ptr("192.0.2.99")
    with pytest.raises(NotFound):
        resolver.lookup_ptr("not an address")


def test_text_records_are_joined_and_decoded(resolver: Resolver) -> None:
    assert sorted(resolver.lookup_txt("spf.test")) == ["café", "v=spf1 -all", "\udcff"]


def test_a_cut_answer_is_fetched_over_tcp(resolver: Resolver) -> None:
    assert len(resolver.lookup_txt("big.test")) == 40


def test_answers_are_cached_also_negative_ones(server: DnsServer, resolver: Resolver) -> None:
    def ask(lookup: Callable[[str], object], name: str) -> None:
        try:
            lookup(name)
        except NotFound:
            pass

    before = len(server.queries)
    for _ in range(3):
        ask(resolver.lookup_mx, "two.test")
        ask(resolver.lookup_mx, "nomx.test")
    assert len(server.queries) == before + 2


def test_the_cache_obeys_the_time_to_live() -> None:
    with DnsServer({"a.test": {"A": ["192.0.2.1"]}}, ttl=1) as server:
        resolver = Resolver([server.host], port=server.port)
        assert resolver.lookup_ip("a.test", "v4") == ["192.0.2.1"]
        server.zone["a.test"] = {"A": ["192.0.2.2"]}
        time.sleep(1.1)
        assert resolver.lookup_ip("a.test", "v4") == ["192.0.2.2"]


def test_an_equal_question_is_asked_once_at_a_time(server: DnsServer) -> None:
    resolver = Resolver([server.host], port=server.port, timeout=0.5, lifetime=0.5)
    before = server.count("silent.test", "MX")
    errors: list[Exception] = []

    def ask() -> None:
        try:
            resolver.lookup_mx("silent.test")
        except Tempfail as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.count("silent.test", "MX") == before + 1
    assert len({id(error) for error in errors}) == 10


def test_a_lookup_does_not_stop_others(server: DnsServer) -> None:
    resolver = Resolver([server.host], port=server.port, timeout=1.5, lifetime=1.5)

    def ask_in_vain() -> None:
        with pytest.raises(Tempfail):
            resolver.lookup_mx("silent.test")

    slow = threading.Thread(target=ask_in_vain)
    slow.start()
    resolver.lookup_mx("two.test")
    assert slow.is_alive()
    slow.join()
