"""Every setting and its default, written once: one field is one line of an ini file.

The files in etc/ and the tables in docs/CoreConfig.md say the same; a test holds the three together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from mta.config.bounce_rules import BOUNCE_RULE
from mta.config.kinds import (
    ADDRESS,
    CLIENT_MECHANISMS,
    DOMAINS,
    FLAG,
    FLAG_OR_SAME,
    HOSTS,
    HOSTS_OR_NETWORKS,
    INTERVALS,
    IP_ADDRESS,
    LEVEL,
    LINES,
    LIST,
    MECHANISMS,
    NETWORK,
    NETWORKS,
    PASSWORD_MECHANISMS,
    PATTERN,
    PORT_LINES,
    PORTS,
    RATE,
    SECONDS,
    SECRET,
    SENDERS,
    SOURCES,
    SPAN,
    TEXT,
    TLS_VERSION,
    WORKERS,
    choice,
    whole,
)
from mta.config.passwords import PASSWORD, StoredPassword
from mta.config.rate import Rate
from mta.config.routes import ROUTE, Route
from mta.config.sources import Source
from mta.config.spec import LinesFile, Settings, Spec, ValueFile, setting

# A field is one line of a file and is read best as one line here.
# fmt: off


@dataclass(frozen=True, slots=True)
class SmtpSettings(Settings):
    """smtp.ini: the server itself."""

    FILE: ClassVar[str] = "smtp.ini"

    listen: tuple[str, ...] = setting("main", "listen", LIST, ("[::0]:25",), "Addresses to listen on: a port, host:port, [IPv6]:port or the path of a unix socket.")
    listen_host: str = setting("main", "listen_host", TEXT, "[::0]", "Host that goes with `port`; older spelling of `listen`.")
    port: int = setting("main", "port", whole(0, 65535), 0, "When not 0, listen_host:port is listened on too; older spelling of `listen`.")
    nodes: int = setting("main", "nodes", WORKERS, 0, "Worker processes under a master that replaces those that die; `cpus`: one for each processor. 0: one process without a master. Read at start.")
    smtps_port: tuple[int, ...] = setting("main", "smtps_port", PORTS, (465,), "Ports of `listen` where TLS begins at once, before the greeting.")
    inactivity_timeout: int = setting("main", "inactivity_timeout", whole(1), 300, "Seconds that a client may be silent, or take for one command line, before its session ends with 421.")
    public_ip: str = setting("main", "public_ip", TEXT, "", "Address that this server has on the Internet, for plugins, where the machine itself has another one.")
    graceful_shutdown: bool = setting("main", "graceful_shutdown", FLAG, False, "On SIGINT too, let messages that are coming in finish first (SIGTERM always does).")
    force_shutdown_timeout: int = setting("main", "force_shutdown_timeout", whole(0), 30, "Seconds that a graceful stop may take.")
    plugin_timeout_action: str = setting("main", "plugin_timeout_action", choice("defer", "continue"), "defer", "A plugin that does not answer in time: `defer` tells the client to try later, `continue` asks the next plugin.")
    ignore_bad_plugins: bool = setting("main", "ignore_bad_plugins", FLAG, False, "Start without the plugins that cannot be loaded, instead of not starting.")

    def finish(self, given: frozenset[str]) -> Self:
        """Put the older listen_host and port in front of `listen`, or in place of its default."""
        if not self.port:
            return self
        others = self.listen if "listen" in given else ()
        return replace(self, listen=(f"{self.listen_host}:{self.port}", *others))


@dataclass(frozen=True, slots=True)
class ExtensionSettings(Settings):
    """connection.ini [extensions]: what is offered in the reply to EHLO."""

    FILE: ClassVar[str] = "connection.ini"

    pipelining: bool = setting("extensions", "pipelining", FLAG, True, "Offer PIPELINING (RFC 2920), commands sent without waiting for replies.")
    chunking: bool = setting("extensions", "chunking", FLAG, True, "Offer CHUNKING (RFC 3030), the message in chunks by BDAT.")
    binarymime: bool = setting("extensions", "binarymime", FLAG, True, "Offer BINARYMIME (RFC 3030); parts that are not lines are stored as base64. Needs `chunking`.")
    dsn: bool = setting("extensions", "dsn", FLAG, True, "Offer DSN (RFC 3461): RET, ENVID, NOTIFY and ORCPT are kept with the mail.")
    requiretls: bool = setting("extensions", "requiretls", FLAG, True, "Offer REQUIRETLS (RFC 8689) inside TLS: the mail leaves by TLS with a valid certificate only.")
    deliverby: bool = setting("extensions", "deliverby", FLAG, True, "Offer DELIVERBY (RFC 2852): BY is kept with the mail.")
    futurerelease: bool = setting("extensions", "futurerelease", FLAG, True, "Offer FUTURERELEASE (RFC 4865) to clients that may relay and on ports 587 and 465: the mail waits in the queue.")
    futurerelease_max: int = setting("extensions", "futurerelease_max", whole(1, 999999999), 2592000, "Seconds that a mail may be held.")
    mt_priority: bool = setting("extensions", "mt_priority", FLAG, True, "Offer MT-PRIORITY (RFC 6710): the priority is kept with the mail; only clients that may relay can raise it.")
    limits: bool = setting("extensions", "limits", FLAG, True, "Offer LIMITS (RFC 9422) with the limits on recipients and messages.")
    etrn: bool = setting("extensions", "etrn", FLAG, True, "Offer ETRN (RFC 1985), which is answered with 459 or 458: mail leaves when it is due.")
    vrfy: bool = setting("extensions", "vrfy", FLAG, True, "Offer VRFY, which is answered with 252 unless a plugin knows better.")
    help: bool = setting("extensions", "help", FLAG, True, "Offer HELP, which lists the commands.")


@dataclass(frozen=True, slots=True)
class ConnectionSettings(Settings):
    """connection.ini: what a client may do, and what it is told."""

    FILE: ClassVar[str] = "connection.ini"

    spool_dir: str = setting("main", "spool_dir", TEXT, "/tmp", "Directory for messages that are too large to be kept in memory while they come in.")
    spool_after: int = setting("main", "spool_after", whole(-1), -1, "Bytes after which a message goes to spool_dir: -1 never, 0 always.")
    strict_rfc1869: bool = setting("main", "strict_rfc1869", FLAG, False, "Refuse a blank after `MAIL FROM:` or `RCPT TO:` and addresses without angle brackets.")
    smtputf8: bool = setting("main", "smtputf8", FLAG, True, "Offer SMTPUTF8 (RFC 6531), addresses outside ASCII.")
    bare_newline: str = setting("main", "bare_newline", choice("reject", "repair"), "reject", "A CR or LF that stands alone: `reject` refuses the message, `repair` makes it CRLF. Only CRLF.CRLF ends a message either way.")
    min_data_rate: int = setting("main", "min_data_rate", whole(0), 100, "Bytes a second that a message comes in at, counted after the first inactivity_timeout seconds: who is slower gets 421; 0: no limit.")
    add_received: bool = setting("headers", "add_received", FLAG, True, "Add a Received field to each message.")
    clean_auth_results: bool = setting("headers", "clean_auth_results", FLAG, True, "Rename the Authentication-Results that a message comes with to Original-Authentication-Results, so that nobody takes them for ours.")
    show_version: bool = setting("headers", "show_version", FLAG, True, "Name the release in the greeting and in Received fields.")
    max_header_lines: int = setting("headers", "max_lines", whole(1), 1000, "Header lines that a message may have.")
    max_received: int = setting("headers", "max_received", whole(1), 100, "Received fields that a message may arrive with; more is taken for a loop.")
    max_bytes: int = setting("max", "bytes", whole(0), 26214400, "Size of a message in bytes, offered as SIZE; 0 is no limit.")
    data_line_length: int = setting("max", "data_line_length", whole(0, 1048576), 992, "Bytes in a line of a message with its CRLF; a longer one is folded: it goes on, behind a blank, on the next line. 0: lines stay as they are.")
    max_mime_parts: int = setting("max", "mime_parts", whole(1), 1000, "MIME parts that a message may have, counted when a plugin looks at its body.")
    max_line_length: int = setting("max", "line_length", whole(64, 65536), 512, "Bytes in a command line with its CRLF; after EHLO the parameters of MAIL and RCPT may add 1024.")
    max_connections: int = setting("max", "connections", whole(0), 20000, "Clients connected at the same time; the next one reads 421. 0: as many as there are file descriptors for.")
    max_connections_per_ip: int = setting("max", "connections_per_ip", whole(0), 0, "Clients connected at the same time from one address (IPv6: one /64 network); 0: no limit. Behind a load balancer of [haproxy] it is the client's own address that counts.")
    max_session_seconds: int = setting("max", "session_seconds", whole(1), 86400, "Seconds that a session may last, busy or idle.")
    max_commands: int = setting("max", "commands", whole(0), 1000000, "Commands in a session; 0: no limit.")
    max_errors: int = setting("max", "errors", whole(0), 20, "Commands in a session that are wrong, out of order or unknown; one more ends it with 421. 0: no limit.")
    max_unrecognized: int = setting("max", "unrecognized_commands", whole(0), 10, "Commands in a session that nobody knows; one more ends it with 421. 0: no limit.")
    max_recipients: int = setting("max", "recipients", whole(100, 999999), 10000, "Recipients that a message may have, offered as RCPTMAX; more get 452.")
    max_messages: int = setting("max", "messages", whole(0, 999999), 0, "Messages in one session, offered as MAILMAX; after them MAIL is answered with 421. 0 is no limit.")
    greeting: tuple[str, ...] = setting("message", "greeting", LINES, (), "Text of the 220 greeting, one `greeting[]=` for each line; unset, the server names itself.")
    helo: str = setting("message", "helo", TEXT, "Haraka is at your service.", "End of the reply to HELO and EHLO.")
    close: str = setting("message", "close", TEXT, "closing connection. Have a jolly good day.", "Reply to QUIT.")
    banner_chars: int = setting("uuid", "banner_chars", whole(0, 40), 6, "Characters of the session's uuid shown in the greeting.")
    deny_chars: int = setting("uuid", "deny_chars", whole(0, 40), 0, "Characters of the session's uuid put in front of replies that refuse.")
    haproxy_hosts: tuple[str, ...] = setting("haproxy", "hosts", NETWORKS, (), "Load balancers, one `hosts[]=` for each address or network: they get no banner until they have said, with the PROXY protocol (version 1 or 2), who their client is.")
    extensions: ExtensionSettings = field(default_factory=ExtensionSettings, metadata={"group": ExtensionSettings})


@dataclass(frozen=True, slots=True)
class OutboundTlsSettings(Settings):
    """tls.ini [outbound]: encryption of what goes out."""

    FILE: ClassVar[str] = "tls.ini"

    key: tuple[str, ...] = setting("outbound", "key", LIST, (), "PEM file with the key of the certificate that hosts are shown who ask for one; empty: that of [main]. Only the first is used.")
    cert: tuple[str, ...] = setting("outbound", "cert", LIST, (), "PEM file with that certificate, followed by those of its issuers; empty: that of [main].")
    ca: str = setting("outbound", "ca", TEXT, "", "PEM file with the authorities whose certificates prove a host's name; empty: those of the system.")
    ciphers: str = setting("outbound", "ciphers", TEXT, "", "Ciphers of TLS 1.2 and before in the way of OpenSSL; empty: as in [main].")
    min_version: str = setting("outbound", "minVersion", TLS_VERSION, "", "Oldest version of TLS that is spoken; empty: as in [main].")
    reject_unauthorized: bool | None = setting("outbound", "rejectUnauthorized", FLAG_OR_SAME, None, "Where TLS is offered, send only if the certificate proves the host's name; empty: as in [main].")
    force_tls_hosts: tuple[str, ...] = setting("outbound", "force_tls_hosts", HOSTS_OR_NETWORKS, (), "Next hops that must have TLS with a certificate that proves their name, or the mail waits, one `force_tls_hosts[]=` each: addresses, networks, names of hosts, or domains of recipients. Those of [main] count too.")
    no_tls_hosts: tuple[str, ...] = setting("outbound", "no_tls_hosts", HOSTS_OR_NETWORKS, (), "Next hops that TLS is not tried with, because theirs is broken, one `no_tls_hosts[]=` each.")


@dataclass(frozen=True, slots=True)
class TlsRedisSettings(Settings):
    """tls.ini [redis]: a memory, shared by servers, of peers whose TLS fails."""

    FILE: ClassVar[str] = "tls.ini"

    disable_for_failed_hosts: bool = setting("redis", "disable_for_failed_hosts", FLAG, False, "Remember in Redis, too, which hosts failed in the TLS handshake, so that it is not tried again; every server remembers for itself for an hour. Needs the package redis.")
    disable_expiry: int = setting("redis", "disable_expiry", whole(1), 604800, "Seconds that a next hop is remembered in Redis.")
    disable_inbound_expiry: int = setting("redis", "disable_inbound_expiry", whole(1), 3600, "Seconds that a client whose STARTTLS failed is not offered it again; only with disable_for_failed_hosts, and never on port 587.")
    host: str = setting("redis", "host", TEXT, "127.0.0.1", "Where Redis runs.")
    port: int = setting("redis", "port", whole(1, 65535), 6379, "Its port.")
    db: int = setting("redis", "db", whole(0), 0, "Its database.")


@dataclass(frozen=True, slots=True)
class TlsSettings(Settings):
    """tls.ini: encryption of what comes in and what goes out."""

    FILE: ClassVar[str] = "tls.ini"
    REPEATED: ClassVar[str] = "main"  # [mail.example.com]: for clients that ask for that name
    ONCE: ClassVar[frozenset[str]] = frozenset({"requireAuthorized", "no_starttls_ports", "force_tls_hosts"})

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
    no_tls_hosts: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("no_tls_hosts", "", TEXT, {}, "One address or network on each line: clients that are not offered STARTTLS, because theirs is broken.")})
    authorized_hosts: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata={"spec": Spec("authorized_hosts", "", LIST, {}, "One address or network on each line: clients that send mail only with a certificate that can be verified, and, when names follow, one for one of these names.", NETWORK)})
    authorized_hosts_exclude: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("authorized_hosts_exclude", "", TEXT, {}, "One address or network on each line: clients that never need a certificate, whatever else is said here.", NETWORK)})
    outbound: OutboundTlsSettings = field(default_factory=OutboundTlsSettings, metadata={"group": OutboundTlsSettings})
    redis: TlsRedisSettings = field(default_factory=TlsRedisSettings, metadata={"group": TlsRedisSettings})


@dataclass(frozen=True, slots=True)
class SmarthostSettings(Settings):
    """outbound.ini [smarthost]: hand all mail that leaves to these hosts."""

    FILE: ClassVar[str] = "outbound.ini"

    host: tuple[str, ...] = setting("smarthost", "host", HOSTS, (), "Next hops, tried in this order; port 25 unless given. A number behind a host is its priority: lower ones first, equal ones share the mail. Empty: mail goes to the MX of each domain.")
    tls: str = setting("smarthost", "tls", choice("opportunistic", "required", "off"), "opportunistic", "STARTTLS when offered, always (or the mail waits), or never.")
    auth_user: str = setting("smarthost", "auth_user", TEXT, "", "User name for AUTH; empty: no AUTH.")
    auth_pass: str = setting("smarthost", "auth_pass", SECRET, "", "Password for AUTH, taken as text.")
    auth_pass_file: str = setting("smarthost", "auth_pass_file", TEXT, "", "File whose first line is the password; relative to the configuration directory.")
    auth_pass_env: str = setting("smarthost", "auth_pass_env", TEXT, "", "Environment variable that holds the password.")
    failover_on: str = setting("smarthost", "failover_on", choice("connection", "tempfail", "reject"), "connection", "When the next host is asked: if a host cannot be reached or turns us away, also for recipients that it answers with 4xx, or with 5xx too.")
    auth_type: str = setting("smarthost", "auth_type", choice("", *CLIENT_MECHANISMS), "", "How to log in; empty: the best that is offered.")
    oauth_token_url: str = setting("smarthost", "oauth_token_url", TEXT, "", "Token endpoint of the OAuth 2.0 provider; with it AUTH uses access tokens (XOAUTH2, OAUTHBEARER) and no password. https, or http to this machine.")
    oauth_grant: str = setting("smarthost", "oauth_grant", choice("refresh_token", "client_credentials"), "refresh_token", "How tokens are asked for (RFC 6749): with a refresh token, or with the client's own secret.")
    oauth_client_id: str = setting("smarthost", "oauth_client_id", TEXT, "", "Client id that the provider knows this server by.")
    oauth_client_secret: str = setting("smarthost", "oauth_client_secret", SECRET, "", "Its secret; a public client has none.")
    oauth_client_secret_file: str = setting("smarthost", "oauth_client_secret_file", TEXT, "", "File whose first line is the client's secret; relative to the configuration directory.")
    oauth_refresh_token_file: str = setting("smarthost", "oauth_refresh_token_file", TEXT, "", "File with the refresh token, an absolute path; a new one that the provider gives is written there, mode 0600.")
    oauth_scope: str = setting("smarthost", "oauth_scope", TEXT, "", "Scopes to ask for, separated by blanks; what the provider documents for SMTP.")


@dataclass(frozen=True, slots=True)
class ConnectionPoolSettings(Settings):
    """outbound.ini [connections]: connections to next hops that are kept for the next message."""

    FILE: ClassVar[str] = "outbound.ini"

    messages: int = setting("connections", "messages", whole(1), 100, "Messages over one connection, then it is ended.")
    lifetime: int = setting("connections", "lifetime", whole(1), 300, "Seconds after which a connection is not used for another message.")
    idle: int = setting("connections", "idle", whole(1), 10, "Seconds that an unused connection is kept.")
    per_site_idle: int = setting("connections", "per_site_idle", whole(0), 10, "Unused connections kept to one next hop; 0: none, each message has a connection of its own.")
    total_idle: int = setting("connections", "total_idle", whole(0), 200, "Unused connections kept in all; one more ends the one that was used longest ago.")


@dataclass(frozen=True, slots=True)
class TimeoutSettings(Settings):
    """outbound.ini [timeouts]: the minimum values of RFC 5321 4.5.3.2, where it names one."""

    FILE: ClassVar[str] = "outbound.ini"

    banner: int = setting("timeouts", "banner", whole(1), 300, "Seconds to wait for the greeting of a next hop.")
    hello: int = setting("timeouts", "hello", whole(1), 300, "Seconds to wait for its reply to EHLO, HELO, LHLO or STARTTLS.")
    tls: int = setting("timeouts", "tls", whole(1), 60, "Seconds that a TLS handshake may take.")
    auth: int = setting("timeouts", "auth", whole(1), 120, "Seconds to wait for each reply during AUTH.")
    mail: int = setting("timeouts", "mail", whole(1), 300, "Seconds to wait for the reply to MAIL or RSET.")
    rcpt: int = setting("timeouts", "rcpt", whole(1), 300, "Seconds to wait for the reply to RCPT.")
    data: int = setting("timeouts", "data", whole(1), 120, "Seconds to wait for the reply to DATA.")
    chunk: int = setting("timeouts", "chunk", whole(1), 180, "Seconds that the next hop may take nothing of the message, or not answer a chunk of it.")
    dot: int = setting("timeouts", "dot", whole(1), 600, "Seconds to wait for the reply to the end of the message; a wait too short makes duplicates.")
    quit: int = setting("timeouts", "quit", whole(1), 5, "Seconds to wait for the reply to QUIT.")


@dataclass(frozen=True, slots=True)
class SecuritySettings(Settings):
    """outbound.ini [security]: the policies of recipients' domains."""

    FILE: ClassVar[str] = "outbound.ini"

    mta_sts: bool = setting("security", "mta_sts", FLAG, True, "Heed MTA-STS (RFC 8461): domains say by HTTPS which hosts take their mail, by TLS with a valid certificate only.")
    dane: str = setting("security", "dane", choice("off", "ad"), "ad", "Heed DANE (RFC 7672): domains say by DNSSEC which certificates their hosts have. `ad` believes the AD bit of the name servers in /etc/resolv.conf, if all of them are on this machine.")
    dns_trusted: bool = setting("security", "dns_trusted", FLAG, False, "Believe the AD bit of name servers on other machines too: they validate DNSSEC, and nobody on the way to them can forge their answers.")


