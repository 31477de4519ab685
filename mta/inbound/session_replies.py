"""What a session says that no verb and no plugin does."""

from __future__ import annotations

from mta.smtp.reply import Reply

TIMED_OUT = Reply(421, "timeout", "4.4.2", close=True)
FAULT = Reply(421, "Internal Server Error", "4.3.0", close=True)
TOO_LONG = Reply(521, "Command line too long", "5.5.2", close=True)
ANSWER_TOO_LONG = Reply(500, "Authentication exchange line is too long", "5.5.6", close=True)  # RFC 4954 6
BROKEN_ANSWER = Reply(500, "Bare line feed: lines end with CRLF", "5.5.2", close=True)
BARE_NEWLINE = Reply(500, "Bare line feed: commands end with CRLF", "5.5.2")
EIGHT_BIT = Reply(501, "Syntax error (8-bit characters not allowed)", "5.5.2")
SHUTTING_DOWN = Reply(421, "Service not available, closing transmission channel", "4.3.2", close=True)
