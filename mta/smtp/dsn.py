"""Delivery status codes (RFC 3463) by name, as plugins give them for answers: DSN.addr_bad_dest_mbox("no such user")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

Message = str | Sequence[str]

# What the codes say, by subject and detail; RFC 3463 3 and the registry of enhanced status codes (RFC 5248).
TEXTS: Final[tuple[tuple[str, ...], ...]] = (
    (  # X.0.X
        "Other undefined status",
    ),
    (  # X.1.X
        "Other address status",
        "Bad destination mailbox address",
        "Bad destination system address",
        "Bad destination mailbox address syntax",
        "Destination mailbox address ambiguous",
        "Destination address valid",
        "Destination mailbox has moved, No forwarding address",
        "Bad sender's mailbox address syntax",
        "Bad sender's system address",
        "Message relayed to non-compliant mailer",
        "Recipient address has null MX",
    ),
    (  # X.2.X
        "Other or undefined mailbox status",
        "Mailbox disabled, not accepting messages",
        "Mailbox full",
        "Message length exceeds administrative limit",
        "Mailing list expansion problem",
    ),
    (  # X.3.X
        "Other or undefined mail system status",
        "Mail system full",
        "System not accepting network messages",
        "System not capable of selected features",
        "Message too big for system",
        "System incorrectly configured",
        "Requested priority was changed",
    ),
    (  # X.4.X
        "Other or undefined network or routing status",
        "No answer from host",
        "Bad connection",
        "Directory server failure",
        "Unable to route",
        "Mail system congestion",
        "Routing loop detected",
        "Delivery time expired",
    ),
    (  # X.5.X
        "Other or undefined protocol status",
        "Invalid command",
        "Syntax error",
        "Too many recipients",
        "Invalid command arguments",
        "Wrong protocol version",
        "Authentication Exchange line is too long",
    ),
    (  # X.6.X
        "Other or undefined media error",
        "Media not supported",
        "Conversion required and prohibited",
        "Conversion required but not supported",
        "Conversion with loss performed",
        "Conversion failed",
        "Message content not available",
    ),
    (  # X.7.X
        "Other or undefined security status",
        "Delivery not authorized, message refused",
        "Mailing list expansion prohibited",
        "Security conversion required but not possible",
        "Security features not supported",
        "Cryptographic failure",
        "Cryptographic algorithm not supported",
        "Message integrity failure",
        "Authentication credentials invalid",
        "Authentication mechanism is too weak",
        "Encryption Needed",
        "Encryption required for requested authentication mechanism",
        "A password transition is needed",
        "User Account Disabled",
        "Trust relationship required",
        "Priority Level is too low",
        "Message is too big for the specified priority",
        "Mailbox owner has changed",
        "Domain owner has changed",
        "RRVS test cannot be completed",
        "No passing DKIM signature found",
        "No acceptable DKIM signature found",
        "No valid author-matched DKIM signature found",
        "SPF validation failed",
        "SPF validation error",
        "Reverse DNS validation failed",
        "Multiple authentication checks failed",
        "Sender address has null MX",
    ),
)


class Constructor(Protocol):
    """Makes one kind of DSN: msg is the text instead of the default one, code another reply code, and so another class."""

    def __call__(self, msg: Message | None = None, code: int | None = None) -> DSN: ...


def _constructor(default_code: int, sub: int, det: int, default_text: str | None = None) -> Constructor:
    def make(msg: Message | None = None, code: int | None = None) -> DSN:
        valid = code is not None and 200 <= code < 600 and code // 100 != 3
        return DSN(code if valid and code else default_code, msg or default_text, sub, det)

    return make


class DSN:
    """A reply code with an enhanced status code and a text. The class digit always follows the reply code.

    code 550, enhanced "5.1.1", cls, sub and det its three numbers, msg what was given (a text, lines or None), default_msg
    what the RFC says the code means. Make one with the named constructors below or with create.
    """

    __slots__ = ("cls", "code", "default_msg", "det", "enhanced", "msg", "sub")

    def __init__(self, code: int, msg: Message | None, sub: int, det: int) -> None:
        self.code = code
        self.msg = msg
        self.cls = code // 100
        self.sub = sub
        self.det = det
        self.enhanced = f"{self.cls}.{sub}.{det}"
        known = 0 <= sub < len(TEXTS) and 0 <= det < len(TEXTS[sub])
        self.default_msg = TEXTS[sub][det] if known else ""

    @staticmethod
    def create(code: int, msg: Message | None = None, sub: int = 0, det: int = 0) -> DSN:
        """Any code; one that is no 2xx, 4xx or 5xx becomes 450."""
        return _constructor(450, sub, det)(msg, code)

    @property
    def lines(self) -> tuple[str, ...]:
        """The text, line by line, without codes."""
        if not self.msg:
            return (self.default_msg,)
        return (self.msg,) if isinstance(self.msg, str) else tuple(self.msg)

    def __str__(self) -> str:
        return "\n".join(f"{self.enhanced} {line}" for line in self.lines)

    def __repr__(self) -> str:
        return f"DSN({self.code}, {self.enhanced!r}, {self.lines!r})"

    # X.0.X
    unspecified = staticmethod(_constructor(450, 0, 0))
    # X.1.X addressing
    addr_unspecified = staticmethod(_constructor(450, 1, 0))
    addr_bad_dest_mbox = staticmethod(_constructor(550, 1, 1))
    no_such_user = staticmethod(_constructor(550, 1, 1, "No such user"))
    addr_bad_dest_system = staticmethod(_constructor(550, 1, 2))
    addr_bad_dest_syntax = staticmethod(_constructor(550, 1, 3))
    addr_dest_ambigous = staticmethod(_constructor(450, 1, 4))
    addr_rcpt_ok = staticmethod(_constructor(250, 1, 5))
    addr_mbox_moved = staticmethod(_constructor(550, 1, 6))
    addr_bad_from_syntax = staticmethod(_constructor(550, 1, 7))
    addr_bad_from_system = staticmethod(_constructor(550, 1, 8))
    # X.2.X mailbox
    mbox_unspecified = staticmethod(_constructor(450, 2, 0))
    mbox_disabled = staticmethod(_constructor(550, 2, 1))
    mbox_full = staticmethod(_constructor(450, 2, 2))
    mbox_msg_too_long = staticmethod(_constructor(550, 2, 3))
    mbox_list_expansion_problem = staticmethod(_constructor(450, 2, 4))
    # X.3.X mail system
    sys_unspecified = staticmethod(_constructor(450, 3, 0))
    sys_disk_full = staticmethod(_constructor(450, 3, 1))
    sys_not_accepting_mail = staticmethod(_constructor(450, 3, 2))
    sys_not_supported = staticmethod(_constructor(450, 3, 3))
    sys_msg_too_big = staticmethod(_constructor(550, 3, 4))
    sys_incorrectly_configured = staticmethod(_constructor(450, 3, 5))
    # X.4.X network and routing
    net_unspecified = staticmethod(_constructor(450, 4, 0))
    net_no_answer = staticmethod(_constructor(450, 4, 1))
    net_bad_connection = staticmethod(_constructor(450, 4, 2))
    net_directory_server_failed = staticmethod(_constructor(450, 4, 3))
    temp_resolver_failed = staticmethod(_constructor(450, 4, 3, "Temporary address resolution failure"))
    net_unable_to_route = staticmethod(_constructor(550, 4, 4))
    net_system_congested = staticmethod(_constructor(450, 4, 5))
    net_routing_loop = staticmethod(_constructor(550, 4, 6))
    too_many_hops = staticmethod(_constructor(550, 4, 6, "Too many hops"))
    net_delivery_time_expired = staticmethod(_constructor(550, 4, 7))
    # X.5.X mail delivery protocol
    proto_unspecified = staticmethod(_constructor(450, 5, 0))
    proto_invalid_command = staticmethod(_constructor(550, 5, 1))
    proto_syntax_error = staticmethod(_constructor(550, 5, 2))
    proto_too_many_rcpts = staticmethod(_constructor(450, 5, 3))
    proto_invalid_cmd_args = staticmethod(_constructor(550, 5, 4))
    proto_wrong_version = staticmethod(_constructor(450, 5, 5))
    # X.6.X content and media
    media_unspecified = staticmethod(_constructor(450, 6, 0))
    media_unsupported = staticmethod(_constructor(550, 6, 1))
    media_conv_prohibited = staticmethod(_constructor(550, 6, 2))
    media_conv_unsupported = staticmethod(_constructor(450, 6, 3))
    media_conv_lossy = staticmethod(_constructor(450, 6, 4))
    media_conv_failed = staticmethod(_constructor(450, 6, 5))
    # X.7.X security and policy
    sec_unspecified = staticmethod(_constructor(450, 7, 0, "Other or undefined security status"))
    sec_unauthorized = staticmethod(_constructor(550, 7, 1))
    bad_sender_ip = staticmethod(_constructor(550, 7, 1, "Bad sender IP"))
    relaying_denied = staticmethod(_constructor(550, 7, 1, "Relaying denied"))
    sec_list_expn_prohibited = staticmethod(_constructor(550, 7, 2))
    sec_conv_failed = staticmethod(_constructor(550, 7, 3))
    sec_feature_unsupported = staticmethod(_constructor(550, 7, 4))
    sec_crypto_failure = staticmethod(_constructor(550, 7, 5))
    sec_crypto_algo_unsupported = staticmethod(_constructor(450, 7, 6))
    sec_msg_integrity_failure = staticmethod(_constructor(550, 7, 7))
    # authentication (RFC 4954)
    auth_succeeded = staticmethod(_constructor(235, 7, 0, "Authentication Succeeded"))
    auth_pass_transition_needed = staticmethod(_constructor(432, 7, 12))
    auth_temp_fail = staticmethod(_constructor(454, 7, 0, "Temporary authentication failure"))
    auth_too_weak = staticmethod(_constructor(534, 7, 9))
    auth_invalid = staticmethod(_constructor(535, 7, 8))
    auth_exch_too_long = staticmethod(_constructor(500, 5, 6))
    auth_required = staticmethod(_constructor(530, 7, 0, "Authentication required"))
    auth_crypt_required = staticmethod(_constructor(538, 7, 11))
    # null MX (RFC 7505)
    addr_null_mx = staticmethod(_constructor(556, 1, 10))
    sec_null_mx_sender = staticmethod(_constructor(550, 7, 27))
    # email authentication (RFC 7372)
    sec_dkim_no_pass = staticmethod(_constructor(550, 7, 20))
    sec_dkim_not_acceptable = staticmethod(_constructor(550, 7, 21))
    sec_dkim_no_author_match = staticmethod(_constructor(550, 7, 22))
    sec_spf_fail = staticmethod(_constructor(550, 7, 23))
    sec_spf_error = staticmethod(_constructor(451, 7, 24))
    sec_rdns_fail = staticmethod(_constructor(550, 7, 25))
    sec_multi_auth_fail = staticmethod(_constructor(550, 7, 26))
