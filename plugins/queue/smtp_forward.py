"""Hand each message to another SMTP server while the client waits, and answer with that server's reply."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal, NamedTuple

from mta.plugin import (
    DENY,
    DENYSOFT,
    DSN,
    OK,
    Address,
    Answer,
    Connection,
    ConnectionPoolSettings,
    Forwarder,
    HMail,
    HostHealth,
    NextHop,
    Params,
    Plugin,
    Reply,
    Timeouts,
    Transaction,
    domain_key,
    is_ip,
    read_pool,
    taking_turns,
)

FILE = "smtp_forward.ini"
FLAGS = (
    *(f"-main.{key}" for key in ("enable_outbound", "enable_tls", "check_sender", "check_recipient")),
    *(f"*.{key}" for key in ("enable_outbound", "enable_tls", "using_lmtp", "one_message_per_rcpt")),
    *("+main.keep_connections", "*.keep_connections"),
)
LOGIN = ("auth_type", "auth_user", "auth_pass", "auth_pass_file", "auth_pass_env")
WAY = ("host", "forwarding_host_pool", "bind", "bind_helo", "queue", "domain_selector")
TEXTS = tuple(f"*.{key}" for key in (*WAY, *LOGIN))
MAIN = "main"
SMTP_PORT, LMTP_PORT = 25, 24
OURS, OUTBOUND = "smtp_forward", "outbound"  # queues, as notes.queue.wants has them

# What a section with a server of its own has from [main] all the same: nothing that is about another server.
SHARED = (
    "enable_tls",
    "enable_outbound",
    "connect_timeout",
    "idle_timeout",
    "bind",
    "bind_helo",
    "one_message_per_rcpt",
    "queue",
    "keep_connections",
    "connection_messages",
    "connection_lifetime",
    "connection_idle",
    "connection_per_site_idle",
)

Section = Mapping[str, Any]
Replies = Mapping[Address, Reply]


class Way(NamedTuple):
    """How to reach a server, or several that share the mail; connect_timeout in seconds."""

    hops: tuple[NextHop, ...]
    connect_timeout: float
    timeouts: Timeouts
    connections: ConnectionPoolSettings


@dataclass(frozen=True, slots=True)
class Target:
    """Where the mail of a section goes. queue: who takes mail for its recipients, ourselves as a rule."""

    forwarder: Forwarder
    one_by_one: bool
    enable_outbound: bool
    queue: str


class SmtpForward(Plugin):
    """Forwards at hook queue, and with enable_outbound at queue_outbound too.

    It keeps nothing: OK is answered only when the next server has taken the message for every recipient.
    """

    timeout = 0.0
    """None: each step of the conversation has its own, and to give up after the final dot is to deliver twice."""
    helo = ""
    forwarders: Mapping[Way, Forwarder] = {}
    targets: Mapping[str, Target] = {}
    main: Target
    by_sender = False
    checks_sender = False
    checks_recipient = False

    def register(self) -> None:
        self.helo = str(self.config.get("me"))
        self.load(self.config.get(FILE, booleans=FLAGS, text=TEXTS, on_change=self.reload))
        if self.checks_sender:
            self.register_hook("mail", self.check_sender)
        if self.checks_recipient:
            self.register_hook("rcpt", self.check_recipient)
            self.register_hook("data", self.queue_outbound_if_wanted, -100)

    def reload(self, ini: Mapping[str, Section]) -> None:
        try:
            self.load(ini)
        except ValueError as error:
            self.logerror(f"{error}; the settings stay as they were")

    def load(self, ini: Mapping[str, Section]) -> None:
        """Raises ValueError, naming the section, when a target can not be used."""
        main = ini[MAIN]
        seconds = positive(main, "dead_forwarding_host_retry_secs", 10)
        health = HostHealth(self.logger, seconds, seconds, origin=self.name)
        before = self.forwarders
        made: dict[Way, Forwarder] = {}
        targets = {section_key(name): self.target(name, ini, made) for name in ini if name != MAIN}
        self.main = self.target(MAIN, ini, made)
        for forwarder in made.values():
            forwarder.health = health
        self.targets, self.forwarders = targets, made
        self.by_sender = main.get("domain_selector") == "mail_from"
        self.checks_sender, self.checks_recipient = main["check_sender"], main["check_recipient"]
        Forwarder.close_all(before[way] for way in before.keys() - made.keys())

    def shutdown(self) -> None:
        Forwarder.close_all(self.forwarders.values())

    def target(self, name: str, ini: Mapping[str, Section], made: dict[Way, Forwarder]) -> Target:
        section = settings_for(name, ini)
        try:
            way = way_of(section, self.password_of(section))
        except ValueError as error:
            raise ValueError(f"{FILE} [{name}]: {error}") from None
        if way not in made:
            made[way] = self.forwarders.get(way) or self.forwarder(way)
        return Target(
            made[way],
            bool(section.get("one_message_per_rcpt")),
            bool(section.get("enable_outbound")),
            section.get("queue") or OURS,
        )

    def forwarder(self, way: Way) -> Forwarder:
        return Forwarder(
            self,
            way.hops,
            helo=self.helo,
            connect_timeout=way.connect_timeout,
            timeouts=way.timeouts,
            connections=way.connections,
        )

    def password_of(self, section: Section) -> str | None:
        password = section.get("auth_pass")
        if file := section.get("auth_pass_file"):
            lines = self.config.get(file, "data")
            password = str(lines[0]) if lines else None
            if not password:
                raise ValueError(f"there is no password in auth_pass_file {file}")
        elif variable := section.get("auth_pass_env"):
            password = os.environ.get(variable)
            if not password:
                raise ValueError(f"there is no password in the variable {variable} of auth_pass_env")
        return password

    # ---- which server

    def target_for(self, mail_from: Address, domain: str) -> Target | None:
        """The section for mail from that sender to a domain; None when there is only [main]."""
        keys = (mail_from.address.lower(), mail_from.host) if self.by_sender else (domain,)
        return next((self.targets[key] for key in keys if key in self.targets), None)

    def by_target(self, transaction: Transaction) -> Iterable[tuple[Target, list[Address]]]:
        rcpts = list(dict.fromkeys(transaction.rcpt_to))
        if not self.targets:
            return ((self.main, rcpts),)
        groups: dict[Target, list[Address]] = {}
        for rcpt in rcpts:
            target = self.target_for(transaction.mail_from, rcpt.host) or self.main
            groups.setdefault(target, []).append(rcpt)
        return groups.items()

    def hook_get_mx(self, hmail: HMail, domain: str) -> Answer:
        """Mail that waits in our queue goes to the server of its section too."""
        notes = hmail.todo.notes
        if notes.get("queue.wants", OURS) not in (OURS, OUTBOUND) or notes.get("queue.next_hop"):
            return None
        target = self.target_for(hmail.todo.mail_from, domain)
        return (OK, taking_turns(target.forwarder.hops)) if target is not None else None

    # ---- who may send, and to whom

    def check_sender(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        """Our own senders log in or come from where we know them."""
        transaction = connection.transaction
        if not self.checks_sender or transaction is None or mail_from.host not in self.targets:
            return None
        transaction.notes["local_sender"] = True
        if not connection.relaying:
            transaction.results.add(self, {"fail": "mail_from!spoof"})
            return DENY, "Spoofed MAIL FROM"
        transaction.results.add(self, {"pass": "mail_from"})
        return None

    def check_recipient(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        """Accept recipients in domains that have a section, as long as one queue and one server take them all."""
        transaction = connection.transaction
        if not self.checks_recipient or transaction is None:
            return None
        notes = transaction.notes
        if connection.relaying and notes.get("local_sender"):
            notes.set("queue.wants", OUTBOUND, only_when_undefined=True)
            transaction.results.add(self, {"pass": "relaying local_sender"})
            return OK
        if rcpt.host not in self.targets:
            transaction.results.add(self, {"msg": "rcpt!local"})
            return None
        if not self.takes_too(transaction, rcpt):
            transaction.results.add(self, {"pass": "rcpt_to.split"})
            return DENYSOFT, "Split transaction, retry soon"
        transaction.results.add(self, {"pass": "rcpt_to"})
        return OK

    def takes_too(self, transaction: Transaction, rcpt: Address) -> bool:
        """True when the queue and the server of a recipient are those of the others that have a section."""
        wanted = self.target_for(transaction.mail_from, rcpt.host) or self.main
        transaction.notes.set("queue.wants", wanted.queue, only_when_undefined=True)
        others = [one.host for one in transaction.rcpt_to if one.host in self.targets]
        return transaction.notes.get("queue.wants") == wanted.queue and all(
            (self.target_for(transaction.mail_from, host) or self.main) == wanted for host in others
        )

    def queue_outbound_if_wanted(self, connection: Connection) -> Answer:
        """A section may want its mail queued here. Not before all recipients are known, or more could be added."""
        transaction = connection.transaction
        if transaction is not None and self.checks_recipient:
            wanted = {
                self.targets[rcpt.host].queue for rcpt in transaction.rcpt_to if rcpt.host in self.targets
            }
            if OUTBOUND in wanted and transaction.notes.get("queue.wants") == OUTBOUND:
                transaction.relaying = True
        return None

    # ---- handing it over

    def hook_queue(self, connection: Connection) -> Answer:
        transaction = connection.transaction
        assert transaction is not None  # there is one at hook queue
        if transaction.notes.get("queue.wants", OURS) != OURS:
            return None
        replies: dict[Address, Reply] = {}
        for target, rcpts in self.by_target(transaction):
            replies |= target.forwarder.forward(transaction, rcpts, one_by_one=target.one_by_one)
        return answer_of(replies)

    def hook_queue_outbound(self, connection: Connection) -> Answer:
        assert connection.transaction is not None  # there is one at hook queue_outbound
        if connection.transaction.hold_until is not None:
            return None  # only our own queue can hold it (RFC 4865)
        if not all(target.enable_outbound for target, _ in self.by_target(connection.transaction)):
            return None
        return self.hook_queue(connection)


def section_key(name: str) -> str:
    """The name of a section as addresses have it: a domain, or with domain_selector=mail_from an address."""
    user, at, domain = name.strip().rpartition("@")
    return f"{user.lower()}{at}{domain_key(domain)}"


def settings_for(name: str, ini: Mapping[str, Section]) -> Section:
    """A section over [main]. One that names a server of its own takes neither port nor password from there."""
    main, own = _written(ini[MAIN]), _written(ini[name])
    if name != MAIN and ("host" in own or "forwarding_host_pool" in own):
        shared: Section = {key: main[key] for key in SHARED if key in main}
        return {"port": LMTP_PORT if own.get("using_lmtp") else SMTP_PORT, **shared, **own}
    return {**main, **own}


def _written(section: Section) -> dict[str, Any]:
    """`key=` is how an unset value is written."""
    return {key: value for key, value in section.items() if value not in ("", None)}


def way_of(section: Section, password: str | None) -> Way:
    """Raises ValueError saying what is wrong."""
    bind = section.get("bind")
    if bind and not is_ip(bind):
        raise ValueError(f"bind must be an IP address, not {bind!r}")
    hops = tuple(
        replace(
            hop,
            bind=bind,
            bind_helo=section.get("bind_helo"),
            using_lmtp=hop.using_lmtp or bool(section.get("using_lmtp")),
            auth_type=section.get("auth_type"),
            auth_user=section.get("auth_user"),
            auth_pass=password,
        )
        for hop in servers(section)
    )
    connect_timeout = positive(section, "connect_timeout", 30)
    return Way(hops, connect_timeout, timeouts_of(section), connections_of(section, len(hops)))


def connections_of(section: Section, servers: int) -> ConnectionPoolSettings:
    """How connections are kept, none at all with keep_connections=false. Raises ValueError."""
    usual = ConnectionPoolSettings()
    per_site = whole(section, "connection_per_site_idle", usual.per_site_idle, least=0)
    if not section.get("keep_connections", True):
        per_site = 0
    return ConnectionPoolSettings(
        messages=whole(section, "connection_messages", usual.messages),
        lifetime=whole(section, "connection_lifetime", usual.lifetime),
        idle=whole(section, "connection_idle", usual.idle),
        per_site_idle=per_site,
        total_idle=per_site * servers,
    )


def servers(section: Section) -> list[NextHop]:
    """Those of forwarding_host_pool, else the one of host and port."""
    tls: Literal["opportunistic", "off"] = "opportunistic" if section.get("enable_tls") else "off"
    if pool := section.get("forwarding_host_pool"):
        try:
            return read_pool(pool, tls=tls)
        except ValueError as error:
            raise ValueError(f"forwarding_host_pool: {error}") from None
    port = section["port"]
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError(f"port must be a whole number from 1 to 65535, not {port!r}")
    return [NextHop(section["host"], port, tls=tls)]


def positive(section: Section, key: str, default: float) -> float:
    """A number of seconds. Raises ValueError."""
    seconds = section.get(key, default)
    if not isinstance(seconds, int | float) or seconds <= 0:
        raise ValueError(f"{key} must be a number of seconds, not {seconds!r}")
    return float(seconds)


def whole(section: Section, key: str, default: int, least: int = 1) -> int:
    """Raises ValueError."""
    number = section.get(key, default)
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise ValueError(f"{key} must be a whole number from {least} up, not {number!r}")
    return number


def timeouts_of(section: Section) -> Timeouts:
    """Those of RFC 5321, or idle_timeout for each step."""
    if not section.get("idle_timeout"):
        return Timeouts()
    idle = positive(section, "idle_timeout", 0)
    steps = ("banner", "hello", "tls", "auth", "mail", "rcpt", "data", "chunk", "dot")
    return Timeouts(**dict.fromkeys(steps, ceil(idle)))


def answer_of(replies: Replies) -> Answer:
    """One answer for all recipients, the worst for now before the worst for good: see docs/plugins/queue/smtp_forward.md."""
    kinds = {reply.kind for reply in replies.values()}
    for kind, code in ((4, DENYSOFT), (5, DENY)):
        if kind in kinds:
            refused = {rcpt: reply for rcpt, reply in replies.items() if reply.kind == kind}
            return code, refusal(refused, partly=len(refused) < len(replies))
    return OK, next(iter(replies.values())).text


def refusal(refused: Replies, partly: bool) -> DSN:
    """The first refusal in the next server's words; when others were not refused it says whom it is about."""
    first = next(iter(refused.values()))
    lines = list(first.lines)
    if partly or len(set(refused.values())) > 1:
        lines = [f"{rcpt}: {reply.text}" for rcpt, reply in refused.items()]
    _, subject, detail = (first.enhanced or f"{first.kind}.0.0").split(".")
    # 421 would tell the client that this connection closes, and only the one to the next server did.
    code = 451 if first.code == 421 else first.code
    return DSN.create(code, lines, int(subject), int(detail))
