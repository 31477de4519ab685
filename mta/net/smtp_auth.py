"""AUTH at a next hop (RFC 4954)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.net import smtp_scram
from mta.net.ip import parse_ip
from mta.net.oauth import TokenError, TokenSource
from mta.net.smtp_dialogue import ORIGIN, refusal
from mta.net.smtp_errors import MalformedReply, Rejected, TlsFailed
from mta.smtp import sasl
from mta.smtp.reply import Reply

if TYPE_CHECKING:
    from mta.net.next_hop import NextHop
    from mta.net.smtp_dialogue import Dialogue

MAX_COMMAND = (
    510  # RFC 4954 4: AUTH with an initial response is a command line like any other; CRLF is not counted
)


class Authentication:
    """Logs in with the hop's credentials. timeout: seconds for each reply; secured: the connection is encrypted."""

    __slots__ = ("_dialogue", "_hop", "_offered", "_password", "_secured", "_timeout", "_user")

    def __init__(self, dialogue: Dialogue, hop: NextHop, timeout: float, secured: bool) -> None:
        self._dialogue = dialogue
        self._hop = hop
        self._timeout = timeout
        self._secured = secured
        self._offered: list[str] = []
        self._user = hop.auth_user or ""
        self._password = hop.auth_pass or ""

    def run(self, offered: str) -> None:
        """Log in with the best mechanism of those offered, or the one that the hop names.

        offered: parameters of AUTH in the EHLO reply. Raises TlsFailed, Rejected, ConnectionLost, MalformedReply.
        """
        if not self._may_send_secrets():
            raise TlsFailed(f"will not send a password to {self._hop.name} without encryption", "auth")
        self._offered = offered.upper().split()
        mechanism = sasl.choose(self._offered, self._hop.auth_type, self._usable())
        if mechanism is None:
            raise _failed(f"no usable AUTH mechanism: {self._hop.name} offers {self._described()}")
        reply = self._exchange(mechanism)
        if reply.kind != 2:
            raise Rejected(refusal(reply), "auth")

    def _may_send_secrets(self) -> bool:
        if self._secured or self._hop.tls == "off" or self._hop.path:
            return True
        address = parse_ip(self._dialogue.peer[0])
        return address is not None and address.is_loopback

    def _usable(self) -> tuple[str, ...]:
        """The mechanisms that we have what they need for, best first."""
        if self._hop.token is not None:
            return sasl.BEARER
        if not smtp_scram.available():
            return sasl.MECHANISMS
        tls = self._dialogue.tls
        bound = tls is not None and tls.channel_binding(smtp_scram.END_POINT) is not None
        scram = tuple(name for name in smtp_scram.SCRAM if bound or not name.endswith("-PLUS"))
        return scram + sasl.MECHANISMS

    def _described(self) -> str:
        wanted = (self._hop.auth_type or "").upper()
        missing = wanted.startswith("SCRAM") and not smtp_scram.available()
        return (" ".join(self._offered) or "none") + (
            f"; {wanted} needs pip install scramp" if missing else ""
        )

    def _exchange(self, mechanism: str) -> Reply:
        """The reply that ends the exchange, or the first one that is not a challenge."""
        if mechanism in sasl.BEARER:
            return self._bearer(mechanism)
        if mechanism in smtp_scram.SCRAM:
            return self._scram(mechanism)
        if mechanism == "PLAIN":
            return self._begin("PLAIN", sasl.plain(self._user, self._password))
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

    def _scram(self, mechanism: str) -> Reply:
        # What may be bound is told when the server offers no binding, so that it sees when somebody took the offer away.
        hidden = not mechanism.endswith("-PLUS") and f"{mechanism}-PLUS" in self._offered
        try:
            scram = smtp_scram.Scram(
                mechanism, self._user, self._password, None if hidden else self._dialogue.tls
            )
            reply = self._begin(mechanism, scram.first())
            if reply.kind != 3:
                return self._unproven(reply)
            reply = self._secret(scram.final(reply.text), "***")
            if reply.kind != 3:
                return self._unproven(reply)
            scram.verify(reply.text)
            return self._secret("", "")
        except smtp_scram.ScramError as error:
            raise _failed(f"AUTH {mechanism} with {self._hop.name}: {error}") from error

    def _unproven(self, reply: Reply) -> Reply:
        """The reply, unless it is success: the server has not proven yet that it knows the password (RFC 5802 5)."""
        if reply.kind == 2:
            raise _failed(f"{self._hop.name} did not prove that it knows the password")
        return reply

    def _bearer(self, mechanism: str) -> Reply:
        """A token that is refused may have been revoked before its time: one more is asked for."""
        source = self._hop.token
        assert source is not None  # else no such mechanism is usable
        token = self._token(source)
        reply = self._offer(mechanism, token)
        if reply.kind == 5 and self._dialogue.farewell is None:
            source.refused(token)
            fresh = self._token(source)
            if fresh != token:
                token, reply = fresh, self._offer(mechanism, fresh)
        if reply.kind == 2:
            source.worked(token)
        elif reply.kind == 5:
            text = f"{reply.text} (the access token for {self._user} is fresh: may it send by SMTP, and as this user?)"
            return Reply(reply.code, text, reply.enhanced)
        return reply

    def _token(self, source: TokenSource) -> str:
        try:
            token = source.token()
        except TokenError as error:
            raise _failed(str(error)) from error
        if source.complaint and self._dialogue.logger is not None:
            self._dialogue.logger.error(source.complaint, origin=ORIGIN, uuid=self._dialogue.uuid)
        return token

    def _offer(self, mechanism: str, token: str) -> Reply:
        try:
            if mechanism == "XOAUTH2":
                response = sasl.xoauth2(self._user, token)
            else:
                response = sasl.oauthbearer(self._user, token, self._hop.name, self._hop.port)
        except ValueError as error:
            raise _failed(str(error)) from error
        reply = self._begin(mechanism, response)
        if reply.kind != 3:
            return reply
        why = sasl.bearer_error(reply.text)
        reply = self._secret(sasl.CANCEL_BEARER[mechanism], "***")
        return Reply(reply.code, f"{reply.text} (status {why})", reply.enhanced) if why else reply

    def _begin(self, mechanism: str, response: str) -> Reply:
        """AUTH with its initial response, or without when that would be too long, and the response afterwards."""
        line = f"AUTH {mechanism} {response}"
        if len(line) <= MAX_COMMAND:
            return self._secret(line, f"AUTH {mechanism} ***")
        reply = self._secret(f"AUTH {mechanism}", f"AUTH {mechanism}")
        return self._secret(response, "***") if reply.kind == 3 else reply

    def _secret(self, line: str, shown: str) -> Reply:
        return self._dialogue.ask(line, "auth", self._timeout, shown)


def _failed(text: str) -> Rejected:
    """AUTH that did not come about: the mail waits until a person has mended it."""
    return Rejected(Reply(454, text, "4.7.0"), "auth")
