"""The domains that mail is accepted for, as the files host_list and host_list_regex name them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mta.plugin.domains import domain_key

if TYPE_CHECKING:
    from mta.config import Config


class HostList:
    """Our domains; config: a plugin's. The files are read again when they change."""

    __slots__ = ("_hosts", "_patterns")

    def __init__(self, config: Config) -> None:
        self._load_hosts(config.get("host_list", "list", on_change=self._load_hosts))
        self._load_patterns(config.get("host_list_regex", "list", on_change=self._load_patterns))

    def has(self, host: str) -> bool:
        """True for a domain that is one of ours; `host` is in the form of `rcpt.host`."""
        if host in self._hosts:
            return True
        return bool(self._patterns and host) and any(pattern.fullmatch(host) for pattern in self._patterns)

    def _load_hosts(self, lines: Iterable[str]) -> None:
        self._hosts = frozenset(map(domain_key, lines))

    def _load_patterns(self, lines: Iterable[str]) -> None:
        self._patterns = tuple(pattern for pattern in map(_compiled, lines) if pattern is not None)


def _compiled(line: str) -> re.Pattern[str] | None:
    """One bad line, which the reader has reported, must not cost us the domains in the others."""
    try:
        return re.compile(line, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError):
        return None
