"""Encryption of what comes in and what goes out: tls.ini."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import (
    FLAG,
    FLAG_OR_SAME,
    HOST_OR_NETWORK,
    HOSTS_OR_NETWORKS,
    LIST,
    NETWORK,
    PORT_LINES,
    TEXT,
    TLS_VERSION,
    whole,
)
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off


@record
class OutboundTlsSettings(Settings):
    """tls.ini [outbound]: encryption of what goes out."""

    FILE: ClassVar[str] = "tls.ini"

    key: tuple[str, ...] = setting("outbound", "key", LIST, (), "PEM file with the key of the certificate that every next hop is shown who asks for one; empty: that of [main], which is shown only if mutual_tls or [mutual_auth_hosts] says so. Only the first is used.")
    cert: tuple[str, ...] = setting("outbound", "cert", LIST, (), "PEM file with that certificate, followed by those of its issuers; empty: that of [main].")
    ca: str = setting("outbound", "ca", TEXT, "", "PEM file with the authorities whose certificates prove a host's name; empty: those of the system.")
    ciphers: str = setting("outbound", "ciphers", TEXT, "", "Ciphers of TLS 1.2 and before in the way of OpenSSL; empty: as in [main].")
    min_version: str = setting("outbound", "minVersion", TLS_VERSION, "", "Oldest version of TLS that is spoken; empty: as in [main].")
    reject_unauthorized: bool | None = setting("outbound", "rejectUnauthorized", FLAG_OR_SAME, None, "Where TLS is offered, send only if the certificate proves the host's name; empty: as in [main].")
    force_tls_hosts: tuple[str, ...] = setting("outbound", "force_tls_hosts", HOSTS_OR_NETWORKS, (), "Next hops that must have TLS with a certificate that proves their name, or the mail waits, one `force_tls_hosts[]=` each: addresses, networks, names of hosts, or domains of recipients. Those of [main] count too.")
    no_tls_hosts: tuple[str, ...] = setting("outbound", "no_tls_hosts", HOSTS_OR_NETWORKS, (), "Next hops that TLS is not tried with, because theirs is broken, one `no_tls_hosts[]=` each.")


@record
class TlsRedisSettings(Settings):
    """tls.ini [redis]: a memory, shared by servers, of peers whose TLS fails."""

    FILE: ClassVar[str] = "tls.ini"

    disable_for_failed_hosts: bool = setting("redis", "disable_for_failed_hosts", FLAG, False, "Remember in Redis, too, which hosts failed in the TLS handshake, so that it is not tried again; every server remembers for itself for an hour. Needs the package redis.")
    disable_expiry: int = setting("redis", "disable_expiry", whole(1), 604800, "Seconds that a next hop is remembered in Redis.")
    disable_inbound_expiry: int = setting("redis", "disable_inbound_expiry", whole(1), 3600, "Seconds that a client whose STARTTLS failed is not offered it again; only with disable_for_failed_hosts, and never on port 587.")
    host: str = setting("redis", "host", TEXT, "127.0.0.1", "Where Redis runs.")
    port: int = setting("redis", "port", whole(1, 65535), 6379, "Its port.")
    db: int = setting("redis", "db", whole(0), 0, "Its database.")


@record
class TlsSettings(Settings):
    """tls.ini: encryption of what comes in and what goes out."""

    FILE: ClassVar[str] = "tls.ini"
    REPEATED: ClassVar[str] = "main"  # [mail.example.com]: for clients that ask for that name
    ONCE: ClassVar[frozenset[str]] = frozenset({"requireAuthorized", "no_starttls_ports", "force_tls_hosts", "mutual_tls"})

    key: tuple[str, ...] = setting("main", "key", LIST, ("tls_key.pem",), "PEM files with private keys; several, or several lines `key[]=`, for an RSA and an ECDSA certificate. More of both may lie in the directory tls.")
    cert: tuple[str, ...] = setting("main", "cert", LIST, ("tls_cert.pem",), "PEM files with their certificates, each followed by those of its issuers.")
    dhparam: str = setting("main", "dhparam", TEXT, "dhparams.pem", "PEM file with DH parameters, for TLS 1.2 without elliptic curves; it need not be there.")
    ca: str = setting("main", "ca", TEXT, "", "PEM file with the authorities whose client certificates are believed; empty: those of the system.")
    ciphers: str = setting("main", "ciphers", TEXT, "", "Ciphers of TLS 1.2 and before in the way of OpenSSL; empty: its own choice.")
    min_version: str = setting("main", "minVersion", TLS_VERSION, "TLSv1.2", "Oldest version of TLS that is spoken.")
    honor_cipher_order: bool = setting("main", "honorCipherOrder", FLAG, True, "The order of our ciphers counts, not the client's.")
    request_cert: bool = setting("main", "requestCert", FLAG, True, "Ask clients for a certificate; whether it could be verified is told to plugins and in the log.")
    reject_unauthorized: bool = setting("main", "rejectUnauthorized", FLAG, False, "Refuse TLS with clients that have no certificate which can be verified.")
    require_authorized: tuple[int, ...] = setting("main", "requireAuthorized", PORT_LINES, (), "The same on these ports only, one `requireAuthorized[]=` each: a client there must have a certificate.")
    no_starttls_ports: tuple[int, ...] = setting("main", "no_starttls_ports", PORT_LINES, (), "Ports where STARTTLS is not offered, one `no_starttls_ports[]=` each.")
    force_tls_hosts: tuple[str, ...] = setting("main", "force_tls_hosts", HOSTS_OR_NETWORKS, (), "The same as `force_tls_hosts[]` of [outbound].")
    mutual_tls: bool = setting("main", "mutual_tls", FLAG, False, "Show our certificate, that of [outbound], to every next hop that asks for one; a `key` or `cert` in [outbound] does that without this.")
    no_tls_hosts: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("no_tls_hosts", "", TEXT, {}, "One address or network on each line: clients that are not offered STARTTLS, because theirs is broken.")})
    authorized_hosts: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata={"spec": Spec("authorized_hosts", "", LIST, {}, "One address or network on each line: clients that send mail only with a certificate that can be verified, and, when names follow, one for one of these names.", NETWORK)})
    authorized_hosts_exclude: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("authorized_hosts_exclude", "", TEXT, {}, "One address or network on each line: clients that never need a certificate, whatever else is said here.", NETWORK)})
    mutual_auth_hosts: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("mutual_auth_hosts", "", TEXT, {}, "One next hop on each line, by host name, address or network, and the name in the certificate that it is shown when it asks for one; no name: that of [outbound]. This counts without mutual_tls, too.", HOST_OR_NETWORK)})
    mutual_auth_hosts_exclude: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("mutual_auth_hosts_exclude", "", TEXT, {}, "One next hop on each line: those that are shown no certificate, unless [mutual_auth_hosts] names them.", HOST_OR_NETWORK)})
    outbound: OutboundTlsSettings = field(default_factory=OutboundTlsSettings, metadata={"group": OutboundTlsSettings})
    redis: TlsRedisSettings = field(default_factory=TlsRedisSettings, metadata={"group": TlsRedisSettings})
