"""Mail on its way out: outbound.ini and the files beside it."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import (
    ADDRESS,
    CLIENT_MECHANISMS,
    DOMAINS,
    FLAG,
    HOSTS,
    INTERVALS,
    IP_ADDRESS,
    RATE,
    SECRET,
    SENDERS,
    SOURCES,
    SPAN,
    TEXT,
    choice,
    whole,
)
from mta.config.rate import Rate
from mta.config.sources import Source
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off


@record
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


@record
class ConnectionPoolSettings(Settings):
    """outbound.ini [connections]: connections to next hops that are kept for the next message."""

    FILE: ClassVar[str] = "outbound.ini"

    messages: int = setting("connections", "messages", whole(1), 100, "Messages over one connection, then it is ended.")
    lifetime: int = setting("connections", "lifetime", whole(1), 300, "Seconds after which a connection is not used for another message.")
    idle: int = setting("connections", "idle", whole(1), 10, "Seconds that an unused connection is kept.")
    per_site_idle: int = setting("connections", "per_site_idle", whole(0), 100, "Unused connections kept to one next hop; 0: none, each message has a connection of its own.")
    total_idle: int = setting("connections", "total_idle", whole(0), 200, "Unused connections kept in all; one more ends the one that was used longest ago.")


@record
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


@record
class SecuritySettings(Settings):
    """outbound.ini [security]: the policies of recipients' domains."""

    FILE: ClassVar[str] = "outbound.ini"

    mta_sts: bool = setting("security", "mta_sts", FLAG, True, "Heed MTA-STS (RFC 8461): domains say by HTTPS which hosts take their mail, by TLS with a valid certificate only.")
    dane: str = setting("security", "dane", choice("off", "ad"), "ad", "Heed DANE (RFC 7672): domains say by DNSSEC which certificates their hosts have. `ad` believes the AD bit of the name servers in /etc/resolv.conf, if all of them are on this machine.")
    dns_trusted: bool = setting("security", "dns_trusted", FLAG, False, "Believe the AD bit of name servers on other machines too: they validate DNSSEC, and nobody on the way to them can forge their answers.")


@record
class TlsReportSettings(Settings):
    """outbound.ini [tls_rpt]: daily reports about TLS to the domains that ask for them (RFC 8460)."""

    FILE: ClassVar[str] = "outbound.ini"

    report: bool = setting("tls_rpt", "report", FLAG, False, "Count what comes of TLS at each MX, and tell the domains that want to know, once a day.")
    organization: str = setting("tls_rpt", "organization", TEXT, "", "Name of the organisation that reports; empty: the name of this server.")
    contact: str = setting("tls_rpt", "contact", TEXT, "", "Address that reports come from, where questions can be asked; empty: postmaster at this server.")


@record
class ReportSettings(Settings):
    """outbound.ini [reports]: what senders are told about their mail."""

    FILE: ClassVar[str] = "outbound.ini"

    failures: bool = setting("reports", "failures", FLAG, True, "Send bounces. Without them a sender never learns that a recipient failed; the log does.")
    full_max: int = setting("reports", "full_max", whole(0), 262144, "Bytes up to which a message comes back whole when its sender asked for that (RET=FULL); of larger ones only the header does.")
    delay_warning: int = setting("reports", "delay_warning", SPAN, 14400, "After this time a sender is told, once, that the mail still waits; 0: never.")
    double_bounce: str = setting("reports", "double_bounce", choice("drop", "postmaster"), "drop", "A bounce that can not be delivered: only the log tells, or a report goes to postmaster_address.")
    postmaster_address: str = setting("reports", "postmaster_address", ADDRESS, "", "Who gets those reports; empty: postmaster at the name of this server.")


@record
class SpoolSettings(Settings):
    """outbound.ini [spool]: how mail is kept until it is delivered."""

    FILE: ClassVar[str] = "outbound.ini"

    intake: str = setting("spool", "intake", choice("journal", "files"), "journal", "Small messages that can be delivered at once are kept in a journal, one file with one sync for many of them; what is not delivered at the first attempt becomes a queue file. `files`: every message is a queue file from the start.")
    journal_max_message: int = setting("spool", "journal_max_message", whole(0, 16777216), 131072, "Bytes up to which a message is kept in the journal; larger ones are queue files.")
    segment_bytes: int = setting("spool", "segment_bytes", whole(65536, 1073741824), 16777216, "Bytes after which the journal begins a new file; one is removed when all its mail is done with.")


@record
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
    spool: SpoolSettings = field(default_factory=SpoolSettings, metadata={"group": SpoolSettings})
    tls_rpt: TlsReportSettings = field(default_factory=TlsReportSettings, metadata={"group": TlsReportSettings})


@record
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


@record
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


@record
class OutboundPoolSettings(Settings):
    """outbound_pools.ini: addresses of this machine that mail leaves from."""

    FILE: ClassVar[str] = "outbound_pools.ini"
    REPEATED: ClassVar[str] = "pool"
    SECTIONED: ClassVar[bool] = True

    source: tuple[Source, ...] = setting("pool", "source", SOURCES, (), "An address of this machine, its share of the mail, and our name in EHLO there, one `source[]=` each.")
