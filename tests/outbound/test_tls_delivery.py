"""Mail to hosts that prove who they are, and to those that do not: real TLS, a really signed zone, real deliveries."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mta.config.schema import OutboundSettings, SecuritySettings
from mta.logger import INFO, Logger
from mta.net.certificates import pair_up, read_pem
from mta.net.client_pool import ClientPool
from mta.net.dns import Resolver
from mta.net.next_hop import NextHop
from mta.net.no_tls import NoTlsHosts
from mta.net.tls_client import TlsClient
from mta.net.tls_clients import TlsClients
from mta.outbound.delivery import Deliverer
from mta.outbound.hmail import HMail
from mta.outbound.mta_sts import MtaSts
from mta.outbound.mx import NoRoute, candidates, mail_hosts
from mta.outbound.outcome import Outcome
from mta.outbound.route import Route, Router
from mta.outbound.sts_cache import StsCache
from mta.outbound.sts_fetch import StsFetcher
from mta.outbound.tls_policy import TlsPolicies
from mta.outbound.tls_result import TlsResult
from mta.outbound.tls_rules import HostList, TlsRules
from tests.support.dns_server import DnsServer
from tests.support.outbound import hmail_for
from tests.support.plugins import runner_of
from tests.support.policy_host import PolicyHost
from tests.support.signed_dns import SignedDns
from tests.support.tls import Authority, Site
from tests.support.tls_mx import TlsMx, server_context, write_ca

CA, STRANGER = trustme.CA(), trustme.CA()
BODY = b"Subject: x\r\n\r\nbody\r\n"
SETTINGS = OutboundSettings(local_mx_ok=True, inet_prefer="v4")
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def digest(pem: trustme.Blob) -> str:
    key = x509.load_pem_x509_certificate(pem.bytes()).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class Sender:
    """Everything that delivers, with its name server; port: of the MX hosts. Close it."""

    def __init__(
        self,
        resolver: Resolver,
        port: int,
        ca: str,
        *,
        sts: MtaSts | None = None,
        rules: TlsRules | None = None,
    ) -> None:
        self.resolver = resolver
        self.port = port
        self.lines: list[str] = []
        self.logger = Logger(INFO, write=self.lines.append)
        self.logger.plugins_ready(None)
        self.results: list[TlsResult] = []
        self.policies = TlsPolicies(
            resolver,
            NoTlsHosts(self.logger),
            sts,
            rules=rules,
            security=SecuritySettings(),
            clients=TlsClients(TlsClient(ca=ca)),
            on_tls_result=self.results.append,
        )
        runner, _ = runner_of()
        self.router = Router(resolver, runner, self.logger, SETTINGS, (), self.policies)

    def mail(self, domain: str, **extra: object) -> HMail:
        """extra: further keys of the queue file."""
        hmail = hmail_for([f"joe@{domain}"], BODY, domain=domain, logger=self.logger)
        hmail.todo.extra.update(extra)
        return hmail

    def to_mx(self, domain: str, **extra: object) -> Outcome:
        """Deliver to the MX hosts of the domain, all of which listen on self.port."""
        hmail = self.mail(domain, **extra)
        hops = candidates(domain, mail_hosts(domain, self.resolver), self.resolver, SETTINGS)
        there = (replace(hop, port=self.port) for hop in hops if hop.host == "127.0.0.1")
        return self._deliver(hmail, Route("site", self.policies.for_mx(hmail, there)))

    def to(self, hop: NextHop, **extra: object) -> Outcome:
        """Deliver to a hop that an operator chose."""
        hmail = self.mail("there.test", **extra)
        return self._deliver(hmail, Route("site", iter([self.policies.for_chosen(hmail, hop)])))

    def _deliver(self, hmail: HMail, route: Route) -> Outcome:
        pool = ClientPool()
        try:
            (outcome,) = Deliverer(self.router, pool, SETTINGS, "relay.test").deliver(hmail, route).values()
        finally:
            pool.close_all()
        return outcome

    def log(self, word: str) -> str:
        """The only line with that word."""
        (line,) = (line for line in self.lines if word in line)
        return line


REQUIRETLS = {"mail_params": {"REQUIRETLS": None}}
OPTIONAL = {"tls_optional": True}

# -- DANE


@dataclass(frozen=True)
class Dane:
    """servers: one for each certificate that a domain's host may have."""

    resolver: Resolver
    servers: dict[str, TlsMx]
    ca: str

    def sender(self, server: str) -> Sender:
        return Sender(self.resolver, self.servers[server].port, self.ca)


