"""Which certificate a client gets, what is made of files that are broken, old or new, and what tls.ini decides."""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from mta.net.certificates import pair_up, read_pem
from mta.net.tls_server import TlsServer
from mta.net.tls_server_layer import ServerTlsLayer
from tests.support.install import eventually
from tests.support.tls import ECDSA, RSA, Authority, Site, names, trusting
from tests.support.tls_layer import TlsLayer


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def connect(
    server: TlsServer,
    context: ssl.SSLContext,
    name: str | None = "mail.test",
    port: int = 25,
    session: ssl.SSLSession | None = None,
) -> tuple[TlsLayer, ServerTlsLayer]:
    """Both ends of a session, the handshake done, from memory to memory. Raises ssl.SSLError of either end."""
    there = server.layer(port)
    here = TlsLayer(context, server_side=False, server_hostname=name)
    if session is not None:
        here.session.session = session
    done = {"here": False, "there": False}
    for _ in range(10):
        done["here"] = done["here"] or here.handshake()
        there.feed(here.outgoing())
        done["there"] = done["there"] or there.handshake()
        here.feed(there.outgoing())
    assert all(done.values())
    here.feed(there.encrypt(b"220"))
    assert here.read(3) == b"220"  # the session tickets of TLS 1.3 come with it
    return here, there


def offered(server: TlsServer, authority: Authority, name: str) -> list[str]:
    """The names of the certificate that a client gets who asks for `name`."""
    here, _ = connect(server, trusting(authority), name)
    return list(names(here.session.getpeercert() or {}))


def unchecked(authority: Authority) -> ssl.SSLContext:
    """A context that believes in the authority, but looks at no name."""
    context = trusting(authority)
    context.check_hostname = False
    return context


# ---- files


def test_a_file_is_taken_apart_by_what_is_in_it(authority: Authority) -> None:
    key, chain = authority.pair("mail.test", kind=RSA)
    file = read_pem(
        "any", b"bag attributes\n" + chain + b"junk\n" + key + b"\n-----BEGIN X-----\nAA==\n-----END X-----\n"
    )
    assert (len(file.keys), len(file.certificates), file.problems) == (1, 2, ())


def test_the_pair_is_found_wherever_key_and_certificate_lie(authority: Authority) -> None:
    (one_key, one), (two_key, two) = authority.pair("one.test"), authority.pair("two.test")
    files = [read_pem("keys", two_key + one_key), read_pem("a", one), read_pem("b", two)]
    pairs, problems = pair_up(files)
    assert [(sorted(pair.names), pair.file, len(pair.chain)) for pair in pairs] == [
        (["one.test"], "a", 2),
        (["two.test"], "b", 2),
    ]
    assert problems == []


def test_the_chain_may_come_in_any_order_and_leaves_the_root_out(authority: Authority) -> None:
    key, chain = authority.pair("mail.test")
    blocks = [
        block + b"-----END CERTIFICATE-----\n" for block in chain.split(b"-----END CERTIFICATE-----\n")[:-1]
    ]
    root = authority.root.cert_pem.bytes()
    (pair,), _ = pair_up([read_pem("x", root + b"".join(reversed(blocks)) + key)])
    assert [each.public_bytes(Encoding.PEM) for each in pair.chain] == blocks


