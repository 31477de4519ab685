"""Connections that are kept for the next message."""

from __future__ import annotations

import ssl
from dataclasses import replace

import gevent
import pytest
import trustme

from mta.config.schema import ConnectionPoolSettings
from mta.net.client_pool import ClientPool
from mta.net.next_hop import NextHop
from mta.net.smtp_client import ConnectFailed, ConnectionLost, SmtpClient
from mta.smtp.address import Address
from tests.net.scripted_peer import Letter, Peer, ScriptedPeer, wait_for
from tests.support.fake_mx import FakeMx

RCPT = Address.parse("ann@there.test")


def pool_of(**limits: float) -> ClientPool:
    return ClientPool(replace(ConnectionPoolSettings(), **limits))


def hop_of(mx: FakeMx) -> NextHop:
    return NextHop(mx.host, mx.port)


def acquire(pool: ClientPool, mx: FakeMx, **more: bool) -> SmtpClient:
    return pool.acquire(hop_of(mx), helo="here.test", **more)


def deliver(pool: ClientPool, mx: FakeMx) -> SmtpClient:
    client = acquire(pool, mx)
    client.send(RCPT, [RCPT], Letter(b"x\r\n"))
    pool.release(client)
    return client


def test_a_connection_is_used_again(mx: FakeMx) -> None:
    pool = ClientPool()
    first = deliver(pool, mx)
    assert not first.reused
    assert deliver(pool, mx) is first and first.reused
    assert (mx.sessions, len(mx.messages)) == (1, 2)


def test_the_priority_of_a_hop_does_not_matter_but_the_rest_does(mx: FakeMx) -> None:
    pool = ClientPool()
    first = deliver(pool, mx)
    assert pool.acquire(replace(hop_of(mx), tls="off"), helo="here.test") is not first
    assert pool.acquire(hop_of(mx), helo="other.test") is not first
    assert pool.acquire(replace(hop_of(mx), priority=5), helo="here.test") is first


def test_a_connection_in_use_belongs_to_one(mx: FakeMx) -> None:
    pool = ClientPool()
    assert acquire(pool, mx) is not acquire(pool, mx)


def test_the_connection_used_last_comes_first(mx: FakeMx) -> None:
    pool = ClientPool()
    first, second = acquire(pool, mx), acquire(pool, mx)
    pool.release(first)
    pool.release(second)
    assert acquire(pool, mx) is second
    assert acquire(pool, mx) is first


def test_after_so_many_messages_a_connection_is_ended(mx: FakeMx) -> None:
    pool = pool_of(messages=2)
    for _ in range(4):
        deliver(pool, mx)
    assert mx.sessions == 2
    assert wait_for(lambda: mx.quits == 2)


def test_an_old_connection_is_ended_however_busy_it_is(mx: FakeMx) -> None:
    pool = pool_of(lifetime=60)
    client = deliver(pool, mx)
    assert deliver(pool, mx) is client
    client.born -= 60
    deliver(pool, mx)
    assert wait_for(lambda: mx.quits == 1)
    assert deliver(pool, mx) is not client


def test_a_connection_may_become_too_old_while_it_waits(mx: FakeMx) -> None:
    pool = pool_of(lifetime=60, idle=60)
    client = acquire(pool, mx)
    client.born -= 59.9
    pool.release(client)
    assert pool.idle == 1
    gevent.sleep(0.15)
    assert acquire(pool, mx) is not client
    assert pool.idle == 0 and wait_for(lambda: mx.quits == 1)


def test_the_one_unused_for_longest_makes_room_whatever_its_hop(mx: FakeMx) -> None:
    with FakeMx() as second, FakeMx() as third:
        pool = pool_of(total_idle=2)
        for each in (mx, second, mx, third):
            deliver(pool, each)
        assert pool.idle == 2
        assert wait_for(lambda: second.quits == 1)
        for each in (mx, third):
            deliver(pool, each)
        assert (mx.sessions, second.sessions, third.sessions, mx.quits, third.quits) == (1, 1, 1, 0, 0)
        pool.close_all()


def test_limits_may_change_while_connections_are_kept(mx: FakeMx) -> None:
    pool = ClientPool()
    for client in [acquire(pool, mx) for _ in range(3)]:
        pool.release(client)
    pool.settings = replace(pool.settings, total_idle=1)
    pool.release(acquire(pool, mx))
    assert pool.idle == 1
    pool.close_all()


