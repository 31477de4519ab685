"""The beginning of a conversation with a next hop: banner, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.net.ip import parse_ip
from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import MalformedReply, Rejected, Timeouts, TlsFailed
from mta.net.tls import client_context
from mta.smtp import sasl
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue


class Opening:
    """Brings a fresh connection to the point where mail can be sent, and notes what it found out.

    esmtp: the peer took EHLO (or LHLO); extensions: keyword to parameters, both as in the last EHLO reply, keywords in
    capitals.
    """

    __slots__ = ("_dialogue", "_helo", "_hop", "_timeouts", "authenticated", "esmtp", "extensions", "secured")

    def __init__(self, dialogue: Dialogue, hop: NextHop, helo: str, timeouts: Timeouts) -> None:
        self._dialogue = dialogue
        self._hop = hop
        self._helo = helo
        self._timeouts = timeouts
        self.extensions: dict[str, str] = {}
        self.esmtp = False
        self.secured = False
        self.authenticated = False

    def run(self, *, use_tls: bool, cafile: str) -> None:
        """Do all of it. Raises Rejected, TlsFailed, ConnectionLost, MalformedReply; ValueError for a bad helo name."""
        self._banner()
        self._hello()
        if use_tls:
            self._encrypt(cafile)
        if self._hop.auth_user is not None and self._hop.auth_pass is not None:
            self._authenticate(self._hop.auth_user, self._hop.auth_pass)

    def _banner(self) -> None:
        reply = self._dialogue.hear("banner", self._timeouts.banner)
        if reply.kind != 2:
            raise Rejected(refusal(reply), "banner")

    def _hello(self) -> None:
        verb = "LHLO" if self._hop.using_lmtp else "EHLO"
        reply = self._dialogue.ask(f"{verb} {self._helo}", "hello", self._timeouts.hello)
        self.esmtp = reply.kind == 2
        self.extensions = _extensions(reply) if self.esmtp else {}
        if not self.esmtp and reply.kind == 5 and not self._hop.using_lmtp:
            # RFC 5321 3.2: a server that does not know EHLO may know HELO.
            reply = self._dialogue.ask(f"HELO {self._helo}", "hello", self._timeouts.hello)
        if reply.kind != 2:
            raise Rejected(refusal(reply), "hello")

    # -- STARTTLS (RFC 3207) ------------------------------------------------------------------------------------------

    def _encrypt(self, cafile: str) -> None:
        required = self._hop.tls == "required"
        if not self._starttls_agreed(required):
            return
        context = client_context(required, cafile)
        self._dialogue.start_tls(context, self._hop.name, self._timeouts.tls)
        self.secured = True
        self._note_cipher(required)
        # RFC 3207 4.2: what was said in clear does not count any more.
        self._hello()

    def _starttls_agreed(self, required: bool) -> bool:
        """True when the peer waits for a handshake. Raises TlsFailed when it must, and does not."""
        if "STARTTLS" not in self.extensions:
            if required:
                raise TlsFailed(f"{self._hop.name} does not offer STARTTLS, which is required", "starttls")
            return False
        reply = self._dialogue.ask("STARTTLS", "starttls", self._timeouts.hello)
        if reply.kind == 2:
            return True
        if required:
            raise TlsFailed(f"{self._hop.name} refused STARTTLS, which is required: {reply}", "starttls")
        if self._dialogue.farewell is not None:
            raise Rejected(refusal(reply), "starttls")
        return False

    def _note_cipher(self, verified: bool) -> None:
        dialogue, tls = self._dialogue, self._dialogue.wire.tls
        if dialogue.logger is None or tls is None:
            return
        cipher = tls.cipher()
        fields = {
            "host": self._hop.name,
            "verified": verified,
            "cipher": cipher[0] if cipher else "",
            "version": tls.version(),
        }
        dialogue.logger.info("secured", fields, origin="outbound", uuid=dialogue.uuid)

    # -- AUTH (RFC 4954) ----------------------------------------------------------------------------------------------

    def _authenticate(self, user: str, password: str) -> None:
        if not self._may_send_secrets():
            raise TlsFailed(f"will not send a password to {self._hop.name} without encryption", "auth")
        offered = self.extensions.get("AUTH", "").upper().split()
        mechanism = sasl.choose(offered, self._hop.auth_type)
        if mechanism is None:
            text = f"no usable AUTH mechanism: {self._hop.name} offers {' '.join(offered) or 'none'}"
            raise Rejected(Reply(454, text, "4.7.0"), "auth")
        reply = self._exchange(mechanism, user, password)
        if reply.kind != 2:
            raise Rejected(refusal(reply), "auth")
        self.authenticated = True

    def _may_send_secrets(self) -> bool:
        if self.secured or self._hop.tls == "off" or self._hop.path:
            return True
        address = parse_ip(self._dialogue.peer[0])
        return address is not None and address.is_loopback

    def _exchange(self, mechanism: str, user: str, password: str) -> Reply:
        """The reply that ends the exchange, or the first one that is not a challenge."""
        if mechanism == "PLAIN":
            return self._secret(f"AUTH PLAIN {sasl.plain(user, password)}", "AUTH PLAIN ***")
        reply = self._secret(f"AUTH {mechanism}", f"AUTH {mechanism}")
        if mechanism == "CRAM-MD5":
            return self._cram_md5(reply, user, password)
        for answer in sasl.login(user, password):
            if reply.kind != 3:
                break
            reply = self._secret(answer, "***")
        return reply

    def _cram_md5(self, challenge: Reply, user: str, password: str) -> Reply:
        if challenge.kind != 3:
            return challenge
        try:
            answer = sasl.cram_md5(user, password, challenge.text)
        except ValueError as error:
            raise MalformedReply("malformed CRAM-MD5 challenge", "auth") from error
        return self._secret(answer, "***")

    def _secret(self, line: str, shown: str) -> Reply:
        return self._dialogue.ask(line, "auth", self._timeouts.auth, shown)


def _extensions(reply: Reply) -> dict[str, str]:
    """The keywords of an EHLO reply (RFC 5321 4.1.1.1); `AUTH=LOGIN` of old servers counts as `AUTH LOGIN`."""
    found: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameters = line.partition(" ")
        keyword = keyword.upper()
        if keyword.startswith("AUTH="):
            keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
        known = found.get(keyword)
        found[keyword] = f"{known} {parameters}" if known else parameters
    return found
