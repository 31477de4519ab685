"""An access log as web servers write it: one line for each transaction."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

from mta.plugin import (
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    LEVELS,
    Answer,
    Connection,
    Denial,
    LogFiles,
    LoggingApacheSettings,
    Plugin,
    PluginError,
    Record,
)

LAST = 100
CLOCK = "[%d/%b/%Y:%H:%M:%S %z]"
CODES = {DENYSOFT: "450", DENYSOFTDISCONNECT: "421", DENYDISCONNECT: "554"}
DIRECTIVE = re.compile(r"%(?:\{(\w+)\}|>?([A-Za-z%]))")
UNSAFE = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


class Access:
    """One line in the making: a transaction, or a session that had none."""

    def __init__(self, connection: Connection, code: str, size: int, began: float) -> None:
        self.connection = connection
        self.transaction = connection.transaction
        self.code = code
        self.size = size
        self.began = began

    @property
    def protocol(self) -> str:
        """RFC 3848's name for how the mail came."""
        c = self.connection
        if not c.esmtp:
            return "SMTP"
        return f"ESMTP{'S' if c.tls.enabled else ''}{'A' if c.authenticated else ''}"

    @property
    def recipients(self) -> str:
        return ",".join(map(str, self.transaction.rcpt_to)) if self.transaction else ""

    @property
    def sender(self) -> str:
        return str(self.transaction.mail_from) if self.transaction else ""

    @property
    def request(self) -> str:
        if self.transaction is None:
            return f"- {self.protocol}"
        return f"MAIL FROM:{self.sender} RCPT TO:{self.recipients} {self.protocol}"

    @property
    def user(self) -> str:
        return str(self.connection.notes.get("auth_user") or "") if self.connection.authenticated else ""


LETTERS: dict[str, Callable[[Access], object]] = {
    "%": lambda a: "%",
    "h": lambda a: a.connection.remote.host or a.connection.remote.ip,
    "a": lambda a: a.connection.remote.ip,
    "A": lambda a: a.connection.local.ip,
    "p": lambda a: a.connection.local.port,
    "l": lambda a: "",
    "u": lambda a: a.user,
    "t": lambda a: time.strftime(CLOCK, time.localtime(a.began)),
    "r": lambda a: a.request,
    "s": lambda a: a.code,
    "b": lambda a: a.size or "",
    "B": lambda a: a.size,
    "D": lambda a: int((time.time() - a.began) * 1_000_000),
    "T": lambda a: int(time.time() - a.began),
    "P": lambda a: os.getpid(),
    "v": lambda a: a.connection.local.host,
    "H": lambda a: a.protocol,
}
NAMES: dict[str, Callable[[Access], object]] = {
    "helo": lambda a: a.connection.hello.host,
    "uuid": lambda a: a.transaction.uuid if a.transaction else a.connection.uuid,
    "from": lambda a: a.sender,
    "to": lambda a: a.recipients,
    "tls": lambda a: a.connection.tls.cipher,
    "mid": lambda a: a.transaction.header.get("Message-Id").strip() if a.transaction else "",
    "reply": lambda a: a.connection.last_reject,
}


def fill(format: str, access: Access) -> str:
    """The line; what is empty is a dash, and nothing that a client says ends the line or its quotes."""

    def value(found: re.Match[str]) -> str:
        get = NAMES[found[1]] if found[1] else LETTERS[found[2]]
        return (
            UNSAFE.sub(
                lambda bad: f"\\{bad[0]}" if bad[0] in '"\\' else f"\\x{ord(bad[0]):02x}", str(get(access))
            )
            or "-"
        )

    return DIRECTIVE.sub(value, format)


def check(format: str) -> None:
    """Raise PluginError for a directive that there is not."""
    for found in DIRECTIVE.finditer(format):
        if (found[1] and found[1] not in NAMES) or (found[2] and found[2] not in LETTERS):
            names = ", ".join([*(f"%{letter}" for letter in LETTERS), *(f"%{{{name}}}" for name in NAMES)])
            raise PluginError(f"logging_apache.ini: format: there is no {found[0]}; allowed: {names}")


class Apache(Plugin):
    """Writes into a file of its own; other loggers and standard output go on as they would."""

    cfg: LoggingApacheSettings = LoggingApacheSettings()

    def register(self) -> None:
        self.verdicts: WeakKeyDictionary[Connection, tuple[str, int]] = WeakKeyDictionary()
        self.rejects: WeakKeyDictionary[Connection, str] = WeakKeyDictionary()
        self.files = LogFiles(self.complain)
        cfg = self.config.settings(LoggingApacheSettings, on_change=self.change)
        check(cfg.format)
        self.cfg = cfg
        self.log_level = LEVELS["NOTICE"]
        self.server.on_reopen(self.files.reopen)
        for hook in ("reset_transaction", "disconnect"):
            self.register_hook(hook, f"on_{hook}", LAST)
        self.register_hook("deny", "on_deny", -LAST)

    def change(self, cfg: LoggingApacheSettings) -> None:
        try:
            check(cfg.format)
        except PluginError as error:
            self.logerror(f"{error}; the access log goes on as it was")
        else:
            self.cfg = cfg

    # ---- what becomes of a mail

    def hook_log(self, record: Record) -> Answer:
        """The server says with which code a message was answered."""
        if record.message == "message" and record.origin == "core" and record.connection is not None:
            code, size = record.fields.get("code"), record.fields.get("size")
            self.verdicts[record.connection] = str(code), size if isinstance(size, int) else 0
        return None

    def on_deny(self, connection: Connection, denial: Denial) -> Answer:
        self.verdicts[connection] = CODES.get(denial.code, "550"), 0
        return None

    def on_reset_transaction(self, connection: Connection) -> Answer:
        if connection.transaction is not None:
            code, size = self.verdicts.pop(connection, ("", 0))
            self.write(
                Access(connection, code or self.rejected(connection), size, connection.transaction.start_time)
            )
        return None

    def rejected(self, connection: Connection) -> str:
        """The code of the last refusal, if that was not told with the line before."""
        last = connection.last_reject
        before, self.rejects[connection] = self.rejects.get(connection, ""), last
        return last[:3] if last != before else ""

    def on_disconnect(self, connection: Connection) -> Answer:
        if not connection.tran_count:
            self.write(Access(connection, connection.last_reject[:3], 0, connection.start_time))
        return None

    # ---- the file

    def write(self, access: Access) -> None:
        path = time.strftime(self.cfg.path) if "%" in self.cfg.path else self.cfg.path
        home: Path = self.config.directory.parent
        self.files.write(home / path, fill(self.cfg.format, access))

    def complain(self, path: str, error: OSError) -> None:
        self.logerror(f"cannot write {path}: {error.strerror}")

    def shutdown(self) -> None:
        self.files.close()