def test_only_so_many_are_kept(mx: FakeMx) -> None:
    pool = pool_of(per_site_idle=2)
    for client in [acquire(pool, mx) for _ in range(4)]:
        pool.release(client)
    assert pool.idle == 2
    assert wait_for(lambda: mx.quits == 2)


def test_none_at_all_may_be_kept(mx: FakeMx) -> None:
    pool = pool_of(per_site_idle=0)
    deliver(pool, mx)
    deliver(pool, mx)
    assert (pool.idle, mx.sessions) == (0, 2)


def test_an_unused_connection_is_ended_in_time(mx: FakeMx) -> None:
    pool = pool_of(idle=0.2)
    deliver(pool, mx)
    assert pool.idle == 1
    assert wait_for(lambda: mx.quits == 1 and pool.idle == 0)
    deliver(pool, mx)
    assert wait_for(lambda: mx.quits == 2 and pool.idle == 0)


def test_hops_that_nothing_is_kept_for_are_forgotten(mx: FakeMx) -> None:
    refusing = pool_of(per_site_idle=0)
    deliver(refusing, mx)
    assert not refusing._idle
    pool = pool_of(idle=0.05)
    deliver(pool, mx)
    client = acquire(pool, mx)
    assert wait_for(lambda: not pool._idle)
    pool.release(client)
    assert pool.idle == 1


def test_a_broken_connection_is_not_kept(mx: FakeMx) -> None:
    pool = ClientPool()
    client = acquire(pool, mx)
    client.close()
    pool.release(client)
    assert pool.idle == 0


def test_a_connection_killed_in_the_middle_is_not_kept(mx: FakeMx) -> None:
    pool = ClientPool()
    client = acquire(pool, mx.drop("dot"))
    with pytest.raises(ConnectionLost):
        client.send(RCPT, [RCPT], Letter(b"x"))
    pool.release(client)
    assert pool.idle == 0


def test_a_peer_that_said_good_bye_meanwhile_is_found_out() -> None:
    def leaving(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.say("421 4.4.2 idle")

    def staying(peer: Peer) -> None:
        peer.greet("PIPELINING")
        peer.gulp()

    with ScriptedPeer(leaving, staying) as peer:
        pool = ClientPool()
        first = pool.acquire(peer.hop, helo="here.test")
        pool.release(first)
        assert wait_for(lambda: not first.lend(None, "-"))
        assert pool.acquire(peer.hop, helo="here.test") is not first
        pool.close_all()


def test_a_peer_that_closed_unseen_fails_before_anything_is_delivered_and_a_fresh_one_helps(
    mx: FakeMx,
) -> None:
    pool = ClientPool()
    pool.release(acquire(pool, mx))
    mx.hang_up()
    try:
        client = acquire(pool, mx)
        client.send(RCPT, [RCPT], Letter(b"x"))
        assert not client.reused
    except ConnectionLost as lost:
        assert client.reused and lost.phase in ("mail", "rcpt", "data")
        client = acquire(pool, mx, fresh=True)
        assert not client.reused
        client.send(RCPT, [RCPT], Letter(b"x"))
    assert len(mx.messages) == 1


def test_an_encrypted_connection_is_used_again() -> None:
    def session(peer: Peer) -> None:
        peer.greet("STARTTLS")
        peer.take(["220 go"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("mx.test").configure_cert(context)
        peer.start_tls(context)
        peer.hello()
        for _ in range(2):
            peer.take(["250 ok", "250 ok", "354 go"])
            peer.until(b"\r\n.\r\n")
            peer.say("250 taken")

    with ScriptedPeer(session) as peer:
        pool = ClientPool()
        for reused in (False, True):
            client = pool.acquire(peer.hop, helo="here.test")
            assert (client.secured, client.reused) == (True, reused)
            assert client.send(RCPT, [RCPT], Letter(b"x"))[RCPT].code == 250
            pool.release(client)


def test_close_all_says_good_bye_and_keeps_nothing_from_then_on(mx: FakeMx) -> None:
    pool = ClientPool()
    used = acquire(pool, mx)
    deliver(pool, mx)
    pool.close_all()
    assert (mx.quits, pool.idle) == (1, 0)
    pool.release(used)
    assert pool.idle == 0
    assert wait_for(lambda: mx.quits == 2)


def test_errors_of_a_new_connection_come_through() -> None:
    with pytest.raises(ConnectFailed):
        ClientPool().acquire(NextHop("127.0.0.1", 1), helo="here.test")
