"""Mail leaves from the addresses of its pool: seen by next hops that listen."""

from __future__ import annotations

import pytest

from mta.config.schema import OutboundPoolSettings, OutboundRouteSettings
from mta.config.sources import Source
from mta.outbound.hmail import HMail
from mta.outbound.outcome import DEFERRED, DELIVERED
from tests.support.fake_mx import FakeMx
from tests.support.sender import Sender

NOT_OURS = "192.0.2.77"  # TEST-NET-1: on no machine


def pool(*sources: Source) -> OutboundPoolSettings:
    return OutboundPoolSettings(source=sources)


TWO = {"two": pool(Source("127.0.0.5", 1, "five.test"), Source("127.0.0.6", 1))}


def hellos(mx: FakeMx) -> list[str]:
    return [command.partition(" ")[2] for command in mx.commands if command.startswith("EHLO")]


def test_each_mail_has_an_address_of_the_pool_and_keeps_it(mx) -> None:
    with Sender(mx.smarthost, pool="two", pools=TWO) as relay:
        by_uuid: dict[str, str] = {}
        for n in range(20):
            for _ in range(2):
                hmail = relay.hmail(uuid=f"UUID.{n}.1")
                (hop,) = relay.router.route(hmail).hops
                assert by_uuid.setdefault(hmail.uuid, hop.bind or "") == hop.bind
                assert [each.fate for each in relay.send(hmail).values()] == [DELIVERED]
    assert set(by_uuid.values()) == set(mx.peers) == {"127.0.0.5", "127.0.0.6"}
    assert dict(zip(mx.peers, hellos(mx), strict=True)) == {
        "127.0.0.5": "five.test",
        "127.0.0.6": "relay.test",
    }
    assert mx.sessions == 2  # kept connections are used again by mail of the same address only


def test_an_address_that_the_machine_does_not_have_is_passed_over(mx) -> None:
    pools = {"p": pool(Source(NOT_OURS, 1000), Source("127.0.0.5"))}
    with Sender(mx.smarthost, pool="p", pools=pools) as relay:
        for _ in range(3):
            assert relay.deliver().fate is DELIVERED
        assert relay.router.health.down() == []
        warnings = [line for line in relay.lines if line.startswith("[WARN]")]
        assert len(warnings) == 1 and f"no address {NOT_OURS}" in warnings[0]
    assert set(mx.peers) == {"127.0.0.5"}


def test_no_address_at_all_defers(mx) -> None:
    with Sender(mx.smarthost, pool="p", pools={"p": pool(Source(NOT_OURS))}) as relay:
        assert relay.deliver().fate is DEFERRED
    with Sender(mx.smarthost, pool="p", pools={"p": pool(Source("::1"))}) as relay:
        outcome = relay.deliver()
        assert (outcome.fate, outcome.reply.enhanced) == (DEFERRED, "4.4.4")
    assert mx.sessions == 0


def test_routes_have_pools_and_names_of_their_own(mx) -> None:
    def route(name: str, **keys: object) -> OutboundRouteSettings:
        return OutboundRouteSettings(recipients=(f"{name}.test",), host=(mx.smarthost,), tls="off", **keys)

    routes = {
        "a": route("a", bind="127.0.0.8", bind_helo="eight.test"),
        "b": route("b", pool="nine", bind_helo="b.test"),
        "c": route("c"),
    }
    pools = {**TWO, "nine": pool(Source("127.0.0.9", 1, "nine.test")), "ten": pool(Source("127.0.0.10"))}
    with Sender(mx.smarthost, pool="ten", routes=routes, pools=pools) as relay:
        for name in "abc":
            assert relay.deliver(f"joe@{name}.test").fate is DELIVERED
    assert mx.peers == ["127.0.0.8", "127.0.0.9", "127.0.0.10"]
    assert hellos(mx) == ["eight.test", "b.test", "relay.test"]


def test_a_plugin_may_note_the_address_and_the_name(mx) -> None:
    def change(hmail: HMail) -> None:
        hmail.todo.notes.update(outbound_ip="127.0.0.11", outbound_helo="eleven.test")

    with Sender(mx.smarthost, pool="two", pools=TWO) as relay:
        assert relay.deliver(change=change).fate is DELIVERED
    assert (mx.peers, hellos(mx)) == (["127.0.0.11"], ["eleven.test"])


def test_ipv6_hops_get_ipv6_sources() -> None:
    try:
        server = FakeMx(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with (
        server,
        Sender(server.smarthost, pool="p", pools={"p": pool(Source("127.0.0.5", 9), Source("::1"))}) as relay,
    ):
        assert relay.deliver().fate is DELIVERED
        assert server.peers == ["::1"]
