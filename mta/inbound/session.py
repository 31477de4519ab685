"""One client from connect to disconnect: greet, then read, check, run, reply."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

from mta.inbound.answers import refuse
from mta.inbound.greeting import banner, look_up_rdns
from mta.inbound.verbs import VERBS, unrecognized
from mta.logger import CRIT, NOTICE, PROTOCOL
from mta.net.wire import BareNewline, LineTooLong, WireTimeout
from mta.plugin.verdict import CONT, OK
from mta.smtp.command import parse_command
from mta.smtp.order import Phase, check
from mta.smtp.reply import ProtocolError, Reply

if TYPE_CHECKING:
    from mta.connection import Connection
    from mta.inbound.service import Service
    from mta.net.wire import Wire
    from mta.plugin.verdict import Verdict

TIMED_OUT = Reply(421, "timeout", "4.4.2", close=True)
FAULT = Reply(421, "Internal Server Error", "4.3.0", close=True)
TOO_LONG = Reply(521, "Command line too long", "5.5.2", close=True)
BARE_NEWLINE = Reply(500, "Bare line feed: commands end with CRLF", "5.5.2")
SHUTTING_DOWN = Reply(421, "Service not available, closing transmission channel", "4.3.2", close=True)


class Session:
    """Serves one client. `run` blocks until the client is gone and lets no exception out but GreenletExit."""

    __slots__ = ("_loop_reply", "_short_host", "busy", "closing", "connection", "service", "wire")

    def __init__(self, connection: Connection, wire: Wire, service: Service) -> None:
        self.connection = connection
        self.wire = wire
        self.service = service
        self.closing = False
        self.busy = True
        self._loop_reply: Reply | None = None
        self._short_host = service.me.split(".", 1)[0]
        connection.on_ask(self.ask)

    def run(self) -> None:
        """Greet the client, answer its commands, say what happened in one log line."""
        try:
            self._greet()
            while not self.closing:
                self._serve_one()
        except (EOFError, OSError) as error:
            if isinstance(error, WireTimeout) or isinstance(error.__cause__, WireTimeout):
                self._last_words(TIMED_OUT)
            # Otherwise the client is gone, and there is nobody to tell.
        except Exception:
            self._log_fault()
            self._last_words(FAULT)
        finally:
            self._end()

    # -- the dialogue -------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        self._log_connect()
        self.run_hook("connect_init")
        greeting = self.greeting("lookup_rdns")
        self.connection.early_talker = self.wire.peek()
        self.reply(greeting)

    def greeting(self, first_hook: str) -> Reply:
        """Run the hooks from `first_hook` on, lookup_rdns or connect; the banner, or the refusal that meets all commands."""
        self._loop_reply = None
        if first_hook == "lookup_rdns":
            self._loop_reply = refuse("lookup_rdns", self._look_up_rdns())
        if self._loop_reply is not None:
            return self._loop_reply
        verdict = self.run_hook("connect")
        self._loop_reply = refuse("connect", verdict)
        return self._loop_reply or banner(self.connection, self.service, verdict.message)

    def _look_up_rdns(self) -> Verdict:
        verdict = self.run_hook("lookup_rdns")
        if verdict.code in (CONT, OK):
            host = str(verdict.message or "Unknown") if verdict.code is OK else None
            look_up_rdns(self.connection.remote, self.service.resolver, host)
        return verdict

    def _serve_one(self) -> None:
        """Read one command and answer it."""
        wire = self.wire
        self.busy = False
        try:
            line = wire.read_line(self.service.settings.max_line_length)
        except LineTooLong:
            self.reply(TOO_LONG)
            return
        except BareNewline:
            self.connection.errors += 1
            self.reply(BARE_NEWLINE)
            return
        self.busy = True
        if wire.pending:
            self.connection.pipelining = True
        reply = self._answer(line)
        if reply is not None:
            self.reply(reply)

    def _answer(self, line: bytes) -> Reply | None:
        if self.service.logger.level >= PROTOCOL:
            self._log_protocol("C: ", line.decode("utf-8", "replace"))
        if self._loop_reply is not None and line.strip().upper() != b"QUIT":
            return self._loop_reply
        try:
            verb, argument = parse_command(line)
            handler = VERBS.get(verb)
            if handler is None:
                return unrecognized(self, verb, argument)
            return check(verb, self.phase) or handler(self, argument)
        except ProtocolError as error:
            self.connection.errors += 1
            return error.reply

    @property
    def phase(self) -> Phase:
        """Where the session stands, told by what it has: nothing else stores it."""
        transaction = self.connection.transaction
        if transaction is not None:
            return Phase.RCPT if transaction.rcpt_to else Phase.MAIL
        return Phase.GREETED if self.connection.hello.verb else Phase.CONNECTED

    def reply(self, reply: Reply) -> None:
        """Write a reply; it leaves when the session would block. One that closes ends the session."""
        prefix = ""
        if reply.code >= 400:
            self.connection.last_reject = str(reply)
            prefix = self._deny_prefix()
        data = reply.to_bytes(prefix)
        if self.service.logger.level >= PROTOCOL:
            self._log_protocol("S: ", data.decode("utf-8", "replace").rstrip())
        self.wire.write(data)
        if reply.close:
            self.closing = True

    def _deny_prefix(self) -> str:
        chars = self.service.settings.deny_chars
        if not chars:
            return ""
        uuid = self.connection.uuid
        return f"[{uuid if chars == 1 else uuid[:chars]}@{self._short_host}] "

    def ask(self, code: int, text: str) -> str:
        """Send one reply and return the client's next line, for a plugin's dialogue. Raises OSError, EOFError."""
        self.reply(Reply(code, text))
        limit = max(
            self.service.settings.max_line_length, 12288
        )  # RFC 4954 section 4: AUTH lines may be long
        return self.wire.read_line(limit).decode("utf-8", "surrogateescape")

    # -- hooks and state ----------------------------------------------------------------------------------------------

    def run_hook(self, hook: str, *args: object) -> Verdict:
        """Ask the plugins about this connection."""
        return self.service.hooks.run(hook, self.connection, *args)

    def reset_transaction(self) -> None:
        """Forget the open transaction, if any, and its message."""
        transaction = self.connection.transaction
        if transaction is None:
            return
        self.run_hook("reset_transaction")
        transaction.message_stream.discard()
        self.connection.transaction = None

    # -- the end ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """The server shuts down: tell the client, unless a command is being worked on, which then ends the session."""
        self.closing = True
        if not self.busy:
            self._last_words(SHUTTING_DOWN)
            self.wire.abort()

    def _last_words(self, reply: Reply) -> None:
        try:
            self.reply(reply)
            self.wire.flush()
        except OSError:
            pass  # the client went before it could be told

    def _end(self) -> None:
        self.closing = True
        try:
            self.wire.flush()
        except OSError:
            pass  # the client went before it could read the last reply
        self.reset_transaction()
        self.run_hook("disconnect")
        self.wire.close()
        self._log_disconnect()
        self.connection.on_ask(None)  # or the two would hold each other until the next garbage collection

    # -- the log ------------------------------------------------------------------------------------------------------

    def _log_protocol(self, direction: str, text: str) -> None:
        self.service.logger.protocol(direction + text, uuid=self.connection.log_uuid)

    def _log_fault(self) -> None:
        self.service.logger.log(CRIT, traceback.format_exc(), uuid=self.connection.log_uuid)

    def _log_connect(self) -> None:
        if self.service.logger.level < NOTICE:
            return
        remote, local = self.connection.remote, self.connection.local
        self.connection.lognotice(
            "connect",
            {"ip": remote.ip, "port": remote.port, "local_ip": local.ip, "local_port": local.port},
        )

    def _log_disconnect(self) -> None:
        if self.service.logger.level < NOTICE:
            return
        c = self.connection
        self.connection.lognotice(
            "disconnect",
            {
                "ip": c.remote.ip,
                "rdns": c.remote.host or "",
                "helo": c.hello.host,
                "relay": _flag(c.relaying),
                "early": _flag(c.early_talker),
                "esmtp": _flag(c.esmtp),
                "tls": _flag(c.tls.enabled),
                "pipe": _flag(c.pipelining),
                "errors": c.errors,
                "txns": c.tran_count,
                "rcpts": str(c.rcpt_count),
                "msgs": str(c.msg_count),
                "bytes": c.totalbytes,
                "lr": c.last_reject,
                "time": f"{time.time() - c.start_time:.3f}",
            },
        )


def _flag(value: bool) -> str:
    return "Y" if value else "N"
