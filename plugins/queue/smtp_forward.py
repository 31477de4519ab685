"""Hand each message to another SMTP server while the client waits, and answer with that server's reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mta.plugin import (
    DENY,
    DENYSOFT,
    DSN,
    OK,
    Address,
    Answer,
    BrokenConversation,
    ClientError,
    Connection,
    NextHop,
    Plugin,
    Reply,
    SmtpClient,
    Transaction,
    domain_key,
)

FILE = "smtp_forward.ini"
FLAGS = ("-main.enable_outbound", "-main.enable_tls", "*.enable_tls")
TEXTS = ("*.host", "*.auth_type", "*.auth_user", "*.auth_pass", "*.auth_pass_file")
MAIN = "main"
SMTP_PORT = 25

UNREACHABLE = Reply(451, "the next server is not available, try again later", "4.4.1")

Section = Mapping[str, Any]
Replies = Mapping[Address, Reply]


@dataclass(frozen=True, slots=True)
class Target:
    """A server to forward to; connect_timeout in seconds."""

    hop: NextHop
    connect_timeout: float


class SmtpForward(Plugin):
    """Forwards at hook queue, and with enable_outbound at queue_outbound too.

    It keeps nothing: OK is answered only when the next server has taken the message for every recipient.
    """

    timeout = 0.0
    """None: each step of the conversation has its own, and to give up after the final dot is to deliver twice."""
    enable_outbound = False
    helo = ""
    targets: Mapping[str, Target] = {}

    def register(self) -> None:
        self.helo = str(self.config.get("me"))
        self.load(self.config.get(FILE, booleans=FLAGS, text=TEXTS, on_change=self.reload))

    def reload(self, ini: Mapping[str, Section]) -> None:
        try:
            self.load(ini)
        except ValueError as error:
            self.logerror(f"{error}; the settings stay as they were")

    def load(self, ini: Mapping[str, Section]) -> None:
        """Raises ValueError, naming the section, when a target can not be used."""
        self.targets = {domain_key(name): self.target(name, ini) for name in ini}
        self.enable_outbound = ini[MAIN]["enable_outbound"]

    def target(self, name: str, ini: Mapping[str, Section]) -> Target:
        section = settings_for(name, ini)
        try:
            password = section.get("auth_pass") or self.password_in(section.get("auth_pass_file"))
            return target_of(section, password)
        except ValueError as error:
            raise ValueError(f"{FILE} [{name}]: {error}") from None

    def password_in(self, file: str | None) -> str | None:
        if not file:
            return None
        lines = self.config.get(file, "data")
        if not lines:
            raise ValueError(f"there is no password in auth_pass_file {file}")
        return str(lines[0])

    def hook_queue(self, connection: Connection) -> Answer:
        assert connection.transaction is not None  # there is one at hook queue
        if connection.transaction.notes.get("queue.wants", "smtp_forward") != "smtp_forward":
            return None
        replies: dict[Address, Reply] = {}
        for target, rcpts in self.by_target(connection.transaction.rcpt_to).items():
            replies.update(self.forward(target, rcpts, connection.transaction))
        return answer_of(replies)

    def hook_queue_outbound(self, connection: Connection) -> Answer:
        assert connection.transaction is not None  # there is one at hook queue_outbound
        if connection.transaction.hold_until is not None:
            return None  # only our own queue can hold it (RFC 4865)
        return self.hook_queue(connection) if self.enable_outbound else None

    def by_target(self, rcpts: Sequence[Address]) -> dict[Target, list[Address]]:
        groups: dict[Target, list[Address]] = {}
        for rcpt in dict.fromkeys(rcpts):
            groups.setdefault(self.targets.get(rcpt.host, self.targets[MAIN]), []).append(rcpt)
        return groups

    def forward(self, target: Target, rcpts: Sequence[Address], transaction: Transaction) -> Replies:
        """One reply for each recipient; a server that is not there, or goes away, means try again later."""
        try:
            return self.send(target, rcpts, transaction)
        except ClientError as error:
            self.logerror(f"forwarding to {target.hop} failed: {error}", transaction)
            known = error.replies if isinstance(error, BrokenConversation) else {}
            return {rcpt: known.get(rcpt, UNREACHABLE) for rcpt in rcpts}

    def send(self, target: Target, rcpts: Sequence[Address], transaction: Transaction) -> Replies:
        require_tls = "REQUIRETLS" in transaction.params  # RFC 8689: promised when the mail was accepted
        client = SmtpClient.connect(
            replace(target.hop, tls="required") if require_tls else target.hop,
            helo=self.helo,
            connect_timeout=target.connect_timeout,
            logger=self.logger,
            uuid=transaction.uuid,
        )
        try:
            replies = client.send(
                transaction.mail_from,
                rcpts,
                transaction.message_stream,
                eight_bit=True,
                smtputf8="SMTPUTF8" in transaction.params,
                require_tls=require_tls,
                mail_params=transaction.params,
                rcpt_params=transaction.rcpt_params,
            )
            client.quit()
            return replies
        finally:
            client.close()


def settings_for(name: str, ini: Mapping[str, Section]) -> Section:
    """A section over [main]. One that names a host of its own takes neither port nor password from there."""
    main, own = _written(ini[MAIN]), _written(ini[name])
    if name != MAIN and "host" in own:
        shared: Section = {key: main[key] for key in ("enable_tls", "connect_timeout") if key in main}
        return {"port": SMTP_PORT, **shared, **own}
    return {**main, **own}


def _written(section: Section) -> dict[str, Any]:
    """`key=` is how an unset value is written."""
    return {key: value for key, value in section.items() if value not in ("", None)}


def target_of(section: Section, password: str | None) -> Target:
    """Raises ValueError saying what is wrong."""
    port, seconds = section["port"], section["connect_timeout"]
    if not isinstance(port, int) or not 0 < port < 65536:
        raise ValueError(f"port must be a whole number from 1 to 65535, not {port!r}")
    if not isinstance(seconds, int | float) or seconds <= 0:
        raise ValueError(f"connect_timeout must be a number of seconds, not {seconds!r}")
    hop = NextHop(
        section["host"],
        port,
        auth_type=section.get("auth_type"),
        auth_user=section.get("auth_user"),
        auth_pass=password,
        tls="opportunistic" if section.get("enable_tls") else "off",
    )
    return Target(hop, seconds)


def answer_of(replies: Replies) -> Answer:
    """One answer for all recipients, the worst for now before the worst for good: see docs/plugins/queue/smtp_forward.md."""
    for kind, code in ((4, DENYSOFT), (5, DENY)):
        refused = {rcpt: reply for rcpt, reply in replies.items() if reply.kind == kind}
        if refused:
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
