"""Which address a mail leaves from."""

from __future__ import annotations

from collections import Counter

import pytest

from mta.config.schema import OutboundPoolSettings
from mta.config.sources import Source
from mta.net.next_hop import NextHop
from mta.outbound.mx import NoRoute
from mta.outbound.smarthost import SmarthostError
from mta.outbound.sources import AbsentSources, Pool, pools_of
from tests.support.plugins import logger_and_lines

KEYS = [f"UUID.{n}.1" for n in range(4000)]
A, B, C = Source("192.0.2.1", 1), Source("192.0.2.2", 3, "b.test"), Source("192.0.2.3", 4)
SIX = Source("2001:db8::1", 2)


def first(pool: Pool, key: str) -> Source:
    return pool.ranked(key)[0]


def test_shares_follow_the_weights_and_weight_0_has_none() -> None:
    pool = Pool("p", (A, B, Source("192.0.2.9", 0)))
    count = Counter(first(pool, key) for key in KEYS)
    assert set(count) == {A, B}
    assert 0.70 < count[B] / len(KEYS) < 0.80


def test_a_source_more_moves_only_what_it_takes() -> None:
    before, after = Pool("p", (A, B)), Pool("p", (C, A, B))
    moved = [key for key in KEYS if first(before, key) != first(after, key)]
    assert all(first(after, key) is C for key in moved)
    assert 0.45 < len(moved) / len(KEYS) < 0.55


def test_the_same_mail_has_the_same_source() -> None:
    assert [Pool("p", (A, B, C)).ranked("x")] == [Pool("p", (C, B, A)).ranked("x")]


def test_a_pool_without_a_share_is_refused() -> None:
    with pytest.raises(SmarthostError, match=r"\[p\] has no source with a weight"):
        pools_of([("p", OutboundPoolSettings(source=(Source("192.0.2.1", 0),)))])


V4, V6 = NextHop("198.51.100.1"), NextHop("2001:db8:1::1")


@pytest.mark.parametrize(
    ("hops", "bound"),
    [
        ([V4], [("198.51.100.1", "192.0.2.2", "b.test")]),
        ([V6, V4], [("2001:db8:1::1", "2001:db8::1", None), ("198.51.100.1", "192.0.2.2", "b.test")]),
        ([NextHop("host.test")], [("host.test", "192.0.2.2", "b.test")]),
        ([NextHop("", path="/run/lmtp")], [("", None, None)]),
        ([NextHop("198.51.100.1", bind="192.0.2.7")], [("198.51.100.1", "192.0.2.7", None)]),
        ([NextHop("198.51.100.1", bind_helo="x.test")], [("198.51.100.1", "192.0.2.2", "x.test")]),
    ],
)
def test_each_hop_has_a_source_of_its_family(
    hops: list[NextHop], bound: list[tuple[str, str | None, str | None]]
) -> None:
    found = AbsentSources(logger_and_lines()[0]).spread(hops, Pool("p", (SIX, B)), "key")
    assert [(hop.host, hop.bind, hop.bind_helo) for hop in found] == bound


def test_hops_of_a_family_that_the_pool_lacks_are_left_out() -> None:
    absent = AbsentSources(logger_and_lines()[0])
    assert [hop.host for hop in absent.spread([V6, V4], Pool("p", (A,)), "key")] == [V4.host]
    with pytest.raises(NoRoute) as caught:
        list(absent.spread([V6], Pool("p", (A,)), "key"))
    assert caught.value.reply.code == 451 and "pool p" in caught.value.reply.text


def test_an_address_that_is_not_there_is_followed_by_the_next_and_told_once() -> None:
    logger, lines = logger_and_lines()
    absent = AbsentSources(logger)
    pool = Pool("p", (A, B))
    best, other = (source.address for source in pool.ranked("key"))
    tried = []
    for hop in absent.spread([V4], pool, "key"):
        tried.append(hop.bind)
        if hop.bind == best:
            absent.add(best)
            absent.add(best)
    assert tried == [best, other]
    assert [hop.bind for hop in absent.spread([V4], pool, "key")] == [other]
    assert len(lines) == 1 and f"no address {best}" in lines[0]


def test_when_none_is_there_all_are_tried() -> None:
    absent = AbsentSources(logger_and_lines()[0])
    for source in (A, B):
        absent.add(source.address)
    assert len(list(absent.spread([V4], Pool("p", (A, B)), "key"))) == 2
