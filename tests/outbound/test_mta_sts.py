"""MTA-STS policies from a real policy host: what is fetched, what is kept, and for how long."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from mta.logger import INFO, Logger
from mta.net.dns import Resolver
from mta.outbound import sts_cache
from mta.outbound.mta_sts import MtaSts
from mta.outbound.sts_cache import Known, StsCache
from mta.outbound.sts_fetch import StsFetcher, StsFetchFailed
from mta.outbound.sts_policy import StsPolicy
from tests.support.dns_server import NXDOMAIN, SERVFAIL, DnsServer
from tests.support.policy_host import PolicyHost

CA = trustme.CA()
CERTIFICATE = CA.issue_cert("mta-sts.a.test", "mta-sts.b.test")


def policy(mode: str = "enforce", mx: str = "mx.a.test", max_age: int = 600) -> str:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n"


class World:
    """A policy host, a name server, and what asks them."""

    def __init__(self, directory: Path, host: PolicyHost, dns: DnsServer) -> None:
        self.directory = directory / "mta-sts"
        self.host = host
        self.dns = dns
        self.lines: list[str] = []
        ca = directory / "ca.pem"
        CA.cert_pem.write_to_path(ca)
        self.ca = str(ca)
        self.restart()

    def restart(self) -> None:
        resolver = Resolver([self.dns.host], self.dns.port, timeout=1, lifetime=2)
        self.fetcher = StsFetcher(resolver.lookup_ip, ca=self.ca, port=self.host.port, seconds=5)
        logger = Logger(INFO, write=self.lines.append)
        self.sts = MtaSts(resolver, self.fetcher, StsCache(self.directory), logger)

    def announce(self, domain: str, text: str) -> None:
        self.dns.zone[f"_mta-sts.{domain}"] = {"TXT": [f'"{text}"']}

    @property
    def fetches(self) -> int:
        return len(self.host.requests)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    zone = {f"mta-sts.{domain}": {"A": ["127.0.0.1"]} for domain in ("a.test", "b.test", "c.test")}
    with PolicyHost(CERTIFICATE) as host, DnsServer(zone, ttl=0) as dns:
        made = World(tmp_path, host, dns)
        host.publish("a.test", policy())
        made.announce("a.test", "v=STSv1; id=1;")
        yield made


ENFORCE = StsPolicy("enforce", ("mx.a.test",), 600)


def test_a_policy_is_fetched_once_and_kept(world: World) -> None:
    assert world.sts.policy_for("A.test.").policy == ENFORCE
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.host.requests == [("mta-sts.a.test", "/.well-known/mta-sts.txt")]
    world.restart()
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.fetches == 1


def test_the_files_are_nobody_elses_affair(world: World) -> None:
    world.sts.policy_for("a.test")
    assert stat.S_IMODE(world.directory.stat().st_mode) == 0o700
    assert os.listdir(world.directory) == ["a.test.json"]
    assert stat.S_IMODE((world.directory / "a.test.json").stat().st_mode) == 0o600


def test_a_new_id_means_a_new_policy(world: World) -> None:
    world.sts.policy_for("a.test")
    world.host.publish("a.test", policy("testing"))
    assert world.sts.policy_for("a.test").policy == ENFORCE
    world.announce("a.test", "v=STSv1; id=2;")
    answer = world.sts.policy_for("a.test").policy
    assert answer is not None and answer.mode == "testing"


@pytest.mark.parametrize("gone", [NXDOMAIN, SERVFAIL, {"TXT": ['"v=STSv1; broken"']}, {"TXT": []}])
def test_a_policy_that_is_known_outlives_its_record(world: World, gone: object) -> None:
    world.sts.policy_for("a.test")
    world.dns.zone["_mta-sts.a.test"] = gone  # type: ignore[assignment]
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.sts.policy_for("b.test").policy is None
    assert world.fetches == 1


def test_a_failed_refresh_keeps_what_is_valid(world: World) -> None:
    world.sts.policy_for("a.test")
    world.host.publish("a.test", "nonsense")
    world.announce("a.test", "v=STSv1; id=2;")
    answer = world.sts.policy_for("a.test")
    assert answer.policy == ENFORCE
    assert answer.fault is not None and answer.fault.kind == "sts-policy-invalid"
    again = world.sts.policy_for("a.test")
    assert again.policy == ENFORCE and again.fault is None  # not asked again at once
    assert world.fetches == 2
    assert any("stays in force" in line for line in world.lines)


def test_an_expired_policy_binds_nobody(world: World) -> None:
    world.host.publish("a.test", policy(max_age=0))
    assert world.sts.policy_for("a.test").policy is not None
    world.dns.zone["_mta-sts.a.test"] = NXDOMAIN
    assert world.sts.policy_for("a.test").policy is None


def test_one_domains_policy_is_not_anothers(world: World) -> None:
    """KumoMTA mixed up domains that share a policy host."""
    world.host.publish("b.test", policy("testing", "mx.b.test"))
    world.announce("b.test", "v=STSv1; id=1;")
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.sts.policy_for("b.test").policy == StsPolicy("testing", ("mx.b.test",), 600)
    world.restart()
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.sts.policy_for("b.test").policy == StsPolicy("testing", ("mx.b.test",), 600)
    (world.directory / "b.test.json").replace(world.directory / "a.test.json")
    world.restart()
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.fetches == 3  # the file of another domain was not believed


def test_many_deliveries_wait_for_one_fetch(world: World) -> None:
    world.host.delay = 0.2
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda: answers.append(world.sts.policy_for("a.test").policy))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == [ENFORCE] * 8
    assert world.fetches == 1


@pytest.mark.parametrize(
    ("status", "kind", "body", "expected"),
    [
        (404, "text/plain", policy(), "sts-policy-fetch-error"),
        (301, "text/plain", policy(), "sts-policy-fetch-error"),
        (302, "text/plain", policy(), "sts-policy-fetch-error"),
        (206, "text/plain", policy(), "sts-policy-fetch-error"),
        (500, "text/plain", policy(), "sts-policy-fetch-error"),
        (200, "text/html", policy(), "sts-policy-fetch-error"),
        (200, "", policy(), "sts-policy-fetch-error"),
        (200, "text/plain", "mode: enforce\n", "sts-policy-invalid"),
        (200, "text/plain", policy() + "x: y\n" * 20_000, "sts-policy-invalid"),
        (200, "text/plain; charset=utf-8", policy(), None),
    ],
)
def test_what_a_policy_host_may_answer(
    world: World, status: int, kind: str, body: str, expected: str | None
) -> None:
    world.host.publish("a.test", body, kind, status)
    answer = world.sts.policy_for("a.test")
    assert (answer.policy == ENFORCE) is (expected is None)
    assert (answer.fault.kind if answer.fault else None) == expected
    world.sts.policy_for("a.test")
    assert world.fetches == 1  # not asked again at once, whatever it was


def failure_of(fetcher: StsFetcher, domain: str) -> StsFetchFailed:
    with pytest.raises(StsFetchFailed) as caught:
        fetcher.fetch(domain)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_policy_host_must_prove_its_name(world: World) -> None:
    assert failure_of(world.fetcher, "c.test").kind == "sts-webpki-invalid"
    stranger = StsFetcher(lambda host: ["127.0.0.1"], port=world.host.port)
    assert failure_of(stranger, "a.test").kind == "sts-webpki-invalid"
    assert world.fetches == 0


def test_a_policy_host_that_is_not_there(world: World) -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    port = nobody.getsockname()[1]
    nobody.close()
    assert (
        failure_of(StsFetcher(lambda host: ["127.0.0.1"], port=port), "a.test").kind
        == "sts-policy-fetch-error"
    )
    assert failure_of(StsFetcher(lambda host: [], port=port), "a.test").kind == "sts-policy-fetch-error"
    assert failure_of(world.fetcher, "nowhere.test").kind == "sts-policy-fetch-error"


@pytest.mark.parametrize(("delay", "drip"), [(30.0, 0.0), (0.0, 0.03)])
def test_a_policy_host_that_never_ends_is_hung_up_on(world: World, delay: float, drip: float) -> None:
    world.host.delay, world.host.drip = delay, drip
    slow = StsFetcher(lambda host: ["127.0.0.1"], ca=world.ca, port=world.host.port, seconds=0.3)
    assert failure_of(slow, "a.test").kind == "sts-policy-fetch-error"


def test_a_handshake_that_never_ends_is_hung_up_on() -> None:
    """A byte now and then keeps every single wait short."""

    def drip(server: socket.socket) -> None:
        sock, _ = server.accept()
        with sock:
            try:
                for octet in b"\x16\x03\x03\x40\x00" + bytes(200):
                    sock.sendall(bytes([octet]))
                    time.sleep(0.05)
            except OSError:
                hung_up.set()

    hung_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        slow = StsFetcher(lambda host: ["127.0.0.1"], port=port, seconds=0.4)
        assert failure_of(slow, "a.test").kind == "sts-policy-fetch-error"
        assert hung_up.wait(20)


@pytest.mark.parametrize(("cut", "reason"), [("torn", "unexpected eof"), ("closed", "in the middle")])
def test_half_a_policy_is_none(world: World, cut: str, reason: str) -> None:
    world.host.cut = cut
    assert reason in str(failure_of(world.fetcher, "a.test"))


@pytest.mark.parametrize(
    "domain", ["", "[127.0.0.1]", "../../etc/passwd", "a/b.test", "b\u00fc.test", "x" * 250]
)
def test_what_is_no_domain_has_no_policy(world: World, domain: str) -> None:
    assert world.sts.policy_for(domain).policy is None
    assert world.dns.queries == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"domain": "a.test"}',
        json.dumps({"domain": "a.test", "id": "1", "fetched": "x", "policy": []}),
    ],
)
def test_a_file_that_is_broken_counts_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.test.json").write_text(content)
    assert StsCache(tmp_path).get("a.test") is None


def test_how_long_a_policy_is_valid(tmp_path: Path) -> None:
    cache = StsCache(tmp_path)
    now = time.time()
    cache.put("a.test", Known("1", now, ENFORCE))
    for cached in (cache, StsCache(tmp_path)):
        assert cached.get("a.test", now + 599) is not None
        assert cached.get("a.test", now + 601) is None
        assert cached.get("a.test", now - 7200) is None  # the clock was wrong when it was written


def test_the_cache_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_cache, "MAX_KNOWN", 20)
    cache = StsCache(tmp_path)
    for number in range(50):
        cache.put(f"d{number}.test", Known("1", time.time(), ENFORCE))
    assert len(os.listdir(tmp_path)) <= 20
    assert StsCache(tmp_path).get("d49.test") is not None


def test_a_disk_that_is_full_costs_nothing_but_the_file(world: World) -> None:
    world.directory.write_text("in the way")
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.sts.policy_for("a.test").policy == ENFORCE
    assert world.fetches == 1
    assert any("cannot keep the MTA-STS policy" in line for line in world.lines)