@dataclass(frozen=True, slots=True)
class TlsReportSettings(Settings):
    """outbound.ini [tls_rpt]: daily reports about TLS to the domains that ask for them (RFC 8460)."""

    FILE: ClassVar[str] = "outbound.ini"

    report: bool = setting("tls_rpt", "report", FLAG, False, "Count what comes of TLS at each MX, and tell the domains that want to know, once a day.")
    organization: str = setting("tls_rpt", "organization", TEXT, "", "Name of the organisation that reports; empty: the name of this server.")
    contact: str = setting("tls_rpt", "contact", TEXT, "", "Address that reports come from, where questions can be asked; empty: postmaster at this server.")


@dataclass(frozen=True, slots=True)
class ReportSettings(Settings):
    """outbound.ini [reports]: what senders are told about their mail."""

    FILE: ClassVar[str] = "outbound.ini"

    failures: bool = setting("reports", "failures", FLAG, True, "Send bounces. Without them a sender never learns that a recipient failed; the log does.")
    full_max: int = setting("reports", "full_max", whole(0), 262144, "Bytes up to which a message comes back whole when its sender asked for that (RET=FULL); of larger ones only the header does.")
    delay_warning: int = setting("reports", "delay_warning", SPAN, 14400, "After this time a sender is told, once, that the mail still waits; 0: never.")
    double_bounce: str = setting("reports", "double_bounce", choice("drop", "postmaster"), "drop", "A bounce that can not be delivered: only the log tells, or a report goes to postmaster_address.")
    postmaster_address: str = setting("reports", "postmaster_address", ADDRESS, "", "Who gets those reports; empty: postmaster at the name of this server.")


