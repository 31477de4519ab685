"""Limit how much one client, sender or recipient may do: at the same time, in a connection, or in a time."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from mta.plugin import (
    DENYSOFT,
    DENYSOFTDISCONNECT,
    Address,
    Answer,
    Code,
    Connection,
    LimitPluginSettings,
    Params,
    Plugin,
    Rate,
    RateLimit,
)

MAX_KEYS = 50_000  # clients, senders or recipients that are remembered for one rate
LONGEST_VERB = 12  # a longer one may be a password in the wrong place, and is not noted

T = TypeVar("T")


class History(NamedTuple, Generic[T]):
    """What a client is allowed by how it has behaved before, as a plugin remembers it."""

    plugin: str
    good: T
    bad: T
    none: T

    def choose(self, behaviour: float) -> T:
        return self.good if behaviour > 0 else self.bad if behaviour < 0 else self.none


def history_of(is_on: bool, plugin: str, allowed: tuple[T, T, T]) -> History[T] | None:
    return History(plugin, *allowed) if is_on else None


class Rates(NamedTuple):
    """One section: the rate of each name that has one, in lower case, and that of all others."""

    section: str
    names: Mapping[str, Rate]
    default: Rate
    history: History[Rate] | None = None

    @classmethod
    def of(
        cls, section: str, names: Mapping[str, Rate], default: Rate, history: History[Rate] | None = None
    ) -> Rates:
        return cls(section, {name.lower(): rate for name, rate in names.items()}, default, history)

    def find(self, names: Iterable[str]) -> tuple[str, Rate] | None:
        """The first of these names that has a rate."""
        return next(((name, self.names[name]) for name in names if name in self.names), None)

    def every(self) -> set[Rate]:
        return {self.default, *self.names.values(), *(self.history[1:] if self.history else ())}


class Limit(Plugin):
    """Each section of limit.ini is one of nine independent parts; only what is on at the start is registered."""

    timeout = 0.0  # the delay may be longer than any plugin should take, and nothing else waits
    cfg = LimitPluginSettings()
    concurrency_history: History[int] | None = None
    recipients_history: History[int] | None = None
    rate_conn_history: History[Rate] | None = None

    def register(self) -> None:
        self.open: dict[str, int] = {}  # connections of a client
        self.counted: dict[str, str] = {}  # which client the uuid of a connection was counted for
        self.limits: dict[tuple[str, Rate], RateLimit] = {}
        self.strangers: set[str] = set()  # history plugins that know nothing, and have been complained about
        self.load(self.config.settings(LimitPluginSettings, on_change=self.load))
        self.register_connection()
        self.register_recipients()

    def load(self, cfg: LimitPluginSettings) -> None:
        self.cfg = cfg
        self.load_histories(cfg)
        conn = self.rate_conn_history
        self.conn = Rates.of("rate_conn", cfg.rate_conn_names, cfg.rate_conn_default, conn)
        self.host = Rates.of("rate_rcpt_host", cfg.rate_rcpt_host_names, cfg.rate_rcpt_host_default)
        self.sender = Rates.of("rate_rcpt_sender", cfg.rate_rcpt_sender_names, cfg.rate_rcpt_sender_default)
        self.rcpt = Rates.of("rate_rcpt", cfg.rate_rcpt_names, cfg.rate_rcpt_default)
        self.null = Rates.of("rate_rcpt_null", cfg.rate_rcpt_null_names, cfg.rate_rcpt_null_default)
        every = (self.conn, self.host, self.sender, self.rcpt, self.null)
        wanted = {(rates.section, rate) for rates in every for rate in rates.every()}
        # What was counted by a rate that is still there counts on.
        self.limits = {key: limit for key, limit in self.limits.items() if key in wanted}

    def load_histories(self, cfg: LimitPluginSettings) -> None:
        self.concurrency_history = history_of(
            cfg.concurrency_history,
            cfg.concurrency_history_plugin,
            (cfg.concurrency_history_good, cfg.concurrency_history_bad, cfg.concurrency_history_none),
        )
        self.recipients_history = history_of(
            cfg.recipients_history,
            cfg.recipients_history_plugin,
            (cfg.recipients_history_good, cfg.recipients_history_bad, cfg.recipients_history_none),
        )
        self.rate_conn_history = history_of(
            cfg.rate_conn_history,
            cfg.rate_conn_history_plugin,
            (cfg.rate_conn_history_good, cfg.rate_conn_history_bad, cfg.rate_conn_history_none),
        )

    def register_connection(self) -> None:
        if self.cfg.concurrency:
            self.register_hook("connect", self.max_concurrency)
            self.register_hook("disconnect", self.closed)
        if self.cfg.rate_conn:
            self.register_hook("connect", self.rate_conn)
        if self.cfg.unrecognized_commands:
            # Last: AUTH and STARTTLS are known to plugins only.
            self.register_hook("unrecognized_command", self.max_unrecognized_commands, 100)
        if self.cfg.errors:
            for hook in ("helo", "ehlo", "mail", "rcpt", "data"):
                self.register_hook(hook, self.max_errors)

    def register_recipients(self) -> None:
        for is_on, method in (
            (self.cfg.recipients, self.max_recipients),
            (self.cfg.rate_rcpt_host, self.rate_rcpt_host),
            (self.cfg.rate_rcpt_sender, self.rate_rcpt_sender),
            (self.cfg.rate_rcpt_null, self.rate_rcpt_null),
            (self.cfg.rate_rcpt, self.rate_rcpt),
        ):
            if is_on:
                self.register_hook("rcpt", method)

    def refuse(self, connection: Connection, found: str, code: Code, text: str) -> Answer:
        """Whoever does too much waits for the answer, too."""
        connection.results.add(self, {"fail": found})
        delay = self.cfg.tarpit_delay
        if delay:
            self.loginfo(f"tarpitting for {delay:g}s", connection)
            time.sleep(delay)
        return code, text

    # ---- at the same time

    def max_concurrency(self, connection: Connection) -> Answer:
        """Asked again behind XCLIENT: the connection is another client's then."""
        self.closed(connection)
        if not self.cfg.concurrency:
            return None
        client = client_of(connection.remote.ip)
        count = self.open[client] = self.open.get(client, 0) + 1
        self.counted[connection.uuid] = client
        limit = self.by_history(connection, self.concurrency_history, self.cfg.concurrency_max)
        if not limit or count <= limit:
            return None
        connection.results.add(self, {"concurrent": f"{count}/{limit}"})
        return self.refuse(
            connection, "concurrency.max", DENYSOFTDISCONNECT, "Too many concurrent connections"
        )

    def closed(self, connection: Connection) -> Answer:
        client = self.counted.pop(connection.uuid, None)
        if client is not None:
            self.open[client] -= 1
            if not self.open[client]:
                del self.open[client]
        return None

    def by_history(self, connection: Connection, history: History[T] | None, otherwise: T) -> T:
        behaviour = self.behaviour(connection, history.plugin) if history else None
        return otherwise if history is None or behaviour is None else history.choose(behaviour)

    def behaviour(self, connection: Connection, plugin: str) -> float | None:
        """How the client has behaved: above 0 well, below badly; None when the plugin does not know it."""
        found = connection.results.get(plugin)
        if found is None and plugin not in self.strangers:
            self.strangers.add(plugin)
            self.logwarn(f"plugin {plugin} has no results; its history is not used", connection)
        try:
            return float(found["history"]) if found else None
        except (KeyError, TypeError, ValueError):
            return None

    # ---- in a connection

    def max_unrecognized_commands(self, connection: Connection, verb: str, argument: str) -> Answer:
        limit = self.cfg.unrecognized_commands_max
        if not limit or not self.cfg.unrecognized_commands:
            return None
        connection.results.push(self, {"unrec_cmds": verb if len(verb) <= LONGEST_VERB else "..."})
        found = connection.results.get(self)
        if found is None or len(found["unrec_cmds"]) <= limit:
            return None
        return self.refuse(connection, "unrec_cmds.max", DENYSOFTDISCONNECT, "Too many unrecognized commands")

    def max_errors(self, connection: Connection, *args: Any) -> Answer:
        if not 0 < self.cfg.errors_max < connection.errors or not self.cfg.errors:
            return None
        return self.refuse(connection, "errors.max", DENYSOFTDISCONNECT, "Too many errors")

    def max_recipients(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        limit = self.recipients_limit(connection)
        count = connection.rcpt_count
        if not 0 < limit < count.accept + count.tempfail + count.reject + 1 or not self.cfg.recipients:
            return None
        return self.refuse(connection, "recipients.max", DENYSOFT, "Too many recipient attempts")

    def recipients_limit(self, connection: Connection) -> int:
        cfg = self.cfg
        if cfg.recipients_max_relaying and connection.relaying:
            return cfg.recipients_max_relaying
        return self.by_history(connection, self.recipients_history, cfg.recipients_max)

    # ---- in a time

    def rate_conn(self, connection: Connection) -> Answer:
        if not self.cfg.rate_conn or self.takes_host(self.conn, connection):
            return None
        return self.refuse(connection, "rate_conn", DENYSOFTDISCONNECT, "connection rate limit exceeded")

    def rate_rcpt_host(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        if not self.cfg.rate_rcpt_host or self.takes_host(self.host, connection):
            return None
        return self.refuse(connection, "rate_rcpt_host", DENYSOFT, "recipient rate limit exceeded")

    def rate_rcpt_sender(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # RCPT comes after MAIL
        sender = connection.transaction.mail_from
        if not self.cfg.rate_rcpt_sender or sender.is_null or self.takes_mail(self.sender, sender):
            return None
        return self.refuse(connection, "rate_rcpt_sender", DENYSOFT, "rcpt rate limit exceeded")

    def rate_rcpt_null(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # RCPT comes after MAIL
        is_bounce = connection.transaction.mail_from.is_null
        if not self.cfg.rate_rcpt_null or not is_bounce or self.takes_mail(self.null, rcpt):
            return None
        return self.refuse(connection, "rate_rcpt_null", DENYSOFT, "null recip rate limit")

    def rate_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        if not self.cfg.rate_rcpt or self.takes_mail(self.rcpt, rcpt):
            return None
        return self.refuse(connection, "rate_rcpt", DENYSOFT, "rate limit exceeded")

    def takes_host(self, rates: Rates, connection: Connection) -> bool:
        """Count one more for the client, or for all that its name in the file stands for; False when that is too much."""
        ip = connection.remote.ip
        named = rates.find(names_of_host(ip, connection.remote.host)) if rates.names else None
        if named is not None:
            return self.takes(rates.section, *named)
        rate = self.by_history(connection, rates.history, rates.default)
        return self.takes(rates.section, client_of(ip), rate)

    def takes_mail(self, rates: Rates, address: Address) -> bool:
        """The same for an address."""
        named = rates.find(names_of_mail(address)) if rates.names else None
        return self.takes(rates.section, *(named or (address.address.lower(), rates.default)))

    def takes(self, section: str, key: str, rate: Rate) -> bool:
        if not rate.count:
            return True
        limit = self.limits.get((section, rate))
        if limit is None:
            limit = self.limits[section, rate] = RateLimit(rate, MAX_KEYS)
        return limit.take(key)


@lru_cache(maxsize=4096)
def client_of(ip: str) -> str:
    """Who is counted: an IPv4 address, or the /64 of an IPv6 address, for a client has all of that."""
    if ":" not in ip:
        return ip
    return str(ipaddress.ip_network((ip, 64), strict=False))


def names_of_host(ip: str, host: str | None) -> Iterator[str]:
    """The address and what it begins with, in whole parts, then the host name and what it ends with."""
    if ":" in ip:
        groups = [f"{int(group, 16):x}" for group in ipaddress.IPv6Address(ip).exploded.split(":")]
        yield from (":".join(groups[:count]) for count in range(len(groups), 0, -1))
    else:
        parts = ip.split(".")
        yield from (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    if host:
        yield from names_of_domain(host.lower())


def names_of_mail(address: Address) -> Iterator[str]:
    """The address in lower case, then its domain and what that ends with."""
    yield address.address.lower()
    yield from names_of_domain(address.host)


def names_of_domain(domain: str) -> Iterator[str]:
    labels = domain.split(".")
    return (".".join(labels[start:]) for start in range(len(labels)))
