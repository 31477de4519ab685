"""One mail transaction that carries the message by BDAT instead of DATA (RFC 3030)."""

from __future__ import annotations

from collections.abc import Collection

from mta.net.smtp_content import MessageSource, in_pieces, readable, unstuffed
from mta.net.smtp_errors import BrokenConversation, ConnectionLost
from mta.net.smtp_transaction import MAX_PIPELINED, Step, Transaction
from mta.smtp.address import Address
from mta.smtp.reply import Reply

# A message up to this size follows RCPT at once, which saves the round trip of DATA. A larger one waits for the replies:
# when all recipients are refused, the peer has to swallow whatever was sent.
MAX_UNASKED = 65536
PIECE = 1 << 18  # bytes of one BDAT; a message on disk need not be read twice to know its size
UNANSWERED = 4  # BDAT commands under way at once

_UNKNOWN_COMMAND = (500, 502)  # RFC 5321 4.2.2


class ChunkedTransaction(Transaction):
    """As Transaction; the peer offers CHUNKING."""

    __slots__ = ("_heard",)

    def _say_together(self, mail: str, rcpts: dict[Address, str], message: MessageSource) -> None:
        self._say_all(self._steps(mail, rcpts, False), message, True)

    def _say_all(self, steps: list[Step], message: MessageSource, pipelining: bool) -> None:
        """The envelope, then the message; both in one write when that gains something."""
        # LMTP answers the end of the message once for each recipient it took: we must know these first.
        at_once = pipelining and not self._lmtp and len(steps) < MAX_PIPELINED
        if at_once and message.size <= MAX_UNASKED:
            self._say_at_once(steps, b"".join(unstuffed(readable(message))))
            return
        self._converse(steps, MAX_PIPELINED if pipelining else 1)
        if self._accepted and self._refused is None and self._dialogue.farewell is None:
            self._refuse_a_reply_too_many()
            self._send_pieces(message, UNANSWERED if pipelining else 1)

    def _say_at_once(self, steps: list[Step], content: bytes) -> None:
        self._heard = 0
        try:
            self._dialogue.say([*(step.line for step in steps), _bdat(content, last=True)], steps[0].phase)
            self._dialogue.pour((content,), self._timeouts.chunk)
            self._hear_all(steps)
        except BrokenConversation as broken:
            if self._heard or not _has_closed(broken):
                broken.phase = "dot"  # the peer has all of the message, and may have taken it
            raise

    def _hear_all(self, steps: list[Step]) -> None:
        for step in steps:
            self._take(step, self._dialogue.hear(step.phase, step.timeout))
            self._heard += 1
            if self._dialogue.farewell is not None:
                return
        if self._accepted and self._refused is None:
            self._end()
            return
        reply = self._dialogue.hear("dot", self._timeouts.dot)
        self.in_step = self.in_step and reply.kind in (4, 5)  # nobody knows whom it was accepted for
        self.open = True  # RFC 3030 2: after a failed BDAT only RSET helps

    def _send_pieces(self, message: MessageSource, at_once: int) -> None:
        """BDAT after BDAT; the first one that is refused decides."""
        unanswered = 0
        for piece, last in in_pieces(unstuffed(readable(message)), PIECE):
            self._dialogue.say((_bdat(piece, last),), "chunk")
            self._dialogue.pour((piece,), self._timeouts.chunk)
            unanswered += not last
            while unanswered and (last or unanswered >= at_once):
                unanswered -= 1
                if not self._is_taken("dot" if last else "chunk"):
                    self._give_up(unanswered, last)
                    return
        self._end()

    def _is_taken(self, phase: str) -> bool:
        """The reply to a BDAT that is not the last one."""
        reply = self._dialogue.hear(phase, self._timeouts.chunk)
        self._data = reply
        self.in_step = self.in_step and reply.kind != 3
        return reply.kind == 2

    def _give_up(self, unanswered: int, last_is_out: bool) -> None:
        """A piece was refused: nothing is delivered, and what was sent behind it is refused as well (RFC 3030 2)."""
        self.open = True
        # How many replies LMTP has for a last piece that comes too late is not written anywhere.
        self.in_step = self.in_step and not (last_is_out and self._lmtp)
        try:
            for _ in range(unanswered + last_is_out):
                if self.in_step and self._dialogue.farewell is None:
                    self.in_step = self._dialogue.hear("chunk", self._timeouts.dot).kind in (4, 5)
        except BrokenConversation:
            self.in_step = False

    def _settle(self, rcpts: Collection[Address]) -> None:
        """A peer that offers BDAT and does not know it has read the message as commands: nothing it says counts any more."""
        super()._settle(rcpts)
        lost = [rcpt for rcpt in self._accepted if self.replies[rcpt].code in _UNKNOWN_COMMAND]
        if lost:
            self._data = _not_understood(self.replies[lost[0]])
            self.replies.update(dict.fromkeys(lost, self._data))
            self.in_step = False

    def _end(self) -> None:
        self._hear_the_end()
        replies = [self.replies[rcpt] for rcpt in self._accepted if rcpt in self.replies]
        self.open = not all(reply.kind == 2 for reply in replies)


def _not_understood(reply: Reply) -> Reply:
    text = f"it offers CHUNKING but does not understand BDAT ({reply}): set chunking=false in outbound.ini"
    return Reply(451, text, "4.5.1")


def _bdat(content: bytes, last: bool) -> str:
    return f"BDAT {len(content)} LAST" if last else f"BDAT {len(content)}"


def _has_closed(broken: BrokenConversation) -> bool:
    """True when the peer hung up, False when it was silent or said something strange."""
    return isinstance(broken, ConnectionLost) and not isinstance(broken.__cause__, TimeoutError)