@dataclass(frozen=True, slots=True)
class OutboundSettings(Settings):
    """outbound.ini: mail on its way out."""

    FILE: ClassVar[str] = "outbound.ini"

    disabled: bool = setting("main", "disabled", FLAG, False, "Keep mail in the queue and deliver none.")
    always_split: bool = setting("main", "always_split", FLAG, False, "One queue file for each recipient instead of each destination domain.")
    enable_tls: bool = setting("main", "enable_tls", FLAG, True, "Use STARTTLS when the next hop offers it.")
    local_mx_ok: bool = setting("main", "local_mx_ok", FLAG, False, "Deliver to an MX that is this machine; without it such an MX is skipped, which prevents loops.")
    inet_prefer: str = setting("main", "inet_prefer", choice("default", "v4", "v6"), "default", "Which addresses of a next hop are tried first.")
    concurrency_max: int = setting("main", "concurrency_max", whole(1), 100, "Deliveries under way at the same time.")
    connect_timeout: int = setting("main", "connect_timeout", whole(1), 30, "Seconds to wait for a connection to a next hop.")
    received_header: str = setting("main", "received_header", TEXT, "Haraka outbound", "Name in the Received field added on the way out; `disabled` adds none.")
    max_temp_failures: int = setting("main", "maxTempFailures", whole(1, 60), 13, "Attempts before a recipient bounces; the waits between them are 64 s, 128 s, 256 s and so on.")
    temp_fail_intervals: tuple[int, ...] | None = setting("main", "temp_fail_intervals", INTERVALS, None, "Waits between attempts instead, the last of them followed by one more attempt; `none` bounces at the first failure. Then maxTempFailures is not used.")
    pool: str = setting("main", "pool", TEXT, "", "Section of outbound_pools.ini whose addresses mail leaves from; empty: the system chooses.")
    retry_jitter: int = setting("main", "retry_jitter", whole(0, 50), 10, "Percent by which each wait is made longer or shorter at random, so that mails put off together do not come back together; no wait becomes shorter than 5 seconds.")
    maximum_age: int = setting("main", "maximum_age", SPAN, 432000, "Age at which a mail that waits is tried for the last time, counted from its release if it was held; then it bounces. The waits above may end it sooner. 0: no limit.")
    reports: ReportSettings = field(default_factory=ReportSettings, metadata={"group": ReportSettings})
    chunking: bool = setting("main", "chunking", FLAG, True, "Send messages by BDAT where the next hop offers CHUNKING (RFC 3030): one round trip less.")
    eight_bit_downgrade: str = setting("main", "eight_bit_downgrade", choice("send", "convert", "bounce"), "send", "A message with 8 bit octets for a next hop that does not offer 8BITMIME: `send` it as it is, which nearly all of them take, `convert` its parts to 7 bit, which breaks DKIM signatures, or `bounce` it. What can not be converted bounces.")
    smarthost: SmarthostSettings = field(default_factory=SmarthostSettings, metadata={"group": SmarthostSettings})
    connections: ConnectionPoolSettings = field(default_factory=ConnectionPoolSettings, metadata={"group": ConnectionPoolSettings})
    timeouts: TimeoutSettings = field(default_factory=TimeoutSettings, metadata={"group": TimeoutSettings})
    security: SecuritySettings = field(default_factory=SecuritySettings, metadata={"group": SecuritySettings})
    tls_rpt: TlsReportSettings = field(default_factory=TlsReportSettings, metadata={"group": TlsReportSettings})


