"""Records for the journal of systemd, in its native protocol, every key a field of its own."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import struct
from collections.abc import Iterator, Sequence

from mta.plugin import (
    FACILITIES,
    LoggingJournaldSettings,
    LogPlugin,
    LogSender,
    Record,
    passes,
    record_line,
    record_text,
)

DEBUG = 7  # the least important priority there is
TIMEOUT = 10.0  # seconds in which the journal has to take a record
LONGEST_NAME = 64
SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
TOO_LARGE = (errno.EMSGSIZE, errno.ENOBUFS)


def entry(name: str, value: object) -> bytes:
    """One field as the protocol has it: a value with a line end goes with its length in front."""
    data = str(value).encode("utf-8", "backslashreplace")
    if b"\n" not in data:
        return b"%b=%b\n" % (name.encode(), data)
    return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(data)), data)


def field_name(key: str) -> str:
    """The name of a field of the journal: capitals, digits and underscores, 64 at most."""
    return f"HARAKA_{re.sub('[^A-Z0-9_]', '_', key.upper())}"[:LONGEST_NAME]


class Journald(LogPlugin):
    """Records wait in a queue of bounded length for a journal that does not take them; sessions never do."""

    cfg: LoggingJournaldSettings = LoggingJournaldSettings()
    sock: socket.socket | None = None

    def register(self) -> None:
        self.sender = LogSender(self.send, self.complain, self.tell)
        self.change(self.config.settings(LoggingJournaldSettings, on_change=self.change))
        self.server.on_reopen(self.disconnect)

    def change(self, cfg: LoggingJournaldSettings) -> None:
        self.cfg = cfg
        self.sender.max_waiting = cfg.max_waiting
        self.always_ok = cfg.always_ok
        self.disconnect()
        self.listen(cfg.loglevel)

    def take(self, record: Record) -> None:
        if passes(record, self.cfg.loglevel):
            self.sender.put(b"".join(self.fields(record)))

    def fields(self, record: Record) -> Iterator[bytes]:
        """systemd.journal-fields(7), then our own."""
        yield entry(
            "MESSAGE", record_line(record, "json") if self.cfg.message == "json" else record_text(record)
        )
        yield entry("PRIORITY", min(record.level, DEBUG))
        yield entry("SYSLOG_IDENTIFIER", self.cfg.identifier)
        yield entry("SYSLOG_FACILITY", FACILITIES.index(self.cfg.facility))
        yield entry("SYSLOG_PID", os.getpid())
        known = {"level": record.level_name, "uuid": record.uuid, "source": record.origin}
        where = {"hook": record.hook, "plugin": record.plugin}
        for key, value in {**record.fields, **known, **{k: v for k, v in where.items() if v}}.items():
            yield entry(field_name(key), value)

    # ---- in the background

    def send(self, messages: Sequence[bytes]) -> int:
        for number, message in enumerate(messages):
            try:
                self.send_one(message)
            except OSError:
                self.disconnect()
                if number == 0:
                    raise
                return number
        return len(messages)

    def send_one(self, message: bytes) -> None:
        if self.sock is None:
            self.sock = self.connect()
        try:
            self.sock.send(message)
        except OSError as error:
            if error.errno not in TOO_LARGE:
                raise
            self.send_file(self.sock, message)

    def send_file(self, sock: socket.socket, message: bytes) -> None:
        """What a datagram can not hold goes as a sealed file in memory."""
        fd = os.memfd_create("haraka-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(message)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALED)
            socket.send_fds(sock, [b""], [fd])
        finally:
            os.close(fd)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.settimeout(TIMEOUT)
        try:
            sock.connect(self.cfg.socket)
        except OSError:
            sock.close()
            raise
        return sock

    def disconnect(self) -> None:
        if self.sock is not None:
            self.sock.close()
        self.sock = None

    def complain(self, error: OSError) -> None:
        self.logerror(f"cannot send to {self.cfg.socket}: {error}; records wait")

    def tell(self, dropped: int) -> None:
        self.logwarn(f"{dropped} records were dropped: {self.cfg.socket} did not take them")

    def shutdown(self) -> None:
        self.sender.close()
        self.disconnect()
