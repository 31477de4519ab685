"""Log lines for syslog: the machine's own socket, or a server over UDP, TCP or TLS."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from mta.plugin import (
    FACILITIES,
    LEVELS,
    LogPlugin,
    LogSender,
    PluginError,
    Record,
    SyslogSettings,
    passes,
    record_text,
)

DEBUG = 7  # the least important severity there is: PROTOCOL and DATA have none of their own
PORTS = {"udp": 514, "tcp": 514, "tls": 6514}  # RFC 5426 3.3, RFC 6587, RFC 5425 4.1
TIMEOUT = 10.0  # seconds in which a server has to take what it is sent
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ENTERPRISE = "haraka@32473"  # RFC 5424 6.3.2, with the number that RFC 5612 leaves to anybody
NOT_NAMED = re.compile(r"[^!-~]+")


class Form:
    """Messages as the settings want them."""

    def __init__(self, cfg: SyslogSettings) -> None:
        self.facility = FACILITIES.index(cfg.facility) * 8
        self.severity = min(LEVELS[cfg.priority], DEBUG) if cfg.priority else None
        self.name = NOT_NAMED.sub("_", cfg.name)[:48] or "-"  # RFC 5424 6.2.5
        self.host = NOT_NAMED.sub("_", socket.gethostname())[:255] or "-"
        self.pid = str(os.getpid()) if cfg.pid else ""
        self.max_size = cfg.max_size
        self.is_local = "://" not in cfg.server

    def message(self, record: Record) -> bytes:
        severity = min(record.level, DEBUG) if self.severity is None else self.severity
        text = f"[{record.uuid}] [{record.origin}] {record_text(record)}"
        head = self.local(record) if self.is_local else self.remote(record)
        return cut(f"<{self.facility + severity}>{head} {text}".encode("utf-8", "replace"), self.max_size)

    def local(self, record: Record) -> str:
        """What the C library sends to /dev/log, RFC 3164 without the host."""
        now = time.localtime(record.time)
        clock = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
        return f"{clock} {self.name}{f'[{self.pid}]' if self.pid else ''}:"

    def remote(self, record: Record) -> str:
        """RFC 5424 6: version, time, host, program, process, kind of message, and data by names."""
        seconds, fraction = divmod(int(record.time * 1_000_000), 1_000_000)
        clock = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:06}Z"
        known = {
            "level": record.level_name,
            "uuid": record.uuid,
            "source": record.origin,
            "hook": record.hook,
        }
        data = " ".join(f'{name}="{quoted(value)}"' for name, value in known.items() if value)
        return f"1 {clock} {self.host} {self.name} {self.pid or '-'} - [{ENTERPRISE} {data}]"


def quoted(value: str) -> str:
    """A value of RFC 5424 6.3.3."""
    return re.sub(r'(["\\\]])', r"\\\1", re.sub(r"[\x00-\x1f\x7f]", "?", value))


def cut(message: bytes, size: int) -> bytes:
    """At most so many bytes, and no half character at the end."""
    return message if len(message) <= size else message[:size].decode("utf-8", "ignore").encode()


class Socket:
    """A connection to one server, made when it is needed."""

    def __init__(self, cfg: SyslogSettings, context: ssl.SSLContext | None) -> None:
        self.context = context
        self.by_newline = cfg.framing == "newline" and context is None
        self.path = cfg.server.removeprefix("unix:") if "://" not in cfg.server else ""
        self.kind = "unix" if self.path else urlsplit(cfg.server).scheme
        if not self.path:
            parts = urlsplit(cfg.server)
            self.address = (parts.hostname or "", parts.port or PORTS[self.kind])
        self.sock: socket.socket | None = None
        self.is_stream = self.kind in ("tcp", "tls")

    def send(self, messages: Sequence[bytes]) -> int:
        """Send messages; how many it were. Raises OSError when there is nobody who takes them."""
        try:
            sock = self.sock = self.sock or self.connect()
            if not self.is_stream:
                return self.send_each(sock, messages)
            self.check(sock)
            sock.sendall(b"".join(map(self.framed, messages)))
            return len(messages)
        except OSError:
            self.close()
            raise

    def send_each(self, sock: socket.socket, messages: Sequence[bytes]) -> int:
        for number, message in enumerate(messages):
            try:
                self.send_one(sock, message)
            except OSError:
                if number == 0:
                    raise
                return number
        return len(messages)

    def send_one(self, sock: socket.socket, message: bytes) -> None:
        """One datagram; a socket that takes none of that size gets the beginning."""
        while True:
            try:
                sock.send(message)
                return
            except OSError as error:
                if error.errno != errno.EMSGSIZE or len(message) < 480:
                    raise
                message = cut(message, len(message) // 2)

    def check(self, sock: socket.socket) -> None:
        """A server never says anything (RFC 6587 3.1): what can be read is the end, and what we would send were lost."""
        if self.context is not None:
            return
        sock.setblocking(False)
        try:
            if not sock.recv(4096):
                raise ConnectionResetError(errno.ECONNRESET, "the syslog server has closed the connection")
        except BlockingIOError:
            pass  # nothing to read: all is well
        finally:
            sock.settimeout(TIMEOUT)

    def framed(self, message: bytes) -> bytes:
        """RFC 6587 3.4.1, RFC 5425 4.3: the length in front; or RFC 6587 3.4.2: a line end behind."""
        return message + b"\n" if self.by_newline or self.path else b"%d %b" % (len(message), message)

    def connect(self) -> socket.socket:
        if self.path:
            return self.connect_path()
        if self.kind == "udp":
            family, kind, number, _, address = socket.getaddrinfo(*self.address, type=socket.SOCK_DGRAM)[0]
            sock = socket.socket(family, kind, number)
            sock.settimeout(TIMEOUT)
            sock.connect(address)
            return sock
        sock = socket.create_connection(self.address, TIMEOUT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.context is None:
            return sock
        try:
            return self.context.wrap_socket(sock, server_hostname=self.address[0])
        except BaseException:
            sock.close()
            raise

    def connect_path(self) -> socket.socket:
        """A datagram socket, or one of those that want a stream."""
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            sock = socket.socket(socket.AF_UNIX, kind)
            sock.settimeout(TIMEOUT)
            try:
                sock.connect(self.path)
            except OSError as error:
                sock.close()
                if error.errno != errno.EPROTOTYPE or kind == socket.SOCK_STREAM:
                    raise
            else:
                self.is_stream = kind == socket.SOCK_STREAM
                return sock
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.close()
        self.sock = None


class Syslog(LogPlugin):
    """Lines wait in a queue of bounded length for a server that does not answer; sessions never do."""

    cfg: SyslogSettings = SyslogSettings()

    def register(self) -> None:
        self.cfg = self.config.settings(SyslogSettings, on_change=self.change)
        self.connect(self.context(self.cfg))
        self.sender = LogSender(self.send, self.complain, self.tell, self.cfg.max_waiting)
        self.server.on_reopen(self.reconnect)

    def change(self, cfg: SyslogSettings) -> None:
        """Follow the file; what is wrong with certificates leaves everything as it was."""
        try:
            context = self.context(cfg)
        except PluginError as error:
            self.logerror(f"{error}; syslog goes on as it was")
            return
        self.cfg = cfg
        self.sender.max_waiting = cfg.max_waiting
        self.connect(context)

    def connect(self, context: ssl.SSLContext | None) -> None:
        self.form = Form(self.cfg)
        self.socket = Socket(self.cfg, context)
        self.always_ok = self.cfg.always_ok
        self.listen(self.cfg.loglevel)

    def reconnect(self) -> None:
        """SIGHUP: the next line looks for the server anew, and reads the certificates anew."""
        self.change(self.cfg)

    def context(self, cfg: SyslogSettings) -> ssl.SSLContext | None:
        if not cfg.server.startswith("tls:"):
            return None
        below = self.config.directory
        try:
            context = ssl.create_default_context(cafile=os.fspath(below / cfg.ca) if cfg.ca else None)
            if cfg.cert:
                context.load_cert_chain(below / cfg.cert, below / cfg.key if cfg.key else None)
        except (OSError, ssl.SSLError) as error:
            raise PluginError(f"syslog.ini: cannot read ca, cert or key: {error}") from error
        return context

    def take(self, record: Record) -> None:
        if passes(record, self.cfg.loglevel):
            self.sender.put(self.form.message(record))

    def send(self, messages: Sequence[bytes]) -> int:
        return self.socket.send(messages)

    def complain(self, error: OSError) -> None:
        self.logerror(f"cannot send to {self.cfg.server}: {error}; lines wait")

    def tell(self, dropped: int) -> None:
        self.logwarn(f"{dropped} log lines were dropped: {self.cfg.server} did not take them")

    def shutdown(self) -> None:
        self.sender.close()
        self.socket.close()