@dataclass(frozen=True, slots=True)
class LimitSettings(Settings):
    """outbound_limits.ini: how much mail goes to one place at a time."""

    FILE: ClassVar[str] = "outbound_limits.ini"
    REPEATED: ClassVar[str] = "main"  # [example.com]: for that domain, site or smarthost

    concurrency: int = setting("main", "concurrency", whole(0, 10000), 0, "Deliveries to one site at the same time, at the most; how many really go is learnt from how they fare. 0: 20, and to a smarthost concurrency_max.")
    initial_concurrency: int = setting("main", "initial_concurrency", whole(1, 10000), 5, "Deliveries at the same time to a site of which nothing is known yet.")
    rate: Rate | None = field(default=None, metadata={"spec": Spec("main", "rate", RATE, None, "Messages to one site in a time; those above it wait.")})
    unreachable_after: int = setting("main", "unreachable_after", whole(0, 1000), 1, "A site is given a rest when as many deliveries as go there at the same time have failed to connect, so many times over and with no success between; 0: never.")
    unreachable_wait: int = setting("main", "unreachable_wait", whole(1, 86400), 60, "Seconds of that rest; mail for the site is deferred meanwhile without asking it.")
    temp_fail_intervals: tuple[int, ...] | None = setting("main", "temp_fail_intervals", INTERVALS, None, "Waits between attempts, instead of those in outbound.ini.")