def zone_lines(ports: dict[str, int], leaf: str, root: str, stranger: str) -> str:
    """One domain for each row: its host's name is mx.<domain>, and has one TLSA record."""
    rows = {
        "ee": ("own", f"3 1 1 {leaf}"),
        "ee-wrong": ("own", f"3 1 1 {stranger}"),
        "ee-elsewhere": ("expired", f"3 1 1 {leaf}"),
        "ta": ("chain", f"2 1 1 {root}"),
        "ta-name": ("othername", f"2 1 1 {root}"),
        "pkix-usage": ("stranger", f"1 1 1 {stranger}"),
        "clear": ("clear", f"3 1 1 {leaf}"),
        "clear-unusable": ("clear", f"0 1 1 {leaf}"),
    }
    lines = []
    for domain, (server, tlsa) in rows.items():
        lines += [f"{domain} MX 10 mx.{domain}", f"mx.{domain} A 127.0.0.1"]
        lines.append(f"_{ports[server]}._tcp.mx.{domain} TLSA {tlsa}")
    lines += [
        "none MX 10 mx.none",
        "mx.none A 127.0.0.1",
        "alias MX 10 www.alias",
        "www.alias CNAME mx.alias",
        "mx.alias A 127.0.0.1",
        f"_{ports['own']}._tcp.mx.alias TLSA 3 1 1 {leaf}",
        "itself A 127.0.0.1",
        f"_{ports['own']}._tcp.itself TLSA 3 1 1 {stranger}",
        "bogus MX 10 mx.bogus",
        "mx.bogus A 127.0.0.1",
        "elsewhere MX 10 mx.open",  # a secure domain whose host is in an insecure one
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def dane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dane]:
    folder = tmp_path_factory.mktemp("dane")
    own = CA.issue_cert("own.test")  # no name that counts: the DNS vouches for the key
    child = CA.create_child_ca()
    with ExitStack() as stack:
        contexts = {
            "own": server_context(own),
            "expired": server_context(
                CA.issue_cert("x.test", not_before=PAST - timedelta(9), not_after=PAST)
            ),
            "chain": server_context(child.issue_cert("ta.test"), CA),
            "othername": server_context(child.issue_cert("x.test"), CA),
            "stranger": server_context(STRANGER.issue_cert("x.test")),
            "clear": None,
        }
        servers = {name: stack.enter_context(TlsMx(context)) for name, context in contexts.items()}
        ports = {name: server.port for name, server in servers.items()}
        leaf, root, stranger = digest(own.cert_chain_pems[0]), digest(CA.cert_pem), digest(STRANGER.cert_pem)
        tlsa = f"_{ports['own']}._tcp.mx TLSA 3 1 1 {stranger}\n"
        signed = SignedDns(
            folder / "dns",
            zone_lines(ports, leaf, root, stranger),
            insecure={"open.test": f"@ MX 10 mx\n@ A 127.0.0.1\nmx A 127.0.0.1\n{tlsa}"},
            bogus={"_tcp.mx.bogus.test": f"_{ports['own']} TLSA 3 1 1 {leaf}\n"},
        )
        stack.enter_context(signed)
        resolver = Resolver(["127.0.0.1"], signed.port, timeout=5, lifetime=10)
        yield Dane(resolver, servers, write_ca(CA, folder / "ca.pem"))