def test_what_cannot_be_used_is_named(authority: Authority) -> None:
    key, chain = authority.pair("mail.test")
    locked = load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    files = [
        read_pem("locked", locked),
        read_pem("broken", chain.replace(b"MII", b"XXX", 1)),
        read_pem("rotten", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        read_pem("lonely", key),
    ]
    pairs, problems = pair_up(files)
    assert pairs == []
    said = dict(problems)
    assert set(said) == {"locked", "broken", "rotten", "lonely"}
    assert "encrypted" in said["locked"] and "there is no certificate" in said["lonely"]


@pytest.mark.parametrize(
    ("file", "name"),
    [("_.example.com.pem", "*.example.com"), ("_.pem", "*"), ("_.Example.org.key", "*.example.org")],
)
def test_an_underscore_in_the_file_name_is_an_asterisk(authority: Authority, file: str, name: str) -> None:
    key, chain = authority.pair("other.test")
    (pair,), _ = pair_up([read_pem(f"/etc/x/{file}", chain + key)])
    assert pair.names == {"other.test", name.rstrip(".")}


# ---- which certificate


def test_without_files_there_is_no_tls_and_no_complaint(site: Site) -> None:
    server = site.server()
    assert not server.usable and site.lines == []
    with pytest.raises(OSError, match="no usable certificate"):
        server.layer(25)


def test_rsa_and_ecdsa_side_by_side(site: Site, authority: Authority) -> None:
    site.write("tls.ini", "key[]=rsa.key\nkey[]=ec.key\ncert[]=rsa.pem\ncert[]=ec.pem\n")
    for file, kind in (("rsa", RSA), ("ec", ECDSA)):
        key, chain = authority.pair("mail.test", kind=kind)
        site.write(f"{file}.key", key)
        site.write(f"{file}.pem", chain)
    server = site.server()
    for ciphers, algorithm in (("ECDHE+aRSA", "RSA"), ("ECDHE+aECDSA", "EC")):
        context = trusting(authority)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        here, _ = connect(server, context)
        certificate = x509.load_der_x509_certificate(here.session.getpeercert(True) or b"")
        assert algorithm in type(certificate.public_key()).__name__
    assert site.lines == []


def test_the_name_that_the_client_asks_for_decides(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test"))
    site.write("tls/any-name", b"".join(authority.pair("one.test", "www.one.test")))
    key, chain = authority.pair("*.wild.test")
    site.write("tls/deeper/certificate.crt", chain)
    site.write("tls/deeper/key.txt", key)
    server = site.server()
    assert offered(server, authority, "mail.test") == ["mail.test"]
    assert offered(server, authority, "www.one.test") == ["one.test", "www.one.test"]
    assert offered(server, authority, "A.Wild.Test") == ["*.wild.test"]
    for stranger in ("wild.test", "a.b.wild.test", "unknown.test", None):
        here, _ = connect(server, unchecked(authority), stranger)
        assert names(here.session.getpeercert() or {}) == ["mail.test"], stranger


@pytest.mark.parametrize(("me", "name"), [("b.test", "b.test"), ("else.test", "a.test")])
def test_without_tls_ini_the_directory_has_the_default(
    site: Site, authority: Authority, me: str, name: str
) -> None:
    site.write("me", me)
    for each in ("a", "b", "c"):
        site.write(f"tls/{each}.pem", b"".join(authority.pair(f"{each}.test")))
    here, _ = connect(site.server(), unchecked(authority), None)
    assert names(here.session.getpeercert() or {}) == [name]


def test_the_file_for_everybody_is_the_default(site: Site, authority: Authority) -> None:
    site.write("tls/a.pem", b"".join(authority.pair("a.test")))
    site.write("tls/_.pem", b"".join(authority.pair("z.test")))
    here, _ = connect(site.server(), unchecked(authority), None)
    assert names(here.session.getpeercert() or {}) == ["z.test"]


def test_an_expired_certificate_is_named_and_used_only_when_there_is_no_other(
    site: Site, authority: Authority
) -> None:
    site.main(authority.pair("mail.test", days=-3))
    assert site.server().usable
    date = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}"
    (line,) = site.lines
    assert line.startswith("[ERROR] [-] [tls] ")
    assert f"tls_cert.pem: the certificate for mail.test expired on {date}" in line
    site.write("tls/new.pem", b"".join(authority.pair("mail.test", days=30)))
    assert offered(site.server(), authority, "mail.test") == [
        "mail.test"
    ]  # it verifies, so it is the new one


def test_of_two_certificates_the_one_that_lasts_longer_is_used(site: Site, authority: Authority) -> None:
    for days in (20, 40, 30):
        site.write(f"tls/{days}.pem", b"".join(authority.pair("mail.test", days=days)))
    here, _ = connect(site.server(), trusting(authority))
    end = ssl.cert_time_to_seconds(str((here.session.getpeercert() or {})["notAfter"]))
    assert 39 < (end - datetime.now(UTC).timestamp()) / 86400 < 41


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("key=no.pem\n", "tls.ini:1: [main] key: there is no file no.pem"),
        ("dhparam=no.pem\n", "tls.ini:1: [main] dhparam: there is no file no.pem"),
        ("ca=../../x\n", "tls.ini:1: [main] ca: config name '../../x' escapes"),
        ("ciphers=NOTHING\n", "ciphers=NOTHING: "),
        ("dhparam=tls_key.pem\n", "dhparam=tls_key.pem: "),
    ],
)
def test_mistakes_in_tls_ini_are_named(site: Site, authority: Authority, ini: str, said: str) -> None:
    site.main(authority.pair("mail.test"))
    site.write("tls.ini", ini)
    site.server()
    assert any(said in line for line in site.lines), site.lines


