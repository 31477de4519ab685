"""What clients may do: connection.ini."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import (
    FLAG,
    LINES,
    NETWORKS,
    TEXT,
    choice,
    whole,
)
from mta.config.spec import Settings, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off


@record
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


@record
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
