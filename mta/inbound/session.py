"""One client from connect to disconnect: greet, then read, check, run, reply."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from mta.inbound import encryption, opening, session_events, session_log
from mta.inbound.limits import TOO_MANY_COMMANDS, over_limit
from mta.inbound.masking import MASK, shown
from mta.inbound.session_replies import (
    ANSWER_TOO_LONG,
    BARE_NEWLINE,
    BROKEN_ANSWER,
    EIGHT_BIT,
    FAULT,
    SHUTTING_DOWN,
    TIMED_OUT,
    TOO_LONG,
)
from mta.inbound.strangers import HTTP_ON_SMTP_PORT, is_http
from mta.inbound.unrecognized import unrecognized
from mta.inbound.verbs import VERBS
from mta.logger import PROTOCOL
from mta.net.wire import BareNewline, LineTooLong, WireTimeout
from mta.plugin.verdict import CONTINUE, DISCONNECT, REJECTIONS
from mta.smtp.command import parse_command
from mta.smtp.order import Phase, check
from mta.smtp.reply import ProtocolError, Reply

if TYPE_CHECKING:
    from mta.connection import Connection
    from mta.inbound.bdat import Chunks
    from mta.inbound.limits import Seat
    from mta.inbound.service import Service
    from mta.net.wire import Wire
    from mta.plugin.verdict import Verdict

PARAMETER_ROOM = 1024  # octets
MAX_ANSWER = 12288  # RFC 4954 4: what a line of an authentication exchange may hold

COMMANDS_A_TURN = 64  # pipelined commands answered before other connections get their turn

REFUSALS = REJECTIONS | {DISCONNECT}

# RFC 2920 3.1 and RFC 3030 4.2: where they stand in a group does not matter; every other command is the last of its group.
ANYWHERE = frozenset({b"RSET", b"MAIL", b"SEND", b"SOML", b"SAML", b"RCPT", b"BDAT", b"XFORWARD"})


class Session:
    """Serves one client. `run` blocks until the client is gone and lets no exception out but GreenletExit."""

    __slots__ = (
        "_after_auth",
        "_asked",
        "_commands",
        "_in_a_row",
        "announced",
        "busy",
        "chunks",
        "closing",
        "connection",
        "introduced",
        "loop_reply",
        "refused_by",
        "seat",
        "service",
        "taken_by",
        "tls_first",
        "unrecognized",
        "wire",
    )

    def __init__(self, connection: Connection, wire: Wire, service: Service) -> None:
        self.connection = connection
        self.wire = wire
        self.service = service
        self.closing = False
        self.busy = True
        self.tls_first = False
        self.chunks: Chunks | None = None
        self.seat: Seat | None = None
        self.announced = False  # there was an event about the connection
        self.refused_by = ""  # the plugin that was last to refuse something during this command
        self.taken_by = ""  # the plugin that has queued this message
        self.unrecognized = 0
        self._commands = 0
        self._in_a_row = 0
        self.introduced = False
        self._asked = False  # a plugin's question is open: the next line may be a password
        self._after_auth = False
        self.loop_reply: Reply | None = None
        connection.local.host = service.me
        connection.on_client(self)

    def run(self) -> None:
        """Greet the client, answer its commands, say what happened in one log line."""
        try:
            opening.greet(self)
            opening.hear_first(self)
            while not self.closing:
                self._serve_one()
        except (EOFError, OSError) as error:
            if isinstance(error, WireTimeout) or isinstance(error.__cause__, WireTimeout):
                self._last_words(TIMED_OUT)
            # Otherwise the client is gone, and there is nobody to tell.
        except Exception:
            self.connection.logcrit(traceback.format_exc())
            self._last_words(FAULT)
        finally:
            self._end()

    # -- the dialogue -------------------------------------------------------------------------------------------------

    def refuse_commands(self, reply: Reply) -> None:
        """From here on every command but QUIT gets this reply."""
        self.loop_reply = reply

    def _serve_one(self) -> None:
        """Read one command and answer it."""
        wire = self.wire
        limit = self.service.settings.max_line_length
        # RFC 5321 4.1.1.11: extensions make the lines of MAIL and RCPT longer; ORCPT alone may take 528 octets.
        room = PARAMETER_ROOM if self.connection.esmtp else 0
        self.busy = False
        try:
            line = wire.read_line(limit + room)
            if len(line) + 2 > limit and line[:5].upper() not in (b"MAIL ", b"RCPT "):
                raise LineTooLong
        except LineTooLong:
            self.reply(TOO_LONG)
            return
        except BareNewline:
            self.connection.errors += 1
            self.reply(BARE_NEWLINE)
            return
        self.busy = True
        self._commands += 1
        self.refused_by = ""
        if wire.pending:
            self._pipelined(line)
        reply = self._answer(line)
        if reply is not None:
            self.reply(reply)

    def _pipelined(self, line: bytes) -> None:
        """A command came with more behind it."""
        connection = self.connection
        connection.pipelining = True
        if not connection.esmtp or line.partition(b" ")[0].upper() not in ANYWHERE:
            connection.early_talker = True
        self._in_a_row += 1
        if self._in_a_row == COMMANDS_A_TURN:
            self._in_a_row = 0
            self.wire.give_way()

    def _answer(self, line: bytes) -> Reply | None:
        service, connection = self.service, self.connection
        if service.logger.level >= PROTOCOL:
            self._log_command(line)
        self._asked = False
        if 0 < service.settings.max_commands < self._commands:
            return TOO_MANY_COMMANDS
        if self.loop_reply is not None and line.strip().upper() != b"QUIT":
            connection.errors += 1  # RFC 5321 3.1: after a 554 greeting only QUIT is in order
            return self.loop_reply
        try:
            if not connection.esmtp and connection.hello.verb and not line.isascii():
                raise ProtocolError(EIGHT_BIT)
            verb, argument = parse_command(line)
            if verb not in VERBS:
                return HTTP_ON_SMTP_PORT if is_http(line) else unrecognized(self, verb, argument)
            return self.obey(verb, argument)
        except ProtocolError as error:
            self.connection.errors += 1
            if self.service.events.on:
                session_events.broken_command(self, line, error.reply)
            return error.reply

    def obey(self, verb: str, argument: str) -> Reply | None:
        """Do what one of VERBS says, if it is in order; the reply, None when there is nothing more to say.

        Raises ProtocolError, and whatever ends the session.
        """
        refusal = check(verb, self.phase)
        if refusal is not None:
            raise ProtocolError(refusal)
        return VERBS[verb](self, argument)

    @property
    def phase(self) -> Phase:
        """Where the session stands, told by what it has: nothing else stores it."""
        transaction = self.connection.transaction
        if transaction is not None:
            if self.chunks is not None:
                return Phase.CHUNKS
            return Phase.RCPT if transaction.rcpt_to else Phase.MAIL
        return Phase.GREETED if self.connection.hello.verb else Phase.CONNECTED

    def reply(self, reply: Reply) -> None:
        """Write a reply; it leaves when the session would block. One that closes ends the session."""
        prefix = ""
        if reply.code >= 400:
            reply = over_limit(self) or reply
            self.connection.last_reject = str(reply)
            prefix = self._deny_prefix()
        data = reply.to_bytes(prefix)
        if self.service.logger.level >= PROTOCOL:
            self.connection.logprotocol(f"S: {data.decode('utf-8', 'replace').rstrip()}")
        self.wire.write(data)
        if reply.close:
            self.closing = True

    def _deny_prefix(self) -> str:
        chars = self.service.settings.deny_chars
        if not chars:
            return ""
        uuid = self.connection.uuid
        host = self.service.me.split(".", 1)[0]
        return f"[{uuid if chars == 1 else uuid[:chars]}@{host}] "

    # -- the client, as plugins deal with it (mta.connection.Client) ---------------------------------------------------

    def ask(self, code: int, text: str, timeout: float | None) -> str:
        """Send one reply and return the client's next line, for a plugin's dialogue. Raises OSError, EOFError."""
        self.reply(Reply(code, text))
        wire, patience = self.wire, self.wire.timeout
        wire.timeout = patience if timeout is None else min(timeout, patience)
        self._asked = True
        try:
            line = wire.read_line(max(self.service.settings.max_line_length, MAX_ANSWER))
        except (LineTooLong, BareNewline) as error:
            self.reply(ANSWER_TOO_LONG if isinstance(error, LineTooLong) else BROKEN_ANSWER)
            raise ConnectionAbortedError("what the client answered is no line") from error
        finally:
            wire.timeout = patience
        self._asked = False
        if self.service.logger.level >= PROTOCOL:
            self.connection.logprotocol(f"C: {MASK}")
        return line.decode("utf-8", "surrogateescape")

    def hears(self, seconds: float) -> bool:
        """True when the client says something within so many seconds. Raises EOFError, OSError."""
        return self.wire.hears(seconds)

    @property
    def gone(self) -> bool:
        """True when the client has hung up."""
        return self.wire.gone

    @property
    def may_start_tls(self) -> bool:
        """True when there is a certificate."""
        tls = self.service.tls
        return tls is not None and tls.usable

    def start_tls(self) -> None:
        """Answer STARTTLS, do the handshake, forget what was said before. Raises EOFError, OSError: the session is over."""
        encryption.start(self)

    # -- hooks and state ----------------------------------------------------------------------------------------------

    def run_hook(self, hook: str, *args: object) -> Verdict:
        """Ask the plugins about this connection."""
        hooks = self.service.hooks
        chain = hooks.chains[hook]
        if not chain:
            return CONTINUE
        verdict = hooks.ask(chain, hook, self.connection, args)
        if verdict is not CONTINUE and verdict.code in REFUSALS:
            self.refused_by = verdict.plugin
        return verdict

    def reset_transaction(self) -> None:
        """Forget the open transaction, if any, and its message."""
        transaction = self.connection.transaction
        if transaction is None:
            return
        self.run_hook("reset_transaction")
        transaction.message_stream.discard()
        self.connection.transaction = None
        self.chunks = None

    # -- the end ------------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """The server shuts down: tell the client, unless a command is being worked on, which then ends the session."""
        self.closing = True
        if not self.busy or self.wire.stuck:
            self._last_words(SHUTTING_DOWN)
            self.wire.abort()

    def _last_words(self, reply: Reply) -> None:
        try:
            self.reply(reply)
            self.wire.flush_now()
        except OSError:
            pass  # the client went before it could be told, or takes nothing

    def _end(self) -> None:
        self.closing = True
        try:
            self.wire.flush()
        except OSError:
            pass  # the client went before it could read the last reply
        self.wire.discard_input()
        self.connection.on_client(None)  # nobody answers any more; and the two would hold each other
        try:
            if self.service.events.on:
                self._tell_cut()
            self.reset_transaction()
            if self.introduced:
                self.run_hook("disconnect")
        finally:
            self.wire.close()
            session_log.disconnected(self.connection)
            if self.service.events.on:
                session_events.disconnect(self)

    def _tell_cut(self) -> None:
        """What the end of the session came in the middle of."""
        if not self.announced:
            session_events.connect(self, None)
        if self.chunks is not None:
            session_events.data(self, self.chunks.transaction, None)

    # -- the log ------------------------------------------------------------------------------------------------------

    def _log_command(self, line: bytes) -> None:
        text, self._after_auth = (MASK, True) if self._asked else shown(line, self._after_auth)
        self.connection.logprotocol(f"C: {text}")
