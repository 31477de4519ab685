"""The log: log.ini, and the files of the plugins in logging/."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar

from mta.config.kinds import FLAG, LEVEL, LIST, TEXT, choice, whole
from mta.config.log_kinds import FACILITY, LEVEL_OR_SAME, RELABEL, SYSLOG_SERVER
from mta.config.spec import Settings, Spec, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off

_WANTED = "Records up to this level are taken."
_ALWAYS_OK = "What this plugin takes is not written to standard output as well."


@record
class EventSettings(Settings):
    """log.ini [events]: one JSON record for each thing that happens to a mail, see docs/Events.md."""

    file: str = setting("events", "file", TEXT, "", "File that events are added to, one JSON object a line; relative to the installation. Empty: there are no events.")
    headers: tuple[str, ...] = setting("events", "headers", LIST, (), "Header fields of a message, besides its Message-Id, that the event about its data shows.")


@record
class LogSettings(Settings):
    """log.ini: what is logged, and how. `level` is an upper-case name."""

    FILE: ClassVar[str] = "log.ini"

    level: str = setting("main", "level", LEVEL, "INFO", "Messages up to this level are written; each level includes those after it.")
    timestamps: bool = setting("main", "timestamps", FLAG, False, "Put the time in front of each line.")
    format: str = setting("main", "format", choice("default", "logfmt", "json"), "default", "How a line is written.")
    events: EventSettings = field(default_factory=EventSettings, metadata={"group": EventSettings})
    plugins: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("plugins", "", LEVEL, {}, "One line for each plugin, or other source such as outbound, that has a level of its own.")})
    hooks: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("hooks", "", LEVEL, {}, "One line for each hook with a level of its own, for what is logged while it runs; the level of the plugin goes first.")})
    relabel: dict[str, str] = field(default_factory=dict, metadata={"spec": Spec("relabel", "", RELABEL, {}, "One line for each plugin, or other source, whose lines get another level: so many steps less (+) or more (-) important, or one level for all.")})


@record
class LoggingWarnSettings(Settings):
    """logging_warn.ini: lines on standard error."""

    FILE: ClassVar[str] = "logging_warn.ini"

    loglevel: str = setting("main", "loglevel", LEVEL_OR_SAME, "WARN", _WANTED)
    always_ok: bool = setting("main", "always_ok", FLAG, False, _ALWAYS_OK)


@record
class LoggingConnectionIdSettings(LoggingWarnSettings):
    """logging_connection_id.ini: lines on standard error that begin with the uuid of the connection."""

    FILE: ClassVar[str] = "logging_connection_id.ini"


@record
class LoggingTransactionIdSettings(LoggingWarnSettings):
    """logging_transaction_id.ini: lines on standard error that begin with the uuid of the transaction."""

    FILE: ClassVar[str] = "logging_transaction_id.ini"


@record
class LoggingAdaptiveSettings(Settings):
    """logging_adaptive.ini: how much is written about a mail once its fate is known."""

    FILE: ClassVar[str] = "logging_adaptive.ini"

    accept: str = setting("main", "accept", LEVEL, "NOTICE", "Records up to this level are written when the mail was accepted.")
    reject: str = setting("main", "reject", LEVEL, "DEBUG", "The same when something was rejected.")
    accept_prefix: str = setting("main", "accept_prefix", TEXT, "`", "What then stands before the message.")
    reject_prefix: str = setting("main", "reject_prefix", TEXT, "", "The same when something was rejected.")
    immediate: str = setting("main", "immediate", LEVEL, "ERROR", "Records up to this level do not wait.")
    max_kb: int = setting("main", "max_kb", whole(1, 1_048_576), 256, "Kilobytes of lines that wait for one connection; the oldest go first.")
    max_total_kb: int = setting("main", "max_total_kb", whole(1, 16_777_216), 32_768, "The same for all connections of a process; above it, new lines are not kept.")


@record
class LoggingFileSettings(Settings):
    """logging_file.ini: lines in files."""

    FILE: ClassVar[str] = "logging_file.ini"
    REPEATED: ClassVar[str] = "main"  # [debug]: one more file

    path: str = setting("main", "path", TEXT, "log/haraka.log", "The file, relative to the installation; %Y-%m-%d and the like (strftime) stand for the time, %i for the connection. With | in front a command that reads the lines.")
    loglevel: str = setting("main", "loglevel", LEVEL_OR_SAME, "", _WANTED)
    format: str = setting("main", "format", choice("default", "logfmt", "json"), "default", "How a line is written.")
    tsformat: str = setting("main", "tsformat", TEXT, "%a %b %d %T %Y", "The time in front of a line of the default format (strftime).")
    reopen: bool = setting("main", "reopen", FLAG, False, "Open the file anew for each connection; else SIGHUP does it.")
    nosplit: bool = setting("main", "nosplit", FLAG, False, "All lines of a connection go into the file that its first line went into.")
    always_ok: bool = setting("main", "always_ok", FLAG, False, _ALWAYS_OK)


@record
class SyslogSettings(Settings):
    """syslog.ini: lines for a syslog server."""

    FILE: ClassVar[str] = "syslog.ini"

    name: str = setting("general", "name", TEXT, "haraka", "What the program is called there.")
    facility: str = setting("general", "facility", FACILITY, "mail", "The facility.")
    pid: bool = setting("general", "pid", FLAG, True, "Say the number of the process.")
    odelay: bool = setting("general", "odelay", FLAG, True, "Haraka's; without effect: the connection is opened when it is needed.")
    cons: bool = setting("general", "cons", FLAG, False, "Haraka's; without effect: what can not be sent waits, or is counted as dropped.")
    ndelay: bool = setting("general", "ndelay", FLAG, False, "Haraka's; without effect.")
    nowait: bool = setting("general", "nowait", FLAG, False, "Haraka's; without effect.")
    always_ok: bool = setting("general", "always_ok", FLAG, False, _ALWAYS_OK)
    loglevel: str = setting("general", "loglevel", LEVEL_OR_SAME, "", _WANTED)
    priority: str = setting("general", "priority", LEVEL_OR_SAME, "", "One severity for all lines; empty: that of each line.")
    server: str = setting("general", "server", SYSLOG_SERVER, "/dev/log", "Where the lines go.")
    framing: str = setting("general", "framing", choice("octet-counting", "newline"), "octet-counting", "How lines are told apart over TCP (RFC 6587); over TLS it is always octet-counting.")
    max_size: int = setting("general", "max_size", whole(480, 65_000), 8192, "Bytes of one message; what is longer is cut.")
    max_waiting: int = setting("general", "max_waiting", whole(1, 10_000_000), 10_000, "Lines that wait while the server does not take them; more are dropped and counted.")
    ca: str = setting("general", "ca", TEXT, "", "File with the authorities that may vouch for the server, relative to the configuration directory; empty: the system's.")
    cert: str = setting("general", "cert", TEXT, "", "File with a certificate of ours that the server is shown; empty: none.")
    key: str = setting("general", "key", TEXT, "", "File with its key; empty: it is in the same file.")


@record
class LoggingApacheSettings(Settings):
    """logging_apache.ini: one line for each transaction, as web servers write it."""

    FILE: ClassVar[str] = "logging_apache.ini"

    path: str = setting("main", "path", TEXT, "log/access.log", "The file, relative to the installation; %Y-%m-%d and the like (strftime) stand for the time.")
    format: str = setting("main", "format", TEXT, '%h %l %u %t "%r" %>s %b "%{helo}" "%{uuid}"', "What a line says, see docs/plugins/logging/apache.md.")


@record
class LoggingJournaldSettings(Settings):
    """logging_journald.ini: records for the journal of systemd."""

    FILE: ClassVar[str] = "logging_journald.ini"

    socket: str = setting("main", "socket", TEXT, "/run/systemd/journal/socket", "The socket of the journal.")
    identifier: str = setting("main", "identifier", TEXT, "haraka", "What the program is called there.")
    facility: str = setting("main", "facility", FACILITY, "mail", "The facility.")
    message: str = setting("main", "message", choice("json", "text"), "json", "What MESSAGE is: the whole record as JSON, or its text alone; all keys are fields of the journal anyway.")
    loglevel: str = setting("main", "loglevel", LEVEL_OR_SAME, "", _WANTED)
    max_waiting: int = setting("main", "max_waiting", whole(1, 10_000_000), 10_000, "Records that wait while the journal does not take them; more are dropped and counted.")
    always_ok: bool = setting("main", "always_ok", FLAG, False, _ALWAYS_OK)
