"""The files of bundled plugins."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import (
    FLAG,
    HOSTS,
    IP_ADDRESS,
    MECHANISMS,
    PASSWORD_MECHANISMS,
    SECRET,
    TEXT,
    choice,
    whole,
)
from mta.config.passwords import PASSWORD, StoredPassword
from mta.config.routes import ROUTE, Route
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off


@record
class RelaySettings(Settings):
    """relay.ini: who may send mail through this server, and where to."""

    FILE: ClassVar[str] = "relay.ini"

    acl: bool = setting("relay", "acl", FLAG, True, "Clients in relay_acl_allow may relay.")
    force_routing: bool = setting("relay", "force_routing", FLAG, True, "Use the `nexthop` of a domain in relay_dest_domains.ini instead of its MX.")
    all: bool = setting("relay", "all", FLAG, False, "Relay for everybody: only behind a firewall, this is an open relay.")
    dest_domains: bool = setting("relay", "dest_domains", FLAG, False, "Accept, pass on or refuse recipients by the domains in relay_dest_domains.ini.")


@record
class RelayDestDomainsSettings(Settings):
    """relay_dest_domains.ini: what happens to mail for a domain."""

    FILE: ClassVar[str] = "relay_dest_domains.ini"

    domains: dict[str, Route] = field(default_factory=dict, metadata={"spec": Spec("domains", "", ROUTE, {}, "One line for each destination domain: what to do with its mail, and where to send it.")})


@record
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
    keep_connections: bool = setting("main", "keep_connections", FLAG, True, "Keep connections for the next message; without it each message has a connection of its own.")
    connection_messages: int = setting("main", "connection_messages", whole(1), 100, "Messages over one connection, then it is ended.")
    connection_lifetime: int = setting("main", "connection_lifetime", whole(1), 300, "Seconds after which a connection is not used for another message.")
    connection_idle: int = setting("main", "connection_idle", whole(1), 10, "Seconds that an unused connection is kept; fewer than the server keeps it.")
    connection_per_site_idle: int = setting("main", "connection_per_site_idle", whole(0), 100, "Unused connections kept to one server.")
    queue: str = setting("main", "queue", TEXT, "", "Queue that takes mail for recipients whom check_recipient has accepted, such as `outbound`; empty: this one.")
    check_sender: bool = setting("main", "check_sender", FLAG, False, "Refuse senders in a domain that has a section, unless the client may relay.")
    check_recipient: bool = setting("main", "check_recipient", FLAG, False, "Accept recipients in domains that have a section.")


@record
class AuthFlatFileSettings(Settings):
    """auth_flat_file.ini: users and their passwords."""

    FILE: ClassVar[str] = "auth_flat_file.ini"

    methods: tuple[str, ...] = setting("core", "methods", MECHANISMS, ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"), "Mechanisms to offer, each only if the password of some user allows it; empty: none.")
    constrain_sender: bool = setting("core", "constrain_sender", FLAG, True, "Who logs in as user@domain may send as that organisational domain only.")
    without_tls: str = setting("core", "without_tls", choice("private", "local", "never"), "private", "Who may log in over a connection without TLS: clients on private networks, on this machine, or nobody. Clients on public addresses never may.")
    users: dict[str, StoredPassword] = field(default_factory=dict, repr=False, metadata={"spec": Spec("users", "", PASSWORD, {}, "One line for each user: the name, and the hash of the password.")})
