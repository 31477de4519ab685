"""The beginning of a conversation with a next hop: banner, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.net.smtp_auth import Authentication
from mta.net.smtp_dialogue import refusal
from mta.net.smtp_errors import Rejected, Timeouts
from mta.net.smtp_starttls import encrypt, secure
from mta.net.tls_security import TlsOutcome

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue
    from mta.smtp.reply import Reply


class Opening:
    """Brings a fresh connection to the point where mail can be sent, and notes what it found out.

    esmtp: the peer took EHLO (or LHLO); extensions: keyword to parameters, both as in the last EHLO reply, keywords in
    capitals; tls: what came of encryption.
    """

    __slots__ = ("_dialogue", "_helo", "_hop", "_timeouts", "authenticated", "esmtp", "extensions", "tls")

    def __init__(self, dialogue: Dialogue, hop: NextHop, helo: str, timeouts: Timeouts) -> None:
        self._dialogue = dialogue
        self._hop = hop
        self._helo = helo
        self._timeouts = timeouts
        self.extensions: dict[str, str] = {}
        self.esmtp = False
        self.tls = TlsOutcome()
        self.authenticated = False

    @property
    def secured(self) -> bool:
        """True when everything that follows is encrypted."""
        return self.tls.secured

    def run(self, *, use_tls: bool, cafile: str) -> None:
        """Do all of it. Raises Rejected, TlsFailed, ConnectionLost, MalformedReply; ValueError for a bad helo name."""
        if self._hop.implicit_tls:
            self.tls = secure(self._dialogue, self._hop, self._timeouts, cafile)
        self._banner()
        self._hello()
        if use_tls and not self._hop.implicit_tls:
            self.tls = encrypt(self._dialogue, self._hop, self.extensions, self._timeouts, cafile)
            if self.tls.secured:
                # RFC 3207 4.2: what was said in clear does not count any more.
                self._hello()
        hop = self._hop
        if hop.auth_user is not None and (hop.auth_pass is not None or hop.token is not None):
            offered = self.extensions.get("AUTH", "")
            Authentication(self._dialogue, hop, self._timeouts.auth, self.secured).run(offered)
            self.authenticated = True

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
