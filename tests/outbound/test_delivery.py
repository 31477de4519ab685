"""Delivery attempts against next hops on loopback that accept, refuse, stall and hang up in every phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mta.config.schema import OutboundSettings
from mta.net.client_pool import ClientPool
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.outbound.delivery import Deliverer
from mta.outbound.mx import NoRoute
from mta.outbound.outcome import DEFERRED, DELIVERED, FAILED, Outcome, of_reply
from mta.outbound.route import Router
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import DENY, DENYSOFT, OK
from mta.smtp.address import Address
from mta.smtp.dsn import DSN
from tests.support.dns_server import SERVFAIL, DnsServer
from tests.support.fake_mx import FakeMx
from tests.support.outbound import hmail_for
from tests.support.plugins import runner_of
from tests.support.ports import free_port

BODY = b"Subject: hello\r\n\r\n..dot\r\nbody\r\n"
BIG = (
    b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200_000
)  # more than the sockets buffer: no dot is sent yet
ZONE = {"null.test": {"MX": ["0 ."]}, "broken.test": SERVFAIL}


class Bench:
    """A deliverer whose smarthosts are the given next hops; keeps its connections."""

    def __init__(self, *hops: FakeMx | NextHop, plugins: tuple[Plugin, ...] = (), lmtp: bool = False) -> None:
        runner, self.lines = runner_of(*plugins)
        self.dns = DnsServer(ZONE)
        resolver = Resolver(["127.0.0.1"], port=self.dns.port, timeout=1.0, lifetime=1.0)
        settings = OutboundSettings(connect_timeout=5)
        smart = [
            replace(hop, priority=turn)
            if isinstance(hop, NextHop)
            else NextHop(hop.host, hop.port, priority=turn, tls="off", using_lmtp=hop.lmtp)
            for turn, hop in enumerate(hops)
        ]
        self.pool = ClientPool()
        self.router = Router(resolver, runner, runner._logger, settings, smart)
        self.deliverer = Deliverer(self.router, self.pool, settings, "relay.test")

    def deliver(self, *rcpts: str, message: bytes = BODY, domain: str = "b.test") -> dict[str, Outcome]:
        hmail = hmail_for(rcpts or ("joe@b.test",), message, domain=domain)
        try:
            outcomes = self.deliverer.deliver(hmail, self.deliverer.route(hmail))
        except NoRoute as error:
            outcomes = dict.fromkeys(hmail.todo.rcpt_to, of_reply(error.reply))
        return {rcpt.address: outcome for rcpt, outcome in outcomes.items()}

    def close(self) -> None:
        self.pool.close_all()
        self.dns.close()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*hops: FakeMx | NextHop, **options: object) -> Bench:
        made.append(Bench(*hops, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def backup() -> Iterator[FakeMx]:
    with FakeMx() as server:
        yield server


def only(outcomes: dict[str, Outcome]) -> Outcome:
    (outcome,) = outcomes.values()
    return outcome


def test_delivered_as_it_is_stored(bench, mx) -> None:
    outcome = only(bench(mx).deliver())
    assert outcome.fate is DELIVERED
    assert str(outcome.reply) == "250 2.0.0 taken"
    assert (outcome.peer.ip, outcome.peer.port, outcome.peer.mode) == ("127.0.0.1", mx.port, "SMTP")
    assert mx.messages[0].data == BODY
    assert mx.messages[0].mail_from == "sender@a.test"
    assert mx.commands[0] == "EHLO relay.test"


@pytest.mark.parametrize("code", [250, 251, 252])
def test_every_2xx_to_rcpt_is_acceptance(code: int, bench, mx) -> None:
    mx.reply("rcpt", f"{code} fine")
    assert only(bench(mx).deliver()).fate is DELIVERED


def test_recipients_are_kept_apart(bench, mx) -> None:
    mx.reply("rcpt", "550 5.1.1 no such user", rcpt="gone@b.test").reply(
        "rcpt", "450 4.2.0 later", rcpt="full@b.test"
    )
    outcomes = bench(mx).deliver("gone@b.test", "joe@b.test", "full@b.test", "ann@b.test")
    assert {rcpt: outcome.fate for rcpt, outcome in outcomes.items()} == {
        "gone@b.test": FAILED,
        "joe@b.test": DELIVERED,
        "full@b.test": DEFERRED,
        "ann@b.test": DELIVERED,
    }
    assert str(outcomes["gone@b.test"].reply) == "550 5.1.1 no such user"
    assert mx.messages[0].rcpts == ["joe@b.test", "ann@b.test"]


def test_recipient_named_twice_is_sent_once(bench, mx) -> None:
    assert only(bench(mx).deliver("joe@b.test", "joe@b.test")).fate is DELIVERED
    assert mx.count("RCPT") == 1


def test_all_recipients_refused_sends_no_message(bench, mx) -> None:
    mx.reply("rcpt", "550 no")
    assert only(bench(mx).deliver()).fate is FAILED
    assert mx.messages == []


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(("reply", "fate"), [("450 4.2.0 later", DEFERRED), ("554 5.6.0 never", FAILED)])
def test_answers_after_the_greeting_are_final(
    phase: str, reply: str, fate: object, bench, mx, backup
) -> None:
    mx.reply(phase, reply)
    outcome = only(bench(mx, backup).deliver())
    assert (outcome.fate, str(outcome.reply)) == (fate, reply)
    assert backup.sessions == 0


@pytest.mark.parametrize("phase", ["banner", "ehlo"])
@pytest.mark.parametrize("reply", ["554 5.7.1 go away", "421 4.3.2 busy", "450 later"])
def test_rejection_before_mail_asks_the_next_hop(phase: str, reply: str, bench, mx, backup) -> None:
    mx.reply(phase, reply).reply("helo", reply)
    assert only(bench(mx, backup).deliver()).fate is DELIVERED
    assert backup.rcpts() == ["joe@b.test"]


@pytest.mark.parametrize(
    ("first", "second", "fate"),
    [
        ("554 no", "554 5.7.1 never", FAILED),
        ("554 no", "421 busy", DEFERRED),
        ("421 busy", "554 no", DEFERRED),
        ("421 busy", "421 busy", DEFERRED),
    ],
)
def test_all_hops_reject_at_the_banner(first: str, second: str, fate: object, bench, mx, backup) -> None:
    mx.reply("banner", first)
    backup.reply("banner", second)
    assert only(bench(mx, backup).deliver()).fate is fate


def test_no_connection_asks_the_next_hop(bench, mx) -> None:
    dead = NextHop("127.0.0.1", free_port(), tls="off")
    assert only(bench(dead, mx).deliver()).fate is DELIVERED


def test_no_connection_anywhere_defers(bench) -> None:
    outcome = only(bench(NextHop("127.0.0.1", free_port(), tls="off")).deliver())
    assert outcome.fate is DEFERRED
    assert outcome.reply.enhanced == "4.4.1"
    assert "refused" in outcome.reply.text


@pytest.mark.parametrize("phase", ["connect", "banner", "ehlo", "mail", "rcpt", "data", "body"])
def test_connection_lost_before_the_dot_asks_the_next_hop(phase: str, bench, mx, backup) -> None:
    mx.drop(phase)
    assert only(bench(mx, backup).deliver(message=BIG if phase == "body" else BODY)).fate is DELIVERED
    assert backup.rcpts() == ["joe@b.test"]


@pytest.mark.parametrize("phase", ["connect", "banner", "ehlo", "mail", "rcpt", "data", "body", "dot"])
def test_connection_lost_with_one_hop_defers(phase: str, bench, mx) -> None:
    mx.drop(phase)
    outcome = only(bench(mx).deliver())
    assert outcome.fate is DEFERRED
    assert outcome.reply.enhanced in ("4.4.1", "4.4.2")
    assert outcome.uncertain is (phase in ("body", "dot"))  # such a small message has left us whole by then


def test_connection_lost_after_the_dot_defers_and_asks_nobody_else(bench, mx, backup) -> None:
    mx.drop("dot")
    outcome = only(bench(mx, backup).deliver())
    assert (outcome.fate, outcome.reply.enhanced, outcome.uncertain) == (DEFERRED, "4.4.2", True)
    assert backup.sessions == 0


def test_recipients_refused_before_the_connection_broke_are_not_asked_again(bench, mx, backup) -> None:
    mx.reply("rcpt", "550 no", rcpt="gone@b.test").drop("body")
    outcomes = bench(mx, backup).deliver("gone@b.test", "joe@b.test", message=BIG)
    assert [outcome.fate for outcome in outcomes.values()] == [FAILED, DELIVERED]
    assert "RCPT TO:<gone@b.test>" not in backup.commands


def test_starttls_required_but_not_offered_asks_the_next_hop_then_defers(bench, mx) -> None:
    strict = NextHop(mx.host, mx.port, tls="required")
    outcome = only(bench(strict).deliver())
    assert (outcome.fate, outcome.reply.enhanced) == (DEFERRED, "4.7.5")
    assert only(bench(strict, mx).deliver()).fate is DELIVERED


def test_wrong_password_defers(bench) -> None:
    with FakeMx(extensions=("AUTH PLAIN",)) as mx:
        outcome = only(
            bench(NextHop(mx.host, mx.port, auth_user="u", auth_pass="secret", tls="off")).deliver()
        )
    assert outcome.fate is DEFERRED
    assert "secret" not in outcome.reason


def test_nonsense_instead_of_a_reply_asks_the_next_hop(bench, mx, backup) -> None:
    mx.reply("mail", "hello there")
    assert only(bench(mx, backup).deliver()).fate is DELIVERED


# -- kept connections


def test_connection_is_kept_for_the_next_message(bench, mx) -> None:
    sender = bench(mx)
    for _ in range(3):
        assert only(sender.deliver()).fate is DELIVERED
    assert mx.sessions == 1


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "body"])
def test_kept_connection_that_died_is_replaced(phase: str, bench, mx) -> None:
    sender = bench(mx)
    sender.deliver()
    mx.drop(phase)
    assert only(sender.deliver(message=BIG if phase == "body" else BODY)).fate is DELIVERED
    assert mx.sessions == 2


def test_server_hung_up_while_the_connection_was_kept(bench, mx) -> None:
    sender = bench(mx)
    sender.deliver()
    mx.hang_up()
    assert only(sender.deliver()).fate is DELIVERED
    assert len(mx.messages) == 2


def test_421_on_a_kept_connection_is_about_the_connection(bench, mx) -> None:
    sender = bench(mx)
    sender.deliver()
    mx.reply("mail", "421 4.7.0 enough for one connection", "250 ok")
    assert only(sender.deliver()).fate is DELIVERED
    assert mx.sessions == 2


def test_421_on_a_fresh_connection_asks_the_next_hop(bench, mx, backup) -> None:
    mx.reply("mail", "421 4.3.2 shutting down")
    assert only(bench(mx, backup).deliver()).fate is DELIVERED
    assert only(bench(mx).deliver()).fate is DEFERRED


def test_refused_message_does_not_spoil_the_connection(bench, mx) -> None:
    mx.reply("rcpt", "550 no", "250 ok").reply("dot", "550 no", "250 ok")
    sender = bench(mx)
    assert [only(sender.deliver()).fate for _ in range(3)] == [FAILED, FAILED, DELIVERED]
    assert mx.sessions == 1


# -- LMTP


def test_lmtp_recipients_are_kept_apart(bench) -> None:
    with FakeMx(lmtp=True) as mx:
        mx.reply("dot", "250 ok", rcpt="a@b.test").reply("dot", "550 no", rcpt="b@b.test")
        outcomes = bench(mx).deliver("a@b.test", "b@b.test", "c@b.test")
    assert [outcome.fate for outcome in outcomes.values()] == [DELIVERED, FAILED, DELIVERED]
    assert outcomes["a@b.test"].peer.mode == "LMTP"
    assert mx.commands[0].startswith("LHLO")


# -- who decides where it goes


class Route(Plugin):
    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def hook_get_mx(self, hmail, domain):
        self.asked.append(domain)
        return self.answer


def test_get_mx_comes_before_the_smarthost(bench, mx, backup) -> None:
    plugin = Route((OK, f"smtp://127.0.0.1:{mx.port}"))
    assert only(bench(backup, plugins=(plugin,)).deliver()).fate is DELIVERED
    assert (len(mx.messages), backup.sessions, plugin.asked) == (1, 0, ["b.test"])


def test_get_mx_list_is_tried_in_its_order(bench, mx, backup) -> None:
    hops = [
        NextHop("127.0.0.1", free_port(), priority=50),
        {"exchange": "127.0.0.1", "port": mx.port},
        backup.smarthost,
    ]
    assert only(bench(plugins=(Route((OK, hops)),)).deliver()).fate is DELIVERED
    assert (len(mx.messages), backup.sessions) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "fate", "reply"),
    [
        (DENY, FAILED, "550 5.1.2 No MX for b.test"),
        (DENYSOFT, DEFERRED, "450 4.4.4 Temporary MX lookup error for b.test"),
        ((DENY, "closed"), FAILED, "550 5.1.2 closed"),
        ((DENY, ["closed", "for ever"]), FAILED, "550 5.1.2 closed for ever"),
        ((DENY, DSN.net_routing_loop()), FAILED, "550 5.4.6 Routing loop detected"),
        ((OK, 5), DEFERRED, "451 4.3.5 No usable next hop"),
    ],
)
def test_get_mx_that_denies(answer: object, fate: object, reply: str, bench, mx) -> None:
    outcome = only(bench(mx, plugins=(Route(answer),)).deliver())
    assert (outcome.fate, str(outcome.reply)) == (fate, reply)
    assert mx.sessions == 0


@pytest.mark.parametrize(
    ("domain", "fate", "status"),
    [("null.test", FAILED, "5.1.10"), ("gone.test", FAILED, "5.1.2"), ("broken.test", DEFERRED, "4.4.3")],
)
def test_dns_decides_without_a_smarthost(domain: str, fate: object, status: str, bench) -> None:
    outcome = only(bench().deliver(f"joe@{domain}", domain=domain))
    assert (outcome.fate, outcome.reply.enhanced, outcome.peer) == (fate, status, None)


def test_name_in_the_answer_is_looked_up(bench, mx) -> None:
    sender = bench(plugins=(Route((OK, f"mx.b.test:{mx.port}")),))
    sender.dns.zone["mx.b.test"] = {"A": ["127.0.0.1"]}
    outcome = only(sender.deliver())
    assert (outcome.fate, outcome.peer.host, outcome.peer.ip) == (DELIVERED, "mx.b.test", "127.0.0.1")


def test_null_sender_and_quoted_recipient(bench, mx) -> None:
    hmail = hmail_for(['"a b"@b.test'], BODY, mail_from="<>")
    deliverer = bench(mx).deliverer
    outcomes = deliverer.deliver(hmail, deliverer.route(hmail))
    assert outcomes[Address.parse('"a b"@b.test')].fate is DELIVERED
    assert mx.messages[0].mail_from == ""