def test_a_key_that_openssl_finds_too_weak_is_named(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test", kind=RSA))
    site.write("tls.ini", "ciphers=DEFAULT:@SECLEVEL=4\n")
    assert not site.server().usable
    assert any("tls_cert.pem: " in line and "too small" in line for line in site.lines), site.lines


# ---- tls.ini


@pytest.mark.parametrize(
    ("newest", "patient"), [(ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)]
)
def test_only_tickets_wait_for_what_is_said_next(
    site: Site, authority: Authority, newest: ssl.TLSVersion, patient: bool
) -> None:
    """A client needs the last flight of TLS 1.2 before it says anything."""
    site.main(authority.pair("mail.test"))
    there = site.server().layer(25)
    context = trusting(authority)
    context.maximum_version = newest
    here = TlsLayer(context, server_side=False, server_hostname="mail.test")
    assert not here.handshake()
    there.feed(here.outgoing())
    while not there.handshake():
        here.feed(there.outgoing())
        client_done = here.handshake()
        there.feed(here.outgoing())
    assert client_done is there.patient is patient
    here.feed(there.encrypt(b"220"))  # the tickets, or the last flight, come with it
    assert here.handshake()
    assert here.read(3) == b"220"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("ini", "newest", "works"),
    [
        ("", ssl.TLSVersion.TLSv1_2, True),
        ("minVersion=TLSv1.3", ssl.TLSVersion.TLSv1_2, False),
        ("minVersion=TLSv1.3", ssl.TLSVersion.TLSv1_3, True),
        ("", ssl.TLSVersion.TLSv1_1, False),
        ("minVersion=tlsv1.1", ssl.TLSVersion.TLSv1_1, True),
    ],
)
def test_min_version(site: Site, authority: Authority, ini: str, newest: ssl.TLSVersion, works: bool) -> None:
    site.main(authority.pair("mail.test"))
    site.write("tls.ini", ini)
    context = trusting()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = newest
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    server = site.server()
    if works:
        _, there = connect(server, context)
        assert there.version == newest.name.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError):
            connect(server, context)


@pytest.mark.parametrize(
    ("honor", "cipher"),
    [("true", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("false", "ECDHE-ECDSA-AES128-GCM-SHA256")],
)
def test_ciphers_and_whose_order_counts(site: Site, authority: Authority, honor: str, cipher: str) -> None:
    site.main(authority.pair("mail.test"))
    ours = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    site.write("tls.ini", f"ciphers={ours}\nhonorCipherOrder={honor}\n")
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(reversed(ours.split(":"))))
    _, there = connect(site.server(), context)
    assert there.cipher == cipher


