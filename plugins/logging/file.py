"""Log lines in files, whose names may hold the time and the connection, or for a command that reads them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from pathlib import Path
from weakref import WeakKeyDictionary

from mta.plugin import (
    OK,
    Answer,
    Connection,
    LogFiles,
    LoggingFileSettings,
    LogPlugin,
    LogWriter,
    PluginError,
    Record,
    passes,
    record_line,
)

NO_SESSION = "parent"
SESSION = "\ue000"  # stands for %i, which strftime would not leave alone
START_AGAIN = 1.0  # seconds after which a command that has ended is started once more


class Command:
    """A program that reads the lines, started with the first; one that ends is started again with a later line."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.process: subprocess.Popen[bytes] | None = None
        self.fd = -1
        self.began = 0.0

    def write(self, line: str) -> None:
        if self.process is None:
            self.process, pipe = self.start()
            self.fd = pipe  # for good: programs that follow are put behind the same number
            self.writer = LogWriter(self.fd)
        elif self.process.poll() is not None and time.monotonic() - self.began > START_AGAIN:
            self.process, pipe = self.start()
            os.dup2(pipe, self.fd, inheritable=False)
            os.close(pipe)
        self.writer.write(line)

    def start(self) -> tuple[subprocess.Popen[bytes], int]:
        """The program, and the descriptor of its input."""
        self.began = time.monotonic()
        process = subprocess.Popen(self.command, shell=True, stdin=subprocess.PIPE)
        assert process.stdin is not None
        pipe = os.dup(process.stdin.fileno())
        process.stdin.close()
        return process, pipe

    def close(self) -> None:
        """Let the program read to the end; one that does not read is left to itself."""
        if self.process is not None and self.writer.close():
            os.close(self.fd)


class Place:
    """Where the lines of one section go, and what they look like."""

    def __init__(self, cfg: LoggingFileSettings, home: Path, files: LogFiles) -> None:
        self.cfg = cfg
        self.files = files
        self.home = home
        self.pattern = re.sub("%(.)", lambda found: SESSION if found[1] == "i" else found[0], cfg.path)
        self.command = Command(cfg.path[1:].strip()) if cfg.path.startswith("|") else None
        self.head = f"{socket.gethostname()}[{os.getpid()}]:"
        self.met: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()
        self.second = (-1, "")
        self.stamp = (-1, "")

    def take(self, record: Record) -> bool:
        """Write a record if it is important enough; True when it need not go to standard output as well."""
        if not passes(record, self.cfg.loglevel):
            return False
        if self.command is not None:
            self.command.write(self.line(record))
        else:
            self.files.write(self.path(record), self.line(record))
        return self.cfg.always_ok

    def line(self, record: Record) -> str:
        if self.cfg.format != "default":
            return record_line(record, self.cfg.format, True)
        if int(record.time) != self.stamp[0]:
            self.stamp = int(record.time), time.strftime(self.cfg.tsformat, time.localtime(record.time))
        return f"{self.stamp[1]} {self.head} {record_line(record)}"

    def path(self, record: Record) -> str:
        """The file for a record; a connection that is met for the first time may have it opened anew."""
        connection = record.connection
        first = self.met.get(connection) if connection is not None else None
        if first is not None and self.cfg.nosplit:
            return first
        path = self.expand(record)
        if connection is not None and first is None:
            self.met[connection] = path
            if self.cfg.reopen:
                self.files.reopen()
        return path

    def expand(self, record: Record) -> str:
        """The pattern filled in for the moment and the session of a record."""
        if int(record.time) != self.second[0]:
            text = time.strftime(self.pattern, time.localtime(record.time))
            self.second = int(record.time), os.fspath(self.home / text)
        session = record.uuid.split(".")[0] if record.uuid != "-" else NO_SESSION
        return self.second[1].replace(SESSION, session.replace("/", "_"))


class File(LogPlugin):
    """One file for the section [main], and one more for each other section of logging_file.ini."""

    files: LogFiles
    places: tuple[Place, ...] = ()

    def register(self) -> None:
        self.files = LogFiles(self.complain)
        self.main = self.config.settings(LoggingFileSettings, on_change=self.change_main)
        self.others = self.config.named(LoggingFileSettings, on_change=self.change_others)
        if not self.main.path:
            raise PluginError("logging_file.ini: path is empty")
        self.open()
        self.server.on_reopen(self.files.reopen)

    def change_main(self, cfg: LoggingFileSettings) -> None:
        self.main = cfg
        self.open()

    def change_others(self, others: dict[str, LoggingFileSettings]) -> None:
        self.others = others
        self.open()

    def open(self) -> None:
        """Take the settings as they are now."""
        sections = [self.main, *self.others.values()]
        before, home = self.places, self.config.directory.parent
        self.places = tuple(Place(cfg, home, self.files) for cfg in sections if cfg.path)
        self.listen(*(cfg.loglevel for cfg in sections))
        for place in before:
            if place.command is not None:
                place.command.close()

    def take(self, record: Record) -> None:
        self.hook_log(record)

    def hook_log(self, record: Record) -> Answer:
        taken = [place.take(record) for place in self.places]
        return OK if any(taken) else None

    def complain(self, path: str, error: OSError) -> None:
        self.logerror(f"cannot write {path}: {error.strerror}")

    def shutdown(self) -> None:
        self.files.close()
        for place in self.places:
            if place.command is not None:
                place.command.close()
