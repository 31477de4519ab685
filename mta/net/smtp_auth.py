"""AUTH at a next hop (RFC 4954)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.net.ip import parse_ip
from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import MalformedReply, Rejected, TlsFailed
from mta.smtp import sasl
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue


class Authentication:
    """Logs in with the hop's credentials. timeout: seconds for each reply; secured: the connection is encrypted."""

    __slots__ = ("_dialogue", "_hop", "_password", "_secured", "_timeout", "_user")

    def __init__(self, dialogue: Dialogue, hop: NextHop, timeout: float, secured: bool) -> None:
        self._dialogue = dialogue
        self._hop = hop
        self._timeout = timeout
        self._secured = secured
        self._user = hop.auth_user or ""
        self._password = hop.auth_pass or ""

    def run(self, offered: str) -> None:
        """Log in with the best mechanism of those offered, or the one that the hop names.

        offered: parameters of AUTH in the EHLO reply. Raises TlsFailed, Rejected, ConnectionLost, MalformedReply.
        """
        if not self._may_send_secrets():
            raise TlsFailed(f"will not send a password to {self._hop.name} without encryption", "auth")
        mechanisms = offered.upper().split()
        mechanism = sasl.choose(mechanisms, self._hop.auth_type)
        if mechanism is None:
            text = f"no usable AUTH mechanism: {self._hop.name} offers {' '.join(mechanisms) or 'none'}"
            raise Rejected(Reply(454, text, "4.7.0"), "auth")
        reply = self._exchange(mechanism)
        if reply.kind != 2:
            raise Rejected(refusal(reply), "auth")

    def _may_send_secrets(self) -> bool:
        if self._secured or self._hop.tls == "off" or self._hop.path:
            return True
        address = parse_ip(self._dialogue.peer[0])
        return address is not None and address.is_loopback

    def _exchange(self, mechanism: str) -> Reply:
        """The reply that ends the exchange, or the first one that is not a challenge."""
        if mechanism == "PLAIN":
            return self._secret(f"AUTH PLAIN {sasl.plain(self._user, self._password)}", "AUTH PLAIN ***")
        reply = self._secret(f"AUTH {mechanism}", f"AUTH {mechanism}")
        if mechanism == "CRAM-MD5":
            return self._cram_md5(reply)
        for answer in sasl.login(self._user, self._password):
            if reply.kind != 3:
                break
            reply = self._secret(answer, "***")
        return reply

    def _cram_md5(self, challenge: Reply) -> Reply:
        if challenge.kind != 3:
            return challenge
        try:
            answer = sasl.cram_md5(self._user, self._password, challenge.text)
        except ValueError as error:
            raise MalformedReply("malformed CRAM-MD5 challenge", "auth") from error
        return self._secret(answer, "***")

    def _secret(self, line: str, shown: str) -> Reply:
        return self._dialogue.ask(line, "auth", self._timeout, shown)