@pytest.mark.parametrize(
    ("domain", "server", "by", "failure", "policy"),
    [
        ("ee", "own", "dane-ee", None, "tlsa"),
        ("ee-wrong", "own", None, "validation-failure", "tlsa"),
        ("ee-elsewhere", "expired", None, "validation-failure", "tlsa"),
        ("ta", "chain", "dane-ta", None, "tlsa"),
        ("ta-name", "othername", None, "certificate-host-mismatch", "tlsa"),
        ("pkix-usage", "stranger", "none", "tlsa-invalid", "tlsa"),  # encrypted, proved by nothing
        ("clear", "clear", None, "starttls-not-supported", "tlsa"),
        ("clear-unusable", "clear", None, "starttls-not-supported", "tlsa"),
        ("none", "clear", "", "starttls-not-supported", "no-policy-found"),
        ("none", "own", "none", None, "no-policy-found"),
        ("alias", "own", "dane-ee", None, "tlsa"),
        ("itself", "own", None, "validation-failure", "tlsa"),  # no MX: RFC 5321 5.1
        ("bogus", "own", None, "dnssec-invalid", "tlsa"),
        ("open", "own", "none", None, "no-policy-found"),  # insecure records bind nobody
        ("elsewhere", "own", "none", None, "no-policy-found"),
    ],
)
def test_dane(dane: Dane, domain: str, server: str, by: str | None, failure: str | None, policy: str) -> None:
    """by: what proved the host, "" when the mail went in clear, None when it did not go."""
    mx = dane.servers[server]
    before = len(mx.messages), mx.sessions
    sender = dane.sender(server)
    outcome = sender.to_mx(f"{domain}.test")
    (result,) = sender.results
    assert (result.result_type, result.policy_type) == (failure, policy)
    assert result.receiving_mx.endswith(f"{domain}.test") or domain == "elsewhere"
    assert result.receiving_ip == "127.0.0.1"
    assert bool(result.policy_strings) is (policy == "tlsa" and domain != "bogus")
    assert len(mx.messages) - before[0] == (by is not None)
    if by is None:
        assert (outcome.reply.code, outcome.reply.enhanced) == (451, "4.7.5")
        assert result.failure_reason
        assert "no_tls_hosts" in sender.log("the mail waits")
        assert mx.sessions - before[1] == (domain != "bogus")  # nobody was called at all
    else:
        assert outcome.reply.code == 250
        assert outcome.peer is not None and outcome.peer.secured is (by != "")
    if by:
        assert f" by={by}" in sender.log("secured host=")


def test_the_name_to_ask_for_is_that_of_the_records(dane: Dane) -> None:
    """RFC 7672 8.1: it may be another than the MX record has."""
    mx = dane.servers["own"]
    dane.sender("own").to_mx("alias.test")
    assert mx.names[-1] == "mx.alias.test"


def test_dane_that_is_off_or_not_to_be_believed(dane: Dane) -> None:
    sender = dane.sender("own")
    sender.policies.security = SecuritySettings(dane="off")
    assert sender.to_mx("ee-wrong.test").reply.code == 250
    assert not sender.policies.heeds_dane
    for servers, trusted, heeded in (
        (["127.0.0.1", "::1"], False, True),
        (["127.0.0.1", "192.0.2.1"], False, False),
        (["fe80::1"], False, False),  # the router next door
        (["192.0.2.1"], True, True),
    ):
        security = SecuritySettings(dns_trusted=trusted)
        policies = TlsPolicies(Resolver(servers), sender.policies.no_tls, security=security)
        assert policies.heeds_dane is heeded


def test_tls_required_no_overrides_the_domain(dane: Dane) -> None:
    """RFC 8689 section 5."""
    assert dane.sender("clear").to_mx("clear.test", **OPTIONAL).reply.code == 250
    assert dane.sender("clear").to_mx("clear.test", **OPTIONAL, **REQUIRETLS).reply.code == 451


def test_requiretls_takes_a_host_that_dnssec_vouches_for(dane: Dane) -> None:
    mx = dane.servers["own"]
    mx.offers = ("REQUIRETLS",)
    try:
        assert dane.sender("own").to_mx("ee.test", **REQUIRETLS).reply.code == 250
        assert mx.messages[-1].params == "REQUIRETLS"
    finally:
        mx.offers = ("8BITMIME",)
    refused = dane.sender("own").to_mx("ee.test", **REQUIRETLS).reply
    assert (refused.code, refused.enhanced) == (550, "5.7.30")
    refused = dane.sender("own").to_mx("open.test", **REQUIRETLS).reply
    assert (refused.code, refused.enhanced) == (550, "5.7.10")
    # DNSSEC vouches for the name, but there is no TLSA record and the certificate is for another.
    waits = dane.sender("own").to_mx("none.test", **REQUIRETLS).reply
    assert (waits.code, waits.enhanced) == (451, "4.7.5")


# -- MTA-STS, and no policy at all


