"""One mail transaction with a next hop: envelope, message, and a final reply for each recipient."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mta.net.smtp_content import MessageSource, sealed
from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import BrokenConversation, ConnectionLost, Timeouts

if TYPE_CHECKING:
    from mta.net.smtp_dialogue import Dialogue
    from mta.smtp.address import Address
    from mta.smtp.reply import Reply

# Commands that may be under way at once: their replies must fit into the socket buffers, or both sides would block in
# a write (RFC 2920 3.1).
MAX_PIPELINED = 100
MAX_TOGETHER = 20  # recipients whose replies are looked at in one piece


class Step(NamedTuple):
    """A command, and whom it is about if it is RCPT."""

    line: str
    phase: str
    timeout: float
    rcpt: Address | None = None


class Transaction:
    """Says MAIL, RCPT, DATA and the message; `replies` grows as recipients' fates become final.

    open: the peer still is inside the transaction, RSET must come before the next one; in_step: every command has had
    its reply, so that the connection can go on.
    """

    __slots__ = (
        "_accepted",
        "_data",
        "_dialogue",
        "_lmtp",
        "_refused",
        "_timeouts",
        "in_step",
        "open",
        "replies",
    )

    def __init__(self, dialogue: Dialogue, timeouts: Timeouts, *, lmtp: bool) -> None:
        self._dialogue = dialogue
        self._timeouts = timeouts
        self._lmtp = lmtp
        self._accepted: dict[Address, None] = {}
        self._refused: Reply | None = None
        self._data: Reply | None = None
        self.replies: dict[Address, Reply] = {}
        self.open = False
        self.in_step = True

    def run(
        self, mail: str, rcpts: dict[Address, str], message: MessageSource, *, pipelining: bool, reset: bool
    ) -> None:
        """Send one message. mail: the MAIL command; rcpts: each recipient's RCPT command; reset: begin with RSET.

        The commands are sound lines already. Raises ConnectionLost, MalformedReply, MessageUnreadable.
        """
        try:
            if pipelining and not reset and len(rcpts) <= MAX_TOGETHER:
                self._say_together(mail, rcpts, message)
            else:
                self._say_all(self._steps(mail, rcpts, reset), message, pipelining)
        except BrokenConversation:
            if self._refused is None:
                raise
            self.in_step = False  # a peer that refuses the sender may hang up on the commands that follow
        self._settle(rcpts)

    @property
    def verdict(self) -> Reply | None:
        """The refusal of the sender or of the message, which holds for recipients that were not named as well."""
        if self._refused is None and self._accepted and self._data is not None and self._data.kind in (4, 5):
            return self._data
        return self._refused

    def _say_together(self, mail: str, rcpts: dict[Address, str], message: MessageSource) -> None:
        """As _say_all, by a shorter way if the peer agrees to everything: that makes a relay of 1 KB 5 % cheaper."""
        dialogue, timeouts = self._dialogue, self._timeouts
        dialogue.say((mail, *rcpts.values(), "DATA"), "mail")
        self._data = dialogue.hear_yes(len(rcpts) + 2, "mail", timeouts.mail)
        if self._data is not None:
            self._accepted = dict.fromkeys(rcpts)
            self.open = True
            self._send_message(message)
            return
        self._hear([*self._steps(mail, rcpts, False), Step("DATA", "data", timeouts.data)])
        if self._is_to_go_on:
            self._send_message(message)

    @property
    def _is_to_go_on(self) -> bool:
        """True when the peer waits for the message."""
        return self._data is not None and self._data.kind == 3 and self._dialogue.farewell is None

    def _say_all(self, steps: list[Step], message: MessageSource, pipelining: bool) -> None:
        """The envelope, then the message in the way of DATA."""
        steps.append(Step("DATA", "data", self._timeouts.data))
        self._converse(steps, MAX_PIPELINED if pipelining else 1)
        if self._is_to_go_on:
            self._send_message(message)

    def _steps(self, mail: str, rcpts: dict[Address, str], reset: bool) -> list[Step]:
        timeouts = self._timeouts
        steps = [Step("RSET", "rset", timeouts.mail)] if reset else []
        steps.append(Step(mail, "mail", timeouts.mail))
        steps += [Step(line, "rcpt", timeouts.rcpt, rcpt) for rcpt, line in rcpts.items()]
        return steps

    def _converse(self, steps: Sequence[Step], at_once: int) -> None:
        for start in range(0, len(steps), at_once):
            group = steps[start : start + at_once]
            if not self._worth_saying(group):
                return
            self._exchange(group)

    def _worth_saying(self, group: Sequence[Step]) -> bool:
        if self._refused is not None or self._dialogue.farewell is not None:
            return False
        return group[0].phase != "data" or bool(self._accepted)

    def _exchange(self, group: Sequence[Step]) -> None:
        self._dialogue.say([step.line for step in group], group[0].phase)
        self._hear(group)

    def _hear(self, group: Sequence[Step]) -> None:
        dialogue = self._dialogue
        for step in group:
            self._take(step, dialogue.hear(step.phase, step.timeout))
            if dialogue.farewell is not None:
                return

    def _take(self, step: Step, reply: Reply) -> None:
        # Nobody knows what a peer waits for that says 3yz to anything but DATA, or 2yz to DATA (RFC 5321 4.2.1).
        if reply.kind == (2 if step.phase == "data" else 3):
            self.in_step = False
        if step.rcpt is not None:
            if reply.kind == 2:
                self._accepted[step.rcpt] = None
            else:
                self.replies[step.rcpt] = refusal(reply)
        elif step.phase == "mail":
            self.open = reply.kind == 2
            self._refused = None if self.open else refusal(reply)
        elif step.phase == "data":
            self._data = reply

    def _send_message(self, message: MessageSource) -> None:
        if not self._accepted or self._refused is not None:
            self._send_nothing()
            return
        self._refuse_a_reply_too_many()
        self._dialogue.pour(sealed(message), self._timeouts.chunk)
        self._hear_the_end()
        self.open = False

    def _refuse_a_reply_too_many(self) -> None:
        """It would be taken for the answer to a message that the peer does not have yet. Raises ConnectionLost."""
        if self._dialogue.wire.pending:
            raise ConnectionLost("a reply too many, phase data", "data")

    def _hear_the_end(self) -> None:
        """The replies to the end of the message; LMTP has one for each recipient it took (RFC 2033 4.2)."""
        if not self._lmtp:
            self._data = reply = self._dialogue.hear("dot", self._timeouts.dot)
            self._take_the_end(self._accepted, reply)
            return
        for rcpt in self._accepted:
            self._take_the_end((rcpt,), self._dialogue.hear("dot", self._timeouts.dot))
            if self._dialogue.farewell is not None:
                break

    def _take_the_end(self, rcpts: Iterable[Address], reply: Reply) -> None:
        self.replies.update(dict.fromkeys(rcpts, reply if reply.kind == 2 else refusal(reply)))
        self.in_step = self.in_step and reply.kind != 3

    def _send_nothing(self) -> None:
        """The peer wants a message though it took no recipient: give it a lone dot (RFC 2920 3.1)."""
        if self._lmtp or self._refused is not None:
            # LMTP answers the dot once for each recipient, and there is none (RFC 2033 4.2). And who refused the sender
            # but goes on may deliver an empty message.
            self.in_step = False
            return
        self._dialogue.say((".",), "dot")
        self._dialogue.hear("dot", self._timeouts.dot)
        self.open = False

    def _settle(self, rcpts: Collection[Address]) -> None:
        """Give the recipients that have no reply of their own the one that decided for all."""
        if self._refused is not None:
            self.replies = dict.fromkeys(rcpts, self._refused)
        elif len(self.replies) < len(rcpts):
            decided = self._dialogue.farewell or self._data
            assert decided is not None  # else every RCPT was refused, and has its reply
            self.replies = {**dict.fromkeys(rcpts, refusal(decided)), **self.replies}
