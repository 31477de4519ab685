"""What all sessions of one server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mta.counts import Counts
from mta.events import Events
from mta.plugin.offload import Threads

if TYPE_CHECKING:
    from mta.config.schema import ConnectionSettings, SmtpSettings
    from mta.logger import Logger
    from mta.net.dns import Resolver
    from mta.net.tls_server import TlsServer
    from mta.plugin.runner import HookRunner
    from mta.smtp.reply import Reply
    from mta.transaction import Transaction


@dataclass(slots=True)
class Service:
    """The worker fills this in; a reload replaces settings in place, and the next command sees them.

    tls: what is needed for encryption; None in a server that does without. threads: for what computes for long.
    events: where sessions tell what happens in them.
    messages: how many were received, put off and rejected since the start. recipients: how many RCPT commands were decided.
    submit: takes a complete transaction, returns once the mail is safe on disk (250) or not (4xx).
    """

    me: str
    version: str
    smtp: SmtpSettings
    settings: ConnectionSettings
    hooks: HookRunner
    logger: Logger
    resolver: Resolver
    submit: Callable[[Transaction], Reply]
    tls: TlsServer | None = None
    threads: Threads = field(default_factory=Threads)
    events: Events = field(default_factory=Events)
    messages: Counts = field(default_factory=Counts)
    recipients: int = 0

    @property
    def product(self) -> str:
        """How the server names itself in greetings and trace fields."""
        return f"Haraka/{self.version}" if self.settings.show_version else "Haraka"