@dataclass(frozen=True, slots=True)
class OutboundRouteSettings(Settings):
    """outbound_routes.ini: mail that goes another way than the rest."""

    FILE: ClassVar[str] = "outbound_routes.ini"
    REPEATED: ClassVar[str] = "route"
    SECTIONED: ClassVar[bool] = True

    recipients: tuple[str, ...] = setting("route", "recipients", DOMAINS, (), "Domains of recipients that the route is for.")
    senders: tuple[str, ...] = setting("route", "senders", SENDERS, (), "Senders that the route is for; with `recipients` too, both must fit.")
    host: tuple[str, ...] = setting("route", "host", HOSTS, (), "Next hops, as in `[smarthost]` of outbound.ini.")
    mx: bool = setting("route", "mx", FLAG, False, "Deliver to the MX of the domain, instead of `host`.")
    tls: str = setting("route", "tls", choice("opportunistic", "required", "off"), "opportunistic", "STARTTLS when offered, always (or the mail waits), or never.")
    auth_user: str = setting("route", "auth_user", TEXT, "", "User name for AUTH; empty: no AUTH.")
    auth_pass: str = setting("route", "auth_pass", SECRET, "", "Password for AUTH, taken as text.")
    auth_pass_file: str = setting("route", "auth_pass_file", TEXT, "", "File whose first line is the password; relative to the configuration directory.")
    auth_pass_env: str = setting("route", "auth_pass_env", TEXT, "", "Environment variable that holds the password.")
    failover_on: str = setting("route", "failover_on", choice("connection", "tempfail", "reject"), "connection", "When the next host is asked: if a host cannot be reached or turns us away, also for recipients that it answers with 4xx, or with 5xx too.")
    pool: str = setting("route", "pool", TEXT, "", "Section of outbound_pools.ini whose addresses mail leaves from; empty: `pool` of outbound.ini.")
    bind: str = setting("route", "bind", IP_ADDRESS, "", "The one address that mail leaves from, instead of a pool.")
    bind_helo: str = setting("route", "bind_helo", TEXT, "", "What we call ourselves in EHLO; empty: as the pool or `me` says.")


