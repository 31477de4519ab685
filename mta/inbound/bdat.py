"""BDAT (RFC 3030): the message in chunks of a known size, instead of DATA.

The octets of a chunk are read off whatever the answer is, or they would be taken for commands. A message that fails stays
failed until LAST or RSET: a client that sends several chunks without waiting reads the reason each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mta.inbound.answers import refuse
from mta.inbound.extensions import keywords
from mta.inbound.intake import CANNOT_STORE, TOO_BIG, Intake
from mta.inbound.limits import Pace
from mta.inbound.receive import DATA_READ_SIZE, conclude
from mta.message.binary import NotConvertible, to_lines
from mta.smtp.chunks import ChunkDecoder, parse_bdat
from mta.smtp.order import Phase, check
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from mta.config.schema import ConnectionSettings
    from mta.inbound.session import Session
    from mta.plugin.offload import Threads
    from mta.transaction import Transaction

# Without a size there is no telling the octets of the chunk from the next command.
SYNTAX = Reply(501, "Syntax is BDAT size [LAST]", "5.5.4", close=True)
NOT_OFFERED = Reply(502, "BDAT is not offered", "5.5.1")
MAX_BINARY = 64 * 1024 * 1024  # octets; a binary message is held in memory until it is made into lines
SMALL_BINARY = 256 * 1024  # octets; what is larger is converted in a thread, 25 MB take half a second


class LineIntake(Intake):
    """Takes in a message that is made of lines: it goes straight into the stream."""

    __slots__ = ("_chunks", "_notes")

    def __init__(self, transaction: Transaction, settings: ConnectionSettings) -> None:
        self._notes = transaction.notes
        self._chunks = ChunkDecoder(settings.bare_newline == "repair")
        utf8 = "SMTPUTF8" in transaction.params
        super().__init__(transaction.message_stream, settings, utf8, self._chunks)

    def finish(self) -> None:
        """The last chunk was fed."""
        self.take(self._chunks.finish())
        if self.folded:
            self._notes["data_line_length_exceeded"] = True


class BinaryIntake:
    """Takes in a message of any octets (BODY=BINARYMIME), and makes lines of it when it is complete."""

    __slots__ = ("_pieces", "_settings", "_threads", "_transaction", "error", "fault")

    def __init__(self, transaction: Transaction, settings: ConnectionSettings, threads: Threads) -> None:
        self._threads = threads
        self._transaction = transaction
        self._settings = settings
        self._pieces: list[bytes] = []
        self.fault: Reply | None = None
        self.error: OSError | None = None

    def feed(self, data: bytes) -> None:
        """Take the next octets."""
        self._pieces.append(data)

    def finish(self) -> None:
        """The last chunk was fed: what is no line becomes base64, or the message is refused."""
        message = b"".join(self._pieces)
        self._pieces = []
        if len(message) < SMALL_BINARY:
            self._convert(message)
        else:
            self._threads.run(self._convert, message)

    def _convert(self, message: bytes) -> None:
        try:
            lines = to_lines(message)
        except NotConvertible as error:
            self.fault = Reply(554, f"Conversion required but not possible: {error}", "5.6.3")
            return
        intake = LineIntake(self._transaction, self._settings)
        intake.feed(lines)
        intake.finish()
        self.fault, self.error = intake.fault, intake.error


class Chunks:
    """One message between its first BDAT and LAST. fault: the reply that it has earned, if any; refused_by: the plugin behind it."""

    __slots__ = ("_intake", "_limit", "_octets", "_session", "fault", "refused_by", "transaction")

    def __init__(self, session: Session, transaction: Transaction) -> None:
        settings = session.service.settings
        binary = (transaction.params.get("BODY") or "").upper() == "BINARYMIME"
        self._session = session
        self._limit = settings.max_bytes or (MAX_BINARY if binary else 0)
        self._octets = 0
        # What counts is what the client sent, and that is counted here.
        unlimited = replace(settings, max_bytes=0)
        self._intake = (
            BinaryIntake(transaction, unlimited, session.service.threads)
            if binary
            else LineIntake(transaction, unlimited)
        )
        self.transaction = transaction
        self.fault = refuse("data", session.run_hook("data"))
        self.refused_by = session.refused_by

    def take(self, size: int, last: bool) -> None:
        """Read one chunk. Raises EOFError, WireTimeout, OSError when the client goes away."""
        self._octets += size
        if self.fault is None and self._limit and self._octets > self._limit:
            exceeded = self._session.run_hook("max_data_exceeded")
            self._fail(refuse("max_data_exceeded", exceeded) or TOO_BIG)
        read_chunk(self._session, size, self._feed)
        if last and self.fault is None:
            self._intake.finish()
            self._look_for_faults()

    def _feed(self, data: bytes) -> None:
        if self.fault is None:
            self._intake.feed(data)
            self._look_for_faults()

    def _look_for_faults(self) -> None:
        if self._intake.error is not None and self._intake.fault is CANNOT_STORE:
            self._session.connection.logerror(
                f"cannot store the message: {self._intake.error}; check spool_dir in connection.ini"
            )
        if self._intake.fault is not None:
            self._fail(self._intake.fault)

    def _fail(self, reply: Reply) -> None:
        self.fault = reply
        self.refused_by = self._session.refused_by
        self.transaction.message_stream.discard()


def bdat(session: Session, argument: str) -> Reply:
    """BDAT size [LAST]: read so many octets, then say whether they were taken."""
    asked = parse_bdat(argument)
    if asked is None:
        session.connection.errors += 1
        return SYNTAX
    size, last = asked
    refusal = _refusal(session)
    if refusal is not None:
        session.connection.errors += 1
        read_chunk(session, size, lambda data: None)
        return refusal
    chunks = session.chunks or _begin(session)
    chunks.take(size, last)
    if last:
        session.refused_by = chunks.refused_by
        return conclude(session, chunks.transaction, chunks.fault)
    return chunks.fault or Reply(250, f"{size} octets received", "2.0.0")


def _refusal(session: Session) -> Reply | None:
    if session.phase is Phase.CHUNKS:
        return None
    return check("DATA", session.phase) or (
        None if "CHUNKING" in keywords(session.connection) else NOT_OFFERED
    )


def _begin(session: Session) -> Chunks:
    transaction = session.connection.transaction
    assert transaction is not None  # smtp.order lets BDAT through inside a transaction only
    session.chunks = Chunks(session, transaction)
    return session.chunks


def read_chunk(session: Session, size: int, take: Callable[[bytes], None]) -> None:
    """Read exactly so many octets, handing them on as they come. Raises EOFError, WireTimeout, OSError."""
    pace = Pace(session.wire, session.service.settings)
    missing = size
    while missing:
        data = session.wire.read_some(min(missing, DATA_READ_SIZE))
        if not data:
            raise EOFError("the client closed the connection inside a chunk")
        missing -= len(data)
        pace.received(size - missing)
        take(data)
    pace.end()
    session.connection.totalbytes += size
