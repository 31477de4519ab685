"""Who decides where a mail goes, and what happens when a host is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mta.config.schema import OutboundRouteSettings
from mta.net.next_hop import NextHop, NextHopError
from mta.outbound.hmail import HMail
from mta.outbound.outcome import DEFERRED, DELIVERED
from mta.outbound.route import reroute_to
from mta.outbound.rules import rules_of
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import OK
from tests.support.fake_mx import FakeMx
from tests.support.ports import free_port
from tests.support.sender import Sender


@pytest.fixture
def other() -> Iterator[FakeMx]:
    with FakeMx() as server:
        yield server


def dead() -> str:
    return f"127.0.0.1:{free_port()}"


def note(path: str, value: object) -> Callable[[HMail], None]:
    return lambda hmail: hmail.todo.notes.set(path, value)


def reroute(text: object) -> Callable[[HMail], None]:
    return lambda hmail: hmail.todo.extra.update(next_hop=text)


def to(mx: FakeMx, **keys: object) -> OutboundRouteSettings:
    return OutboundRouteSettings(
        **({"recipients": ("b.test",), "host": (mx.smarthost,), "tls": "off"} | keys)
    )


class Route(Plugin):
    def __init__(self, answer: object) -> None:
        self.answer = answer

    def hook_get_mx(self, hmail, domain):
        return self.answer


# -- who decides


def test_mail_after_mail_goes_the_same_way_until_somebody_says_otherwise(mx: FakeMx, other: FakeMx) -> None:
    with Sender(mx.smarthost) as relay:

        def send(change: Callable[[HMail], None] = lambda hmail: None) -> list[int]:
            assert relay.deliver(change=change).fate is DELIVERED
            counts = [len(mx.messages), len(other.messages)]
            mx.messages.clear()
            other.messages.clear()
            return counts

        assert [send(), send()] == [[1, 0], [1, 0]]
        assert send(note("queue.next_hop", f"smtp://{other.smarthost}")) == [0, 1]
        assert send(reroute(other.smarthost)) == [0, 1]
        assert send() == [1, 0]
        relay.router.smarthosts = (NextHop.parse(other.smarthost, tls="off"),)
        assert [send(), send()] == [[0, 1], [0, 1]]
        relay.router.rules = rules_of({"r": to(mx)}.items(), {}, True)
        assert [send(), send()] == [[1, 0], [1, 0]]


def test_a_smarthost_that_comes_back_is_found(mx: FakeMx) -> None:
    with Sender(mx.smarthost) as relay:
        assert relay.deliver().fate is DELIVERED
        hop = relay.router.smarthosts[0]
        relay.router.health.failed(hop, "it was away")
        assert [relay.deliver().fate for _ in range(3)] == [DELIVERED] * 3


def test_the_order_of_those_who_decide() -> None:
    with FakeMx() as hooked, FakeMx() as rerouted, FakeMx() as noted, FakeMx() as routed, FakeMx() as smart:
        plugin = Route((OK, hooked.smarthost))
        with Sender(smart.smarthost, routes={"r": to(routed)}, plugins=[plugin]) as relay:

            def send(domain: str, *changes: Callable[[HMail], None]) -> None:
                hmail = relay.hmail(f"joe@{domain}")
                for change in changes:
                    change(hmail)
                assert [each.fate for each in relay.send(hmail).values()] == [DELIVERED]

            changes = [note("queue.next_hop", f"smtp://{noted.smarthost}"), reroute(rerouted.smarthost)]
            send("b.test", *changes)
            plugin.answer = None
            send("b.test", *changes)
            send("b.test", changes[0])
            send("b.test")
            send("c.test")
        assert [len(mx.messages) for mx in (hooked, rerouted, noted, routed, smart)] == [1, 1, 1, 1, 1]


def test_a_route_may_be_the_mx(mx, other) -> None:
    routes = {"direct": OutboundRouteSettings(recipients=("b.test",), mx=True)}
    zone = {"b.test": {"MX": ["10 mx.b.test."]}, "mx.b.test": {"A": ["127.0.0.1"]}}
    with Sender(other.smarthost, routes=routes, zone=zone) as relay:
        route = relay.router.route(relay.hmail())
        assert (route.site, [(hop.host, hop.port) for hop in route.hops]) == ("b.test", [("127.0.0.1", 25)])
        assert relay.deliver("joe@c.test").fate is DELIVERED
    assert len(other.messages) == 1


@pytest.mark.parametrize(
    "change",
    [
        note("queue.next_hop", "smtp://joe:hunter2@"),
        note("queue.next_hop", {"colour": "red"}),
        note("queue.next_hop", 5),
        reroute("hunter2@:0"),
        reroute(["a", 7]),
        note("outbound_ip", "here"),
        note("outbound_ip", ["192.0.2.1"]),
        note("outbound_helo", "relay\r\nRSET"),
        note("outbound_helo", 7),
    ],
)
def test_what_cannot_be_used_defers_and_is_told(change, mx) -> None:
    with Sender(mx.smarthost) as relay:
        outcome = relay.deliver(change=change)
        assert (outcome.fate, str(outcome.reply)) == (DEFERRED, "451 4.3.5 No usable next hop")
        assert mx.sessions == 0
        (line,) = [line for line in relay.lines if line.startswith("[ERROR]")]
        assert "UUID.1.1" in line and "hunter2" not in line and "\r" not in line


def test_a_reroute_to_a_known_host_has_its_password(mx) -> None:
    routes = {"far": to(mx, recipients=("z.test",), auth_user="me", auth_pass="pw", tls="required")}
    with Sender(dead(), routes=routes) as relay:
        hmail = relay.hmail()
        reroute(f"smtp://{mx.smarthost}")(hmail)
        (hop,) = relay.router.route(hmail).hops
        assert (hop.auth_user, hop.auth_pass, hop.tls) == ("me", "pw", "required")
        reroute("smtp://127.0.0.1:1")(hmail)
        (hop,) = relay.router.route(hmail).hops
        assert (hop.auth_user, hop.tls) == (None, "opportunistic")


def test_what_an_operator_may_write() -> None:
    assert reroute_to(" smtps://relay.test ") == "smtps://relay.test"
    for text in ("smtp://joe:hunter2@relay.test", "joe@relay.test", "re lay", "http://relay.test"):
        with pytest.raises(NextHopError) as caught:
            reroute_to(text)
        assert "hunter2" not in str(caught.value)


# -- priorities and health


def test_equal_priorities_share_and_the_others_wait(mx, other) -> None:
    with (
        FakeMx() as backup,
        Sender(f"{backup.smarthost} 20", f"{mx.smarthost} 10", f"{other.smarthost} 10") as relay,
    ):
        for _ in range(40):
            assert relay.deliver().fate is DELIVERED
        assert mx.messages and other.messages and not backup.messages
        assert relay.router.route(relay.hmail()).site == "127.0.0.1"


def test_a_host_that_refuses_is_asked_last_until_it_is_up(mx, other) -> None:
    mx.drop("connect", times=1)
    with Sender(mx.smarthost, other.smarthost) as relay:
        assert relay.deliver().fate is DELIVERED
        assert relay.deliver().fate is DELIVERED
        assert (mx.sessions, len(other.messages)) == (1, 2)
        assert sum("is down, asked last for 10 seconds" in line for line in relay.lines) == 1
        relay.clients.close_all()
        other.close()
        assert relay.deliver().fate is DELIVERED
        assert len(mx.messages) == 1
        assert any(f"{mx.smarthost} is up again" in line for line in relay.lines)


def test_the_only_host_is_asked_although_it_is_down(mx) -> None:
    mx.drop("connect")
    with Sender(mx.smarthost) as relay:
        assert relay.deliver().fate is DEFERRED
        assert relay.router.health.down() == [mx.smarthost]
        assert relay.deliver().fate is DELIVERED
        assert relay.router.health.down() == []


@pytest.mark.parametrize(
    ("phase", "reply"), [("banner", "421 busy"), ("ehlo", "554 no"), ("mail", "421 bye")]
)
def test_a_host_that_answers_is_not_down(phase: str, reply: str, mx) -> None:
    mx.reply(phase, reply).reply("helo", "554 no")
    with Sender(mx.smarthost) as relay:
        relay.deliver()
        assert relay.router.health.down() == []


def test_the_order_of_mx_hosts_changes_inside_a_priority_only() -> None:
    zone = {
        "b.test": {"MX": ["10 a.mx.test.", "10 b.mx.test.", "20 c.mx.test."]},
        **{f"{n}.mx.test": {"A": [f"203.0.113.{i}"]} for i, n in enumerate("abc")},
    }
    with Sender(zone=zone) as relay:
        for hop in relay.router.route(relay.hmail()).hops:
            if hop.from_dns == "a.mx.test":
                relay.router.health.failed(hop, "refused")
        for _ in range(10):
            hosts = [hop.from_dns for hop in relay.router.route(relay.hmail()).hops]
            assert hosts == ["b.mx.test", "a.mx.test", "c.mx.test"]


def test_the_list_of_a_plugin_keeps_its_order(mx, other) -> None:
    with Sender(plugins=[Route((OK, [mx.smarthost, other.smarthost]))]) as relay:
        for _ in range(10):
            assert relay.deliver().fate is DELIVERED
    assert len(mx.messages) == 10


def test_settings_may_name_a_unix_socket_and_a_host_that_is_not_there(mx) -> None:
    with Sender("lmtp:///nowhere/lmtp.sock", mx.smarthost) as relay:
        assert relay.deliver().fate is DELIVERED
        assert relay.router.health.down() == ["/nowhere/lmtp.sock"]