@dataclass(frozen=True, slots=True)
class OutboundPoolSettings(Settings):
    """outbound_pools.ini: addresses of this machine that mail leaves from."""

    FILE: ClassVar[str] = "outbound_pools.ini"
    REPEATED: ClassVar[str] = "pool"
    SECTIONED: ClassVar[bool] = True

    source: tuple[Source, ...] = setting("pool", "source", SOURCES, (), "An address of this machine, its share of the mail, and our name in EHLO there, one `source[]=` each.")


@dataclass(frozen=True, slots=True)
class LogSettings(Settings):
    """log.ini: what is logged, and how. `level` is an upper-case name."""

    FILE: ClassVar[str] = "log.ini"

    level: str = setting("main", "level", LEVEL, "INFO", "Messages up to this level are written; each level includes those after it.")
    timestamps: bool = setting("main", "timestamps", FLAG, False, "Put the time in front of each line.")
    format: str = setting("main", "format", choice("default", "logfmt", "json"), "default", "How a line is written.")


@dataclass(frozen=True, slots=True)
class HttpSettings(Settings):
    """http.ini: a small HTTP server for files and for the pages of plugins."""

    FILE: ClassVar[str] = "http.ini"

    listen: tuple[str, ...] = setting("main", "listen", LIST, (), "Addresses to listen on, written as in smtp.ini; the port is 80 unless given, and 443 speaks TLS with the certificate of tls.ini. Empty: no HTTP server.")
    docroot: str = setting("main", "docroot", TEXT, "http/html", "Directory with the files to show; relative to the installation.")