def test_dh_parameters(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test", kind=RSA))
    site.write("dhparams.pem", FFDHE2048)
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DHE+aRSA")
    site.write("tls.ini", "ciphers=DHE+aRSA\n")
    _, there = connect(site.server(), context)
    assert there.cipher.startswith("DHE-RSA-")


# ---- the client's certificate


def ask(
    server: TlsServer, authority: Authority | None, client: trustme.LeafCert | None, port: int = 25
) -> bool:
    return server.verified(connect(server, trusting(authority, client), port=port)[1])


def test_a_client_is_asked_and_not_made_to(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test"))
    site.write("ca.pem", authority.root.cert_pem.bytes())
    site.write("tls.ini", "ca=ca.pem\n")
    server = site.server()
    assert ask(server, authority, authority.client())
    assert not ask(server, authority, None)
    stranger = Authority().client()
    _, there = connect(server, trusting(authority, stranger))
    assert not server.verified(there)
    assert there.peer_certificate is not None and "issuer" in there.verdict.reason
    site.write("tls.ini", "ca=ca.pem\nrequestCert=false\n")
    _, there = connect(site.server(), trusting(authority, authority.client()))
    assert there.peer_certificate is None


@pytest.mark.parametrize(
    "ini", ["rejectUnauthorized=true\n", "requireAuthorized[]=465\nrequireAuthorized[]=25\n"]
)
def test_clients_may_be_made_to(site: Site, authority: Authority, ini: str) -> None:
    site.main(authority.pair("mail.test"))
    site.write("ca.pem", authority.root.cert_pem.bytes())
    site.write("tls.ini", f"ca=ca.pem\n{ini}")
    server = site.server()
    assert ask(server, authority, authority.client())
    for client in (None, Authority().client()):
        with pytest.raises(ssl.SSLError):
            ask(server, authority, client)
    if "requireAuthorized" in ini:
        assert not ask(server, authority, None, port=587)


def test_the_authorities_of_the_system_are_believed_without_ca(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test"))
    _, there = connect(site.server(), trusting(authority, authority.client()))
    assert there.verdict.error and there.verdict.asked


def system_believes(authority: Authority, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("system.pem", authority.root.cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(site.directory / "none"))
    monkeypatch.setenv("SSL_CERT_FILE", str(site.install.config.directory / "system.pem"))


@pytest.mark.parametrize(
    "ini", ["rejectUnauthorized=true\n", "requireAuthorized[]=25\n", "requestCert=true\n"]
)
def test_authorities_that_are_missing_are_not_replaced_by_those_of_the_system(
    site: Site, authority: Authority, monkeypatch: pytest.MonkeyPatch, ini: str
) -> None:
    system_believes(authority, site, monkeypatch)
    site.main(authority.pair("mail.test"))
    site.write("tls.ini", ini)
    assert ask(site.server(), authority, authority.client()), "so that the test can fail"
    site.write("tls.ini", f"{ini}ca=missing.pem\n")
    server = site.server()
    (line,) = site.lines
    assert (
        "[ERROR]" in line and "tls.ini:2: [main] ca: there is no file missing.pem: no client is auth" in line
    )
    if "requestCert" in ini:
        assert not ask(server, authority, authority.client())
        return
    with pytest.raises(ssl.SSLError):
        ask(server, authority, authority.client())


def test_authorities_that_go_away_and_come_back(site: Site, authority: Authority) -> None:
    other = Authority()
    site.main(authority.pair("mail.test"))
    path = site.write("ca.pem", authority.root.cert_pem.bytes())
    site.write("tls.ini", "ca=ca.pem\n")
    server = site.server()
    site.install.config.watch()
    try:
        path.unlink()
        assert eventually(lambda: any("goes on as it was" in line for line in site.lines))
        assert ask(server, authority, authority.client())
        site.write("ca.pem", other.root.cert_pem.bytes())
        assert eventually(lambda: any("certificates read again" in line for line in site.lines))
        assert ask(server, authority, other.client())
        assert not ask(server, authority, authority.client())
    finally:
        site.install.config.close()


def test_authorities_that_are_none(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test"))
    site.write("ca.pem", "nonsense")
    site.write("tls.ini", "ca=ca.pem\nrequestCert=false\nrequireAuthorized[]=465\n")
    assert not site.server().usable
    assert any("tls.ini: ca=ca.pem: " in line for line in site.lines)


# ---- sessions


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["mail.test", "other.test"])
def test_a_session_is_resumed(site: Site, authority: Authority, newest: ssl.TLSVersion, name: str) -> None:
    site.main(authority.pair("mail.test"))
    site.write("tls/other.pem", b"".join(authority.pair("other.test")))
    site.write("ca.pem", authority.root.cert_pem.bytes())
    site.write("tls.ini", "ca=ca.pem\n")
    server, context = site.server(), trusting(authority, authority.client())
    context.maximum_version = newest
    here, there = connect(server, context, name)
    assert server.verified(there)
    again, there = connect(server, context, name, session=here.session.session)
    assert again.session.session_reused
    assert server.verified(there), "the certificate that the session began with was verified"


def test_a_session_with_a_bad_certificate_stays_unverified(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test"))
    site.write("ca.pem", authority.root.cert_pem.bytes())
    site.write("tls.ini", "ca=ca.pem\nrequireAuthorized[]=465\n")
    server, context = site.server(), trusting(authority, Authority().client())
    here, there = connect(server, context)
    assert not server.verified(there)
    again, there = connect(server, context, session=here.session.session)
    assert again.session.session_reused and there.peer_certificate is not None
    assert not server.verified(there)
    with pytest.raises(ssl.SSLError):  # nor does it open the port where a certificate is needed
        connect(server, context, port=465, session=here.session.session)


def test_channel_binding(site: Site, authority: Authority) -> None:
    key, chain = authority.pair("mail.test")
    site.main((key, chain))
    server, context = site.server(), trusting(authority)
    here, there = connect(server, context)
    digest = hashlib.sha256(here.session.getpeercert(True) or b"").digest()
    assert there.channel_binding("tls-server-end-point") == digest
    assert len(there.channel_binding("tls-exporter") or b"") == 32
    assert there.channel_binding("tls-unique") is None
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert connect(server, context)[1].channel_binding("tls-exporter") is None


# ---- sections for one server name


def of_site(site: Site, authority: Authority, ini: str) -> TlsServer:
    """A server with a certificate of its own for other.test, and whatever tls.ini says."""
    site.main(authority.pair("mail.test"))
    site.write("tls/other.pem", b"".join(authority.pair("other.test")))
    site.write("ca.pem", authority.root.cert_pem.bytes())
    site.write("tls.ini", f"ca=ca.pem\n{ini}")
    return site.server()


@pytest.mark.parametrize(
    ("ini", "welcome"),
    [
        ("[other.test]\nminVersion=TLSv1.3\n", {"mail.test", None}),
        ("minVersion=TLSv1.3\n[Other.Test]\nminVersion=TLSv1.2\n", {"other.test"}),
        ("minVersion=TLSv1.3\n[new.test]\nciphers=DEFAULT\n", set()),
    ],
)
def test_the_oldest_version_for_one_name(
    site: Site, authority: Authority, ini: str, welcome: set[str | None]
) -> None:
    server = of_site(site, authority, ini)
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for name in ("mail.test", "other.test", "new.test", None):
        if name in welcome or (name == "new.test" and "mail.test" in welcome):
            connect(server, context, name)
        else:
            with pytest.raises(ssl.SSLError):
                connect(server, context, name)


@pytest.mark.parametrize("main", ["true", "false"])
def test_ciphers_and_their_order_for_one_name(site: Site, authority: Authority, main: str) -> None:
    ours = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256"
    other = "false" if main == "true" else "true"
    server = of_site(
        site,
        authority,
        f"ciphers={ours}\nhonorCipherOrder={main}\n[other.test]\nhonorCipherOrder={other}\n"
        "[new.test]\nciphers=ECDHE-ECDSA-CHACHA20-POLY1305\n",
    )
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join([*reversed(ours.split(":")), "ECDHE-ECDSA-CHACHA20-POLY1305"]))
    first, last = ours.split(":")
    for name in ("mail.test", None):
        assert connect(server, context, name)[1].cipher == (first if main == "true" else last)
    assert connect(server, context, "other.test")[1].cipher == (last if main == "true" else first)
    assert connect(server, context, "new.test")[1].cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_for_one_name(site: Site, authority: Authority, newest: ssl.TLSVersion) -> None:
    server = of_site(
        site,
        authority,
        "requestCert=false\n[other.test]\nrejectUnauthorized=true\n[new.test]\nrequestCert=true\n",
    )
    anybody, known = trusting(), trusting(authority, authority.client())
    known.check_hostname = False
    for context in (anybody, known):
        context.maximum_version = newest
    assert server.verified(connect(server, known, "other.test")[1])
    assert server.verified(connect(server, known, "new.test")[1])
    here, there = connect(server, anybody)
    assert not server.verified(there)
    with pytest.raises(OSError):
        server.verified(connect(server, anybody, "other.test")[1])
    # A session for a name where nobody is asked opens no other.
    _, there = connect(server, anybody, "other.test", session=here.session.session)
    if newest == ssl.TLSVersion.TLSv1_2:
        assert there.server_name == "mail.test", "it stays what it was"
    else:
        with pytest.raises(OSError, match="no certificate"):
            server.verified(there)


def test_authorities_for_one_name_count_there_only(site: Site, authority: Authority) -> None:
    theirs = Authority()
    site.write("theirs.pem", theirs.root.cert_pem.bytes())
    server = of_site(site, authority, "[other.test]\nca=theirs.pem\n")
    context = trusting(None, theirs.client())
    here, there = connect(server, context, "other.test")
    assert server.verified(there)
    assert not server.verified(connect(server, context, "mail.test")[1])
    _, there = connect(server, context, "mail.test", session=here.session.session)
    assert not server.verified(there), "what other.test believes does not count here"


def test_a_certificate_for_one_name_from_its_section(site: Site, authority: Authority) -> None:
    site.write("own.pem", b"".join(authority.pair("own.test", "unnamed.test")))
    server = of_site(site, authority, "[own.test]\nkey=own.pem\ncert=own.pem\n")
    assert site.lines == []
    assert offered(server, authority, "own.test") == ["own.test", "unnamed.test"]
    assert offered(server, authority, "mail.test") == ["mail.test"]


def test_wildcards_of_sections_and_of_certificates(site: Site, authority: Authority) -> None:
    site.write("tls/wild.pem", b"".join(authority.pair("*.wild.test")))
    site.write("tls/one.pem", b"".join(authority.pair("one.sect.test")))
    server = of_site(
        site, authority, "[a.wild.test]\nminVersion=TLSv1.3\n[*.sect.test]\nminVersion=TLSv1.3\n"
    )
    assert offered(server, authority, "a.wild.test") == ["*.wild.test"]
    assert offered(server, authority, "one.sect.test") == ["one.sect.test"]
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connect(server, context, "b.wild.test")
    for name in ("a.wild.test", "one.sect.test", "two.sect.test"):
        with pytest.raises(ssl.SSLError):
            connect(server, context, name)


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("[other.test]\nciphers=nonsense\n", "[other.test]: ciphers=nonsense"),
        ("[other.test]\nca=missing.pem\n", "there is no file missing.pem"),
    ],
)
def test_a_section_that_cannot_be_used_is_told(site: Site, authority: Authority, ini: str, said: str) -> None:
    server = of_site(site, authority, ini)
    assert said in "".join(site.lines)
    assert server.usable is ("missing" in ini)


def test_a_section_is_followed(site: Site, authority: Authority) -> None:
    server = of_site(site, authority, "")
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connect(server, context, "other.test")
    site.install.config.watch()
    try:
        site.write("tls.ini", "ca=ca.pem\n[other.test]\nminVersion=TLSv1.3\n")
        assert eventually(lambda: "certificates read again" in str(site.lines))
        with pytest.raises(ssl.SSLError):
            connect(server, context, "other.test")
        connect(server, context, "mail.test")
    finally:
        site.install.config.close()


# ---- clients by their address


def test_some_hosts_need_a_certificate_and_some_never(site: Site, authority: Authority) -> None:
    server = of_site(
        site,
        authority,
        "requireAuthorized[]=465\n[authorized_hosts]\n192.0.2.0/24=Client.test, two.test\n198.51.100.7\n"
        "[authorized_hosts_exclude]\n192.0.2.9\n2001:db8::/32\n",
    )

    def demands(ip: str, port: int = 25) -> bool:
        return server.layer(port, ip).verdict.choice.insists

    assert demands("192.0.2.7") and demands("198.51.100.7") and demands("203.0.113.1", 465)
    assert not demands("192.0.2.9") and not demands("203.0.113.1") and not demands("2001:db8::1", 465)
    _, there = connect(server, trusting(authority, authority.client("two.test")))
    assert server.fits(there, "192.0.2.7") and server.fits(there, "203.0.113.1")
    _, there = connect(server, trusting(authority, authority.client("three.test")))
    assert not server.fits(there, "192.0.2.7") and server.fits(there, "198.51.100.7")
    assert server.fits(there, "192.0.2.9")


# ---- while the server runs


def test_new_files_are_used_without_a_restart(site: Site, authority: Authority) -> None:
    site.main(authority.pair("mail.test"))
    server = site.server()
    site.install.config.watch()
    try:
        site.main(authority.pair("mail.test", "renewed.test"))
        assert eventually(lambda: offered(server, authority, "mail.test") == ["mail.test", "renewed.test"])
        site.write("tls/new.pem", b"".join(authority.pair("new.test")))
        assert eventually(lambda: "new.test" in str(site.lines))
        assert offered(server, authority, "new.test") == ["new.test"]
        site.write("tls_cert.pem", b"half a")
        site.write("tls/new.pem", b"")
        assert eventually(lambda: "no usable certificate any more" in str(site.lines))
        assert offered(server, authority, "new.test") == ["new.test"]
    finally:
        site.install.config.close()


def test_a_file_elsewhere_and_another_name_in_tls_ini(
    site: Site, authority: Authority, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    both = elsewhere / "both.pem"
    both.write_bytes(b"".join(authority.pair("one.test")))
    site.write("tls.ini", f"key={both}\ncert={both}\n")
    server = site.server()
    assert offered(server, authority, "one.test") == ["one.test"]
    site.install.config.watch()
    try:
        both.write_bytes(b"".join(authority.pair("two.test", "one.test")))
        assert eventually(lambda: "two.test" in offered(server, authority, "one.test"))
        site.write("three.pem", b"".join(authority.pair("three.test")))
        site.write("tls.ini", "key=three.pem\ncert=three.pem\n")
        assert eventually(lambda: "three.test" in str(site.lines))
        assert offered(server, authority, "three.test") == ["three.test"]
    finally:
        site.install.config.close()


# RFC 7919 appendix A.1
FFDHE2048 = b"""-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
