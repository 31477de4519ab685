"""Real connections, transactions and hook runners for tests of plugins; no server around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Unpack

from mta.config import Config
from mta.connection import Connection, new_uuid
from mta.logger import INFO, Logger
from mta.message.stream import MessageStream
from mta.outbound.compose import Refused, compose
from mta.paths import ETC
from mta.plugin.hooks import Plugin
from mta.plugin.loader import load_plugins
from mta.plugin.runner import HookRunner, TimeoutAction
from mta.plugin.server import Contents, MailOptions, Recipients, Server
from mta.smtp.address import Address
from mta.smtp.reply import Reply
from mta.testing.loading import write_files
from mta.testing.objects import make_connection
from mta.transaction import Transaction


def logger_and_lines(level: int = INFO) -> tuple[Logger, list[str]]:
    """A logger, and the list that its lines go to."""
    lines: list[str] = []
    return Logger(level, write=lines.append), lines


def connection_from(ip: str = "203.0.113.7", *, relaying: bool = False) -> Connection:
    """A session of a client at `ip` that has not said anything yet."""
    logger = logger_and_lines()[0]
    return make_connection(ip, local_ip="127.0.0.1", helo="", relaying=relaying, logger=logger)


def with_mail(
    connection: Connection, mail_from: str = "sender@client.example", rcpts: Sequence[str] = ()
) -> Connection:
    """The same session inside a transaction."""
    connection.tran_count += 1
    sender = Address.parse(mail_from)
    transaction = Transaction(f"{connection.uuid}.{connection.tran_count}", sender, MessageStream())
    transaction.rcpt_to = [Address.parse(rcpt) for rcpt in rcpts]
    connection.transaction = transaction
    return connection


def runner_of(*plugins: Plugin, timeout_action: TimeoutAction = "defer") -> tuple[HookRunner, list[str]]:
    """A runner for plugin objects, each named after its class unless it has a name, and its log lines."""
    logger, lines = logger_and_lines()
    for plugin in plugins:
        plugin.name = plugin.name or type(plugin).__name__.lower()
        plugin.logger = logger
    return HookRunner(plugins, logger, timeout_action), lines


def hmail_to(domain: str) -> SimpleNamespace:
    """As much of a queued mail as hook get_mx looks at."""
    return SimpleNamespace(todo=SimpleNamespace(uuid="UUID.1.1", domain=domain), num_failures=0, notes={})


class StandInServer(Server):
    """What plugins get as their server in tests: notes, and a list of what they sent: sender, recipients, message."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[Address, list[Address], bytes]] = []
        self.on_mail(self)

    def send(
        self, mail_from: Address | str, rcpts: Recipients, contents: Contents, **options: Unpack[MailOptions]
    ) -> Reply:
        """Remember the message, if it is one."""
        try:
            return self.submit(compose(new_uuid(), mail_from, rcpts, contents, options))
        except Refused as refused:
            return refused.reply

    def submit(self, transaction: Transaction) -> Reply:
        """Remember the message."""
        message = transaction.message_stream.get_data()
        self.sent.append((transaction.mail_from, list(transaction.rcpt_to), message))
        return Reply(250, "kept", "2.0.0")


def config_of(install: Path, files: Mapping[str, str], problems: list[str] | None = None) -> Config:
    """The configuration of an installation with these files, over the shipped one."""
    write_files(install / "config", files)
    found = [] if problems is None else problems
    return Config(install, ETC, lambda problem: found.append(str(problem)))


def plugins_of(install: Path, names: Sequence[str], files: Mapping[str, str], logger: Logger) -> list[Plugin]:
    """Bundled plugins, loaded and registered as the server does it."""
    return load_plugins(names, config_of(install, files), logger, StandInServer(), [])


def loaded(name: str, install: Path, files: Mapping[str, str] | None = None) -> tuple[HookRunner, list[str]]:
    """The runner of one bundled plugin, and the log lines."""
    logger, lines = logger_and_lines()
    return HookRunner(plugins_of(install, [name], files or {}, logger), logger), lines
