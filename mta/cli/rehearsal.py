"""`haraka -t PLUGIN`: play one session with one mail, and show what the plugins say to it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from mta.cli.errors import CommandError
from mta.cli.installation import open_config
from mta.cli.rehearsal_dump import Dump
from mta.cli.rehearsal_options import Visit
from mta.config import ConfigError
from mta.logger import INFO, PROTOCOL, WARN, Record
from mta.plugin import OK, Answer, Connection, Denial, Plugin, PluginError
from mta.plugin.names import read_line
from mta.smtp.reply import Reply
from mta.testing import Asked, Client, MailServer, NoReply

ALL = "all"
CORE = "core"  # the origin of what the server logs
EVERYWHERE = ("*",)
MESSAGE = b"""\
From: <{sender}>
To: <{rcpt}>
Subject: test message

This is a test.
"""
_DIALOGUE = ("C: ", "S: ")


class SkipDeny(Plugin):
    """--skip-deny: whatever a plugin rejects is pardoned, and the next one is asked."""

    name = "skip-deny"

    def hook_deny(self, connection: Connection, denial: Denial) -> Answer:
        """Pardon it."""
        return OK


class Stage(MailServer):
    """A server in memory over the installation that prints what goes on in it; asks the real DNS, takes real time."""

    def __init__(
        self, *plugins: str | Plugin, directory: Path, domains: Collection[str], keep_first: bool
    ) -> None:
        self.failed = False
        super().__init__(
            *plugins,
            config=directory,
            dns=None,
            domains=domains,
            hostname=open_config(directory).get("me", "value"),
            level=PROTOCOL,
            virtual_time=False,
            keep_first=keep_first,
        )

    def on_asked(self, asked: Asked) -> None:
        """Print the hook, the plugin with its method, what it said, and how long that took."""
        if asked.plugin in (SkipDeny.name, Dump.name) or asked.hook == "log":
            return
        self.failed = self.failed or asked.error is not None
        who = f"{asked.plugin}.{asked.function}"
        print(f"   {asked.hook:<20} {who:<40} {asked.answer:<20} {asked.seconds * 1000:8.2f} ms")

    def on_record(self, record: Record) -> None:
        """Print lines of the dialogue as they are, what plugins log from INFO on, and what worries the server."""
        if record.level == PROTOCOL and record.message.startswith(_DIALOGUE):
            for line in record.message[3:].split("\n"):
                print(f"{record.message[:3]}{line}".rstrip())
        elif record.level <= (WARN if record.origin == CORE else INFO) and record.message:
            fields = "".join(f" {key}={value}" for key, value in record.fields.items() if key != "traceback")
            print(f"   {record.level_name} [{record.origin}] {record.message}{fields}")
            self._print_traceback(record)

    def _print_traceback(self, record: Record) -> None:
        for line in str(record.fields.get("traceback", "")).splitlines():
            print(f"      {line}")


def rehearse(directory: Path, names: Sequence[str], visit: Visit) -> int:
    """Play it: 0 when the mail would be taken, 1 when it is refused or a plugin fails. Raises CommandError."""
    config = open_config(directory)
    whole = ALL in names
    lines = {read_line(line).name: line for line in config.get("plugins", "list")}
    plugins: list[str | Plugin] = [*(lines.values() if whole else (lines.get(name, name) for name in names))]
    extras: list[Plugin] = [SkipDeny()] if visit.skip_deny else []
    if visit.dump_mime or visit.dump_stream:
        extras.append(Dump(mime=visit.dump_mime, stream=visit.dump_stream))
    message = _message(visit)
    # One plugin is tested up to its end; of the whole list none may send or keep the mail.
    stage = Stage(
        *plugins, *extras, directory=directory, domains=() if whole else EVERYWHERE, keep_first=whole
    )
    try:
        with stage:
            reply = _play(stage, visit, message)
    except (PluginError, ConfigError, RuntimeError) as error:
        raise CommandError(str(error)) from error
    except NoReply as error:
        raise CommandError(str(error).split("\n", 1)[0]) from error
    return _conclude(reply, stage)


def _conclude(reply: Reply, stage: Stage) -> int:
    accepted = reply.code == 250
    print(f"\n{'accepted' if accepted else 'refused'}: {reply}")
    if stage.failed:
        print("a plugin has failed, see above")
    sys.stdout.flush()
    return 0 if accepted and not stage.failed else 1


def _message(visit: Visit) -> bytes:
    if visit.message is None:
        sender, rcpt = visit.mail_from.strip("<>"), visit.rcpt_to[0].strip("<>")
        return MESSAGE.replace(b"{sender}", sender.encode()).replace(b"{rcpt}", rcpt.encode())
    try:
        return sys.stdin.buffer.read() if str(visit.message) == "-" else visit.message.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {visit.message}: {error.strerror}") from error


def _play(stage: Stage, visit: Visit, message: bytes) -> Reply:
    """Everything up to the first reply that leaves nothing to do, then QUIT; that reply."""
    client = stage.connect(visit.ip, relaying=visit.set_relay)
    reply = _dialogue(client, visit, message)
    if client.closed:
        client.close()
    else:
        client.quit()
    return reply


def _dialogue(client: Client, visit: Visit, message: bytes) -> Reply:
    if client.banner.code != 220:
        return client.banner
    reply = client.command(visit.hello)
    if not _goes_on(client, reply):
        return reply
    reply = client.mail(visit.mail_from)
    if not _goes_on(client, reply):
        return reply
    replies: list[Reply] = []
    for rcpt in visit.rcpt_to:
        replies.append(client.rcpt(rcpt))
        if client.closed:
            return replies[-1]
    if not any(reply.code == 250 for reply in replies):
        return replies[0]
    return client.data(message)


def _goes_on(client: Client, reply: Reply) -> bool:
    return reply.code == 250 and not client.closed