@dataclass(frozen=True, slots=True)
class RelaySettings(Settings):
    """relay.ini: who may send mail through this server, and where to."""

    FILE: ClassVar[str] = "relay.ini"

    acl: bool = setting("relay", "acl", FLAG, True, "Clients in relay_acl_allow may relay.")
    force_routing: bool = setting("relay", "force_routing", FLAG, True, "Use the `nexthop` of a domain in relay_dest_domains.ini instead of its MX.")
    all: bool = setting("relay", "all", FLAG, False, "Relay for everybody: only behind a firewall, this is an open relay.")
    dest_domains: bool = setting("relay", "dest_domains", FLAG, False, "Accept, pass on or refuse recipients by the domains in relay_dest_domains.ini.")


@dataclass(frozen=True, slots=True)
class RelayDestDomainsSettings(Settings):
    """relay_dest_domains.ini: what happens to mail for a domain."""

    FILE: ClassVar[str] = "relay_dest_domains.ini"

    domains: dict[str, Route] = field(default_factory=dict, metadata={"spec": Spec("domains", "", ROUTE, {}, "One line for each destination domain: what to do with its mail, and where to send it.")})


@dataclass(frozen=True, slots=True)
class SmtpForwardSettings(Settings):
    """smtp_forward.ini: hand each message to another server before the client gets its answer."""

    FILE: ClassVar[str] = "smtp_forward.ini"
    REPEATED: ClassVar[str] = "main"  # [example.com]: for recipients in that domain

    host: str = setting("main", "host", TEXT, "localhost", "Server that gets the mail.")
    port: int = setting("main", "port", whole(1, 65535), 2555, "Its port.")
    enable_tls: bool = setting("main", "enable_tls", FLAG, False, "Use STARTTLS when it is offered.")
    enable_outbound: bool = setting("main", "enable_outbound", FLAG, False, "Forward the mail of relaying clients too, instead of queueing it here.")
    auth_type: str = setting("main", "auth_type", choice("", *PASSWORD_MECHANISMS), "", "How to log in; empty: the best that is offered.")
    auth_user: str = setting("main", "auth_user", TEXT, "", "User name for AUTH; empty: no AUTH.")
    auth_pass: str = setting("main", "auth_pass", SECRET, "", "Password for AUTH, taken as text.")
    auth_pass_file: str = setting("main", "auth_pass_file", TEXT, "", "File whose first line is the password; relative to the configuration directory.")
    auth_pass_env: str = setting("main", "auth_pass_env", TEXT, "", "Environment variable that holds the password.")
    connect_timeout: int = setting("main", "connect_timeout", whole(1), 30, "Seconds to wait for a connection.")
    idle_timeout: int = setting("main", "idle_timeout", whole(0), 0, "Seconds to wait for each of the server's replies; 0: as long as RFC 5321 4.5.3.2 says for that step.")
    forwarding_host_pool: tuple[str, ...] = setting("main", "forwarding_host_pool", HOSTS, (), "Several servers that share the mail, instead of `host`; one is asked when another is not there. With a number behind each, lower ones first.")
    dead_forwarding_host_retry_secs: int = setting("main", "dead_forwarding_host_retry_secs", whole(1), 10, "Seconds for which a server of the pool that was not there is asked after the others.")
    using_lmtp: bool = setting("main", "using_lmtp", FLAG, False, "The server speaks LMTP.")
    bind: str = setting("main", "bind", IP_ADDRESS, "", "Address of this machine to connect from; empty: the system chooses.")
    bind_helo: str = setting("main", "bind_helo", TEXT, "", "What we call ourselves in EHLO; empty: the name in `me`.")
    one_message_per_rcpt: bool = setting("main", "one_message_per_rcpt", FLAG, False, "Hand the message over once for each recipient, over one connection.")
    domain_selector: str = setting("main", "domain_selector", choice("rcpt_to", "mail_from"), "rcpt_to", "Whose domain, or address, chooses the section: the recipient's or the sender's.")
    queue: str = setting("main", "queue", TEXT, "", "Queue that takes mail for recipients whom check_recipient has accepted, such as `outbound`; empty: this one.")
    check_sender: bool = setting("main", "check_sender", FLAG, False, "Refuse senders in a domain that has a section, unless the client may relay.")
    check_recipient: bool = setting("main", "check_recipient", FLAG, False, "Accept recipients in domains that have a section.")


