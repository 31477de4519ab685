"""Messages with 8 bit octets for a next hop that has not said that it takes them (RFC 6152)."""

from __future__ import annotations

from mta.message.dots import stuff
from mta.message.seven_bit import NotConvertible, to_seven_bit
from mta.net.smtp_content import MessageSource, is_eight_bit, readable, unstuffed
from mta.outbound.hot import HotMessage
from mta.smtp.reply import Reply

__all__ = ["NotConvertible", "eight_bit_refusal", "seven_bit_form"]

MAX_CONVERTED = 1 << 25  # bytes; it is done in memory, and in one go


def seven_bit_form(message: MessageSource, policy: str) -> MessageSource:
    """The message, converted if it has to be. policy: `convert`, or `bounce` for a message that may not be converted.

    Reads it. Raises NotConvertible, MessageUnreadable and what the source raises.
    """
    if not is_eight_bit(message):
        return message
    if policy != "convert":
        raise NotConvertible("it has 8 bit octets")
    if message.size > MAX_CONVERTED:
        raise NotConvertible(f"it is larger than {MAX_CONVERTED} bytes")
    return HotMessage([stuff(to_seven_bit(b"".join(unstuffed(readable(message)))))])


def eight_bit_refusal(error: NotConvertible) -> Reply:
    """What the recipients of a message that can not be sent there are told."""
    return Reply(
        554, f"the next hop does not offer 8BITMIME and the message can not be converted: {error}", "5.6.3"
    )
