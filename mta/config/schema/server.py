"""The server itself: smtp.ini, http.ini."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

from mta.config.kinds import (
    FLAG,
    LIST,
    PORTS,
    TEXT,
    WORKERS,
    choice,
    whole,
)
from mta.config.spec import Settings, setting
from mta.record import record

# A field is one line of a file and is read best as one line here.
# fmt: off


@record
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
    user: str = setting("main", "user", TEXT, "", "User to become once ports are open, by name or number; what the server writes is given to it. Empty: stay who starts it.")
    group: str = setting("main", "group", TEXT, "", "Group to become; empty: that of the user.")
    daemonize: bool = setting("main", "daemonize", FLAG, False, "Serve in the background: the command ends when the server is ready, or tells why it can not start.")
    daemon_log_file: str = setting("main", "daemon_log_file", TEXT, "/var/log/haraka.log", "Where the log goes then.")
    daemon_pid_file: str = setting("main", "daemon_pid_file", TEXT, "/var/run/haraka.pid", "File with the number of the process then; while that runs, nobody else starts.")
    graceful_shutdown: bool = setting("main", "graceful_shutdown", FLAG, False, "On SIGINT too, let messages that are coming in finish first (SIGTERM always does).")
    force_shutdown_timeout: int = setting("main", "force_shutdown_timeout", whole(0), 30, "Seconds that a graceful stop may take.")
    worker_timeout: int = setting("main", "worker_timeout", whole(0), 120, "Seconds that a worker may hang before the master ends and replaces it, 3 at least; 0: for ever.")
    plugin_timeout_action: str = setting("main", "plugin_timeout_action", choice("defer", "continue"), "defer", "A plugin that does not answer in time: `defer` tells the client to try later, `continue` asks the next plugin.")
    watchdog_ms: int = setting("main", "watchdog_ms", whole(0, 60000), 100, "A plugin that keeps the event loop busy for more milliseconds than this is reported at WARN, see docs/Blocking.md. 0: never, and how long the loop is held is not counted. Read at start.")
    ignore_bad_plugins: bool = setting("main", "ignore_bad_plugins", FLAG, False, "Start without the plugins that cannot be loaded, instead of not starting.")

    def finish(self, given: frozenset[str]) -> Self:
        """Put the older listen_host and port in front of `listen`, or in place of its default."""
        if not self.port:
            return self
        others = self.listen if "listen" in given else ()
        return replace(self, listen=(f"{self.listen_host}:{self.port}", *others))


@record
class HttpSettings(Settings):
    """http.ini: a small HTTP server for files and for the pages of plugins."""

    FILE: ClassVar[str] = "http.ini"

    listen: tuple[str, ...] = setting("main", "listen", LIST, (), "Addresses to listen on, written as in smtp.ini; the port is 80 unless given, and 443 speaks TLS with the certificate of tls.ini. Empty: no HTTP server.")
    docroot: str = setting("main", "docroot", TEXT, "http/html", "Directory with the files to show; relative to the installation.")