@dataclass(frozen=True, slots=True)
class AuthFlatFileSettings(Settings):
    """auth_flat_file.ini: users and their passwords."""

    FILE: ClassVar[str] = "auth_flat_file.ini"

    methods: tuple[str, ...] = setting("core", "methods", MECHANISMS, ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"), "Mechanisms to offer, each only if the password of some user allows it; empty: none.")
    constrain_sender: bool = setting("core", "constrain_sender", FLAG, True, "Who logs in as user@domain may send as that organisational domain only.")
    without_tls: str = setting("core", "without_tls", choice("private", "local", "never"), "private", "Who may log in over a connection without TLS: clients on private networks, on this machine, or nobody. Clients on public addresses never may.")
    users: dict[str, StoredPassword] = field(default_factory=dict, repr=False, metadata={"spec": Spec("users", "", PASSWORD, {}, "One line for each user: the name, and the hash of the password.")})


ME = ValueFile("me", TEXT, "", "Name of this server in greetings, HELO and trace fields; empty: the host name.")
PLUGIN_TIMEOUT = ValueFile("plugin_timeout", SECONDS, 30.0, "Seconds that a plugin may take; `NAME.timeout` says it for one plugin.")
QUEUE_DIR = ValueFile("queue_dir", TEXT, "queue", "Directory of the queue; relative to the installation.")
LOGLEVEL = ValueFile("loglevel", LEVEL, "", "Level instead of the one in log.ini; while the server runs, the file edited last wins.")
LOG_TIMESTAMPS = ValueFile("log_timestamps", FLAG, False, "Timestamps, like `timestamps` in log.ini.")
ANTI_SPOOF = ValueFile("host_list.anti_spoof", FLAG, False, "Refuse MAIL FROM with a domain of host_list, unless the client may relay.")

VALUES: tuple[ValueFile[Any], ...] = (ME, QUEUE_DIR, PLUGIN_TIMEOUT, LOGLEVEL, LOG_TIMESTAMPS, ANTI_SPOOF)
LISTS = (
    LinesFile("plugins", "Plugins in the order in which they are asked."),
    LinesFile("host_list", "Domains that we accept mail for."),
    LinesFile(
        "host_list_regex",
        "The same as regular expressions, each matching a whole domain in any case.",
        kind=PATTERN,
    ),
    LinesFile("relay_acl_allow", "Addresses and networks whose clients may relay.", kind=NETWORK),
    LinesFile(
        "xclient.hosts",
        "Addresses and networks of proxies and content filters that may say XCLIENT and XFORWARD; this machine always may.",
        kind=NETWORK,
    ),
    LinesFile(
        "outbound.bounce_message", "Text of a bounce: header fields, an empty line, the body.", raw=True
    ),
    LinesFile("outbound.bounce_message_html", "The body of a bounce as HTML; empty: text only.", raw=True),
    LinesFile(
        "outbound.bounce_message_image",
        "A picture for that HTML: a MIME part with its own header fields; empty: none.",
        raw=True,
    ),
    LinesFile("outbound.delay_message", "The same as outbound.bounce_message for a delay warning.", raw=True),
    LinesFile(
        "outbound.delivered_message",
        "The same as outbound.bounce_message for a report of success, which a sender has to ask for.",
        raw=True,
    ),
    LinesFile(
        "outbound.bounce_rules",
        "Rules that put the replies of next hops into categories; the first that fits counts.",
        kind=BOUNCE_RULE,
    ),
)
SETTINGS: tuple[type[Settings], ...] = (
    SmtpSettings,
    ConnectionSettings,
    TlsSettings,
    OutboundSettings,
    OutboundRouteSettings,
    OutboundPoolSettings,
    LimitSettings,
    LogSettings,
    HttpSettings,
    RelaySettings,
    RelayDestDomainsSettings,
    SmtpForwardSettings,
    AuthFlatFileSettings,
)
