"""Accept recipients in the domains of host_list and host_list_regex."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mta.plugin import ANTI_SPOOF, DENY, OK, Address, Answer, Connection, Params, Plugin, domain_key


class InHostList(Plugin):
    """Knows which domains are ours; the files are read again when they change."""

    hosts: frozenset[str] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()
    anti_spoof = False

    def register(self) -> None:
        self.load_hosts(self.config.get("host_list", "list", on_change=self.load_hosts))
        self.load_patterns(self.config.get("host_list_regex", "list", on_change=self.load_patterns))
        self.load_anti_spoof(self.config.value(ANTI_SPOOF, on_change=self.load_anti_spoof))

    def load_hosts(self, lines: Iterable[str]) -> None:
        self.hosts = frozenset(map(domain_key, lines))

    def load_patterns(self, lines: Iterable[str]) -> None:
        compiled = map(self.compile, lines)
        self.patterns = tuple(pattern for pattern in compiled if pattern is not None)

    def load_anti_spoof(self, value: bool) -> None:
        self.anti_spoof = value

    def compile(self, line: str) -> re.Pattern[str] | None:
        """One bad line, which the reader has reported, must not cost us the domains in the others."""
        try:
            return re.compile(line, re.IGNORECASE)
        except (re.error, OverflowError, RecursionError):
            return None

    def is_ours(self, host: str) -> bool:
        """True for a domain that we accept mail for; `host` is lower case."""
        if host in self.hosts:
            return True
        return bool(self.patterns and host) and any(pattern.fullmatch(host) for pattern in self.patterns)

    def hook_mail(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # MAIL has opened it
        results = connection.transaction.results
        if mail_from.is_null:
            results.add(self, {"skip": "mail_from.null"})
            return None
        if not self.is_ours(mail_from.host):
            results.add(self, {"msg": "mail_from!local"})
            return None
        if self.anti_spoof and not connection.relaying:
            results.add(self, {"fail": "mail_from.anti_spoof"})
            return DENY, f"Mail from domain '{mail_from.host}' is not allowed from your host"
        results.add(self, {"pass": "mail_from"})
        connection.transaction.notes.local_sender = True
        return None

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # RCPT comes after MAIL
        transaction = connection.transaction
        if self.is_ours(rcpt.host):
            transaction.results.add(self, {"pass": "rcpt_to"})
            return OK
        if connection.relaying and transaction.notes.get("local_sender"):
            transaction.results.add(self, {"pass": "relaying local_sender"})
            return OK
        transaction.results.add(self, {"msg": "rcpt!local"})
        return None