class Plain:
    """A domain without DNSSEC: d.test, whose host is mx.d.test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.ca = write_ca(CA, folder / "ca.pem")
        self.folder = folder
        zone = {
            "d.test": {"MX": ["10 mx.d.test."]},
            "mx.d.test": {"A": ["127.0.0.1"]},
            "mta-sts.d.test": {"A": ["127.0.0.1"]},
        }
        self.dns = stack.enter_context(DnsServer(zone, ttl=0))
        self.resolver = Resolver(["127.0.0.1"], self.dns.port, timeout=1, lifetime=2)
        self.host = stack.enter_context(PolicyHost(CA.issue_cert("mta-sts.d.test")))
        self._stack = stack

    def publish(self, mode: str, mx: str = "mx.d.test") -> None:
        self.dns.zone["_mta-sts.d.test"] = {"TXT": ['"v=STSv1; id=1;"']}
        self.host.publish("d.test", f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 600\n")

    def mx(self, *names: str, by: trustme.CA = CA, **more: object) -> TlsMx:
        context = server_context(by.issue_cert(*names)) if names else None
        return self._stack.enter_context(TlsMx(context, **more))

    def sender(self, mx: TlsMx, rules: TlsRules | None = None) -> Sender:
        fetcher = StsFetcher(self.resolver.lookup_ip, ca=self.ca, port=self.host.port, seconds=5)
        logger = Logger(INFO, write=lambda line: None)
        sts = MtaSts(self.resolver, fetcher, StsCache(self.folder / "sts"), logger)
        return Sender(self.resolver, mx.port, self.ca, sts=sts, rules=rules)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    with ExitStack() as stack:
        yield Plain(tmp_path, stack)


SERVERS = {
    "good": (("mx.d.test",), CA),
    "othername": (("x.test",), CA),
    "stranger": (("mx.d.test",), STRANGER),
    "clear": ((), CA),
}


@pytest.mark.parametrize(
    ("mode", "listed", "server", "delivered", "failure"),
    [
        ("enforce", "mx.d.test", "good", True, None),
        ("enforce", "*.d.test", "good", True, None),
        ("enforce", "*.test", "good", False, "validation-failure"),
        ("enforce", "mx.d.test", "othername", False, "certificate-host-mismatch"),
        ("enforce", "mx.d.test", "stranger", False, "certificate-not-trusted"),
        ("enforce", "mx.d.test", "clear", False, "starttls-not-supported"),
        # Stalwart did not deliver these.
        ("testing", "mx.d.test", "good", True, None),
        ("testing", "x.test", "good", True, "validation-failure"),
        ("testing", "mx.d.test", "othername", True, "certificate-host-mismatch"),
        ("testing", "mx.d.test", "stranger", True, "certificate-not-trusted"),
        ("testing", "mx.d.test", "clear", True, "starttls-not-supported"),
    ],
)
def test_mta_sts(
    plain: Plain, mode: str, listed: str, server: str, delivered: bool, failure: str | None
) -> None:
    plain.publish(mode, listed)
    names, authority = SERVERS[server]
    mx = plain.mx(*names, by=authority)
    sender = plain.sender(mx)
    outcome = sender.to_mx("d.test")
    assert (outcome.reply.code == 250, len(mx.messages)) == (delivered, delivered)
    (result,) = sender.results
    assert (result.policy_type, result.policy_domain, result.result_type) == ("sts", "d.test", failure)
    assert result.mx_patterns == (listed,)
    assert result.policy_strings == ("version: STSv1", f"mode: {mode}", f"mx: {listed}", "max_age: 600")
    if mode == "enforce" and failure is None:
        assert " verified=true by=sts" in sender.log("secured host=")
    if not delivered:
        assert outcome.reply.enhanced == "4.7.5"
        assert "no_tls_hosts" in sender.log("the mail waits")


def test_mta_sts_wants_tls_1_2(plain: Plain) -> None:
    """RFC 8461 4.2, even where the operator does not."""
    mx = plain.mx("mx.d.test")
    assert mx.context is not None
    mx.context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore"):
        mx.context.minimum_version = mx.context.maximum_version = ssl.TLSVersion.TLSv1_1
    for mode, code in (("testing", 250), ("enforce", 451)):
        plain.publish(mode)
        shutil.rmtree(plain.folder / "sts", ignore_errors=True)
        sender = plain.sender(mx)
        sender.policies.clients = TlsClients(TlsClient(ca=plain.ca, min_version="TLSv1.1"))
        reply = sender.to_mx("d.test").reply
        assert reply.code == code
        (result,) = sender.results
        assert result.failure_reason.endswith("TLSv1.1 is too old")
    assert "TLSv1.1 is too old" in str(reply)
    assert len(mx.messages) == 1


def test_an_https_failure_is_as_no_policy(plain: Plain) -> None:
    plain.publish("enforce")
    plain.host.answers.clear()
    sender = plain.sender(plain.mx())
    assert sender.to_mx("d.test").reply.code == 250
    fetch, session = sender.results
    assert (fetch.policy_type, fetch.result_type, fetch.receiving_mx) == ("sts", "sts-policy-fetch-error", "")
    assert (session.policy_type, session.result_type) == ("no-policy-found", "starttls-not-supported")


def test_mta_sts_that_is_off(plain: Plain) -> None:
    plain.publish("enforce")
    sender = plain.sender(plain.mx())
    sender.policies.security = SecuritySettings(mta_sts=False)
    assert sender.to_mx("d.test").reply.code == 250
    assert plain.host.requests == []


@pytest.mark.parametrize(
    ("mode", "listed", "code"),
    [("enforce", "mx.d.test", 250), ("testing", "mx.d.test", 250), ("testing", "x.test", 550)],
)
def test_requiretls_takes_a_host_that_mta_sts_vouches_for(
    plain: Plain, mode: str, listed: str, code: int
) -> None:
    plain.publish(mode, listed)
    mx = plain.mx("mx.d.test", offers=("REQUIRETLS",))
    assert plain.sender(mx).to_mx("d.test", **REQUIRETLS).reply.code == code


def test_requiretls_waits_while_the_policy_cannot_be_had(plain: Plain) -> None:
    plain.publish("enforce")
    plain.host.answers.clear()
    reply = plain.sender(plain.mx("mx.d.test")).to_mx("d.test", **REQUIRETLS).reply
    assert (reply.code, reply.enhanced) == (450, "4.7.10")


def test_requiretls_takes_a_next_hop_that_was_configured(plain: Plain) -> None:
    mx = plain.mx("mx.d.test", offers=("REQUIRETLS",))
    hop = NextHop("127.0.0.1", mx.port, from_dns="mx.d.test")
    assert plain.sender(mx).to(hop, **REQUIRETLS).reply.code == 250


# -- opportunistic TLS


def test_a_handshake_that_fails_is_tried_without_and_not_again(plain: Plain) -> None:
    mx = plain.mx("mx.d.test", broken=True)
    sender = plain.sender(mx)
    assert sender.to_mx("d.test").reply.code == 250
    assert mx.sessions == 2
    assert "going on without TLS" in sender.log("handshake")
    (result,) = sender.results
    assert (result.policy_type, result.result_type) == ("no-policy-found", "validation-failure")
    assert sender.to_mx("d.test").reply.code == 250
    assert (mx.sessions, mx.count("STARTTLS")) == (3, 1)
    assert len(sender.results) == 1


@pytest.mark.parametrize(
    ("rules", "sts", "extra"),
    [
        (TlsRules(forced=HostList(("127.0.0.0/8",))), None, {}),
        (TlsRules(forced=HostList(("mx.d.test",))), None, {}),
        (TlsRules(forced=HostList(("d.test",))), None, {}),
        (None, "enforce", {}),
        (None, "enforce", REQUIRETLS),
    ],
)
def test_a_handshake_that_fails_where_tls_must_be(
    plain: Plain, rules: TlsRules | None, sts: str | None, extra: dict[str, object]
) -> None:
    if sts:
        plain.publish(sts)
    mx = plain.mx("mx.d.test", broken=True)
    outcome = plain.sender(mx, rules).to_mx("d.test", **extra)
    assert (outcome.reply.code, outcome.reply.enhanced) == (451, "4.7.5")
    assert (mx.messages, mx.sessions) == ([], 1)


FORCED = TlsRules(forced=HostList(("d.test",)))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((), "No TLS available but required by configuration."),
        (("x.test",), "Host failed TLS verification required by configuration."),
        (("mx.d.test",), ""),
    ],
)
def test_hosts_that_are_forced(plain: Plain, names: tuple[str, ...], text: str) -> None:
    mx = plain.mx(*names)
    reply = plain.sender(mx, FORCED).to_mx("d.test").reply
    assert (reply.code == 250, len(mx.messages)) == (not text, not text)
    assert text in str(reply)


def test_a_queue_file_may_force_it(plain: Plain) -> None:
    sender = plain.sender(plain.mx())
    mail = sender.mail("d.test")
    mail.todo.force_tls = True
    hop = NextHop("127.0.0.1", sender.port)
    for (forced,) in (list(sender.policies.for_mx(mail, [hop])), [sender.policies.for_chosen(mail, hop)]):
        assert forced.tls == "required"


def test_hosts_that_are_avoided(plain: Plain) -> None:
    plain.publish("enforce")
    mx = plain.mx("x.test")
    assert plain.sender(mx, TlsRules(avoided=HostList(("mx.d.test",)))).to_mx("d.test").reply.code == 250
    assert mx.secured == 0


@pytest.mark.parametrize(("names", "code"), [((), 250), (("mx.d.test",), 250), (("x.test",), 451)])
def test_reject_unauthorized_takes_no_certificate_that_proves_nothing(
    plain: Plain, names: tuple[str, ...], code: int
) -> None:
    mx = plain.mx(*names)
    assert plain.sender(mx, TlsRules(verify=True)).to_mx("d.test").reply.code == code
    assert mx.sessions == 1  # and above all it is not sent in clear instead


# -- hosts that were chosen


@pytest.mark.parametrize(("names", "code"), [(("mx.d.test",), 250), (("x.test",), 451)])
def test_tls_from_the_start(plain: Plain, names: tuple[str, ...], code: int) -> None:
    mx = plain.mx(*names, implicit=True)
    hop = replace(NextHop.parse(f"smtps://127.0.0.1:{mx.port}"), from_dns="mx.d.test")
    sender = plain.sender(mx)
    assert sender.to(hop).reply.code == code
    assert (mx.names, mx.count("STARTTLS")) == (["mx.d.test"], 0)
    assert sender.results == []


def test_tls_from_the_start_has_no_other_way(plain: Plain) -> None:
    mx = plain.mx("mx.d.test", implicit=True, broken=True)
    hop = NextHop("127.0.0.1", mx.port, implicit_tls=True)
    assert plain.sender(mx).to(hop).reply.enhanced == "4.7.5"
    assert mx.messages == []


def test_our_own_certificate_is_shown(plain: Plain) -> None:
    own = CA.issue_cert("relay.test")
    pem = own.private_key_pem.bytes() + own.cert_chain_pems[0].bytes()
    (pair,), problems = pair_up([read_pem("own.pem", pem)])
    assert not problems
    mx = plain.mx("mx.d.test")
    assert mx.context is not None
    mx.context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(mx.context)
    sender = plain.sender(mx)
    sender.policies.clients = TlsClients(TlsClient(ca=plain.ca, pair=pair))
    assert sender.to_mx("d.test").reply.code == 250
    assert mx.clients[0]["subjectAltName"] == (("DNS", "relay.test"),)


def test_connections_are_kept_apart_by_what_was_proved(plain: Plain) -> None:
    mx = plain.mx("mx.d.test")
    sender = plain.sender(mx)
    hmail = sender.mail("d.test")
    hop = NextHop("127.0.0.1", mx.port, from_dns="mx.d.test")
    easy = sender.policies.for_chosen(hmail, hop)
    hard = sender.policies.for_chosen(hmail, replace(hop, tls="required"))
    assert easy.pool_key == sender.policies.for_chosen(hmail, hop).pool_key
    assert easy.pool_key != hard.pool_key
    sender.policies.clients = TlsClients(TlsClient(ca=plain.ca))
    assert hard.pool_key != sender.policies.for_chosen(hmail, replace(hop, tls="required")).pool_key


def test_a_route_that_nobody_vouches_for(plain: Plain) -> None:
    sender = plain.sender(plain.mx())
    with pytest.raises(NoRoute, match="REQUIRETLS needs MX hosts"):
        list(sender.router.route(sender.mail("d.test", **REQUIRETLS)).hops)


@pytest.mark.parametrize("kind", ["tls-exporter", "tls-server-end-point", "tls-unique"])
def test_both_ends_agree_on_what_binds_a_login_to_the_session(kind: str, tmp_path: Path) -> None:
    """RFC 9266, RFC 5929."""
    site = Site(tmp_path)
    site.main(Authority().pair("mx.test"))
    server, client = site.server().layer(25), TlsClient().layer("mx.test")
    done = False
    while not done:
        done = client.handshake()
        server.feed(client.outgoing())
        server.handshake()
        client.feed(server.outgoing())
    assert client.channel_binding(kind) == server.channel_binding(kind)
    assert (client.channel_binding(kind) is None) is (kind == "tls-unique")
