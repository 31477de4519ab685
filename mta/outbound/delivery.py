"""One delivery attempt: next hop after next hop, until every recipient has an answer or no hop is left."""

from __future__ import annotations

import time
from collections.abc import Mapping

from mta.config.schema import OutboundSettings
from mta.net.client_pool import ClientPool
from mta.net.host_health import is_our_own
from mta.net.next_hop import NextHop
from mta.net.smtp_client import (
    BrokenConversation,
    ClientError,
    MessageSource,
    MessageUnreadable,
    Rejected,
    SmtpClient,
    TlsFailed,
)
from mta.outbound.eight_bit import NotConvertible, eight_bit_refusal, seven_bit_form
from mta.outbound.hmail import HMail
from mta.outbound.mx import NoRoute
from mta.outbound.onward import onward
from mta.outbound.outcome import DEFERRED, FAILED, NO_TIME, Fate, Outcome, Peer, of_replies, of_reply
from mta.outbound.route import Route, Router
from mta.outbound.sources import is_absent_source
from mta.outbound.spool_errors import SpoolError
from mta.outbound.tls_policy import advice
from mta.smtp.address import Address
from mta.smtp.reply import Reply

SHUTTING_DOWN = 421  # RFC 5321 3.8: whatever it was said to, nothing more will be taken over this connection

# A refusal there is about the mail or about us in the eyes of that host; one of AUTH or STARTTLS is about our settings,
# which a person can mend before the mail is given up.
_REFUSES_FOR_GOOD = frozenset({"banner", "hello"})

_NOT_THERE = frozenset(
    {"connect", "banner"}
)  # phases: who takes a connection and then says nothing is not there either

# By failover_on: the refusals of a recipient after which the next hop is asked for it too.
_NOT_FINAL = {
    "connection": frozenset[Fate](),
    "tempfail": frozenset({DEFERRED}),
    "reject": frozenset({DEFERRED, FAILED}),
}


_TOO_LATE = Reply(554, "not delivered within the time that the sender gave it", "5.4.7")  # RFC 2852 4.1.4


class Deliverer:
    """Makes delivery attempts. me: our name in EHLO; `settings` may be changed at any time; `conversations`: with whom, just now."""

    __slots__ = ("_me", "_pool", "_router", "conversations", "settings")

    def __init__(self, router: Router, pool: ClientPool, settings: OutboundSettings, me: str) -> None:
        self._router = router
        self._pool = pool
        self._me = me
        self.settings = settings
        self.conversations: dict[_Attempt, NextHop] = {}

    def route(self, hmail: HMail) -> Route:
        """Where the mail may go. Raises NoRoute, also when its sender wants it back by now (RFC 2852 4, by-mode R)."""
        by = hmail.todo.deliver_by if hmail.todo.extra else None
        if by is not None and by.returns and by.moment <= time.time():
            raise NoRoute(_TOO_LATE, NO_TIME)
        return self._router.route(hmail)

    def deliver(self, hmail: HMail, route: Route) -> dict[Address, Outcome]:
        """Try to deliver to all recipients of the entry; each of them has an outcome afterwards.

        A host that can not be reached or turns us away before MAIL is not the last word: the next one is asked. What a
        host answers to MAIL, RCPT, DATA or the message is, unless the route's failover_on says otherwise.
        """
        attempt = _Attempt(hmail, _NOT_FINAL[route.failover_on])
        try:
            for hop in route.hops:
                self._try(hop, attempt)
                if not attempt.pending:
                    return attempt.outcomes
        except NoRoute as error:
            return attempt.end(of_reply(error.reply))
        return attempt.conclude()

    def _try(self, hop: NextHop, attempt: _Attempt) -> None:
        """One next hop; a kept connection that turns out to be dead is replaced by a fresh one, once."""
        self.conversations[attempt] = hop
        try:
            if not self._converse(hop, attempt, fresh=False):
                self._converse(hop, attempt, fresh=True)
        finally:
            del self.conversations[attempt]

    def _converse(self, hop: NextHop, attempt: _Attempt, *, fresh: bool) -> bool:
        """False when a kept connection was the problem, so that nothing is known about the host."""
        hmail, settings = attempt.hmail, self.settings
        todo = hmail.todo
        try:
            client = self._pool.acquire(
                hop,
                helo=self._me,
                connect_timeout=settings.connect_timeout,
                timeouts=settings.timeouts,
                logger=hmail.logger,
                uuid=todo.uuid,
                fresh=fresh,
            )
        except ClientError as error:
            self._note_failure(hop, error)
            self._router.tls.learn(hmail, hop, error)
            attempt.hop_failed(_of_error(error, hop), advice(hop, error))
            return True
        if not client.reused:
            self._router.health.succeeded(hop)
            self._router.tls.learn(hmail, hop, client)
        params = onward(todo)
        try:
            # 8BITMIME is no claim that there are such octets, only leave to send them (RFC 6152 3).
            replies = client.send(
                todo.mail_from,
                list(attempt.pending),
                self._fitting(hmail, client),
                eight_bit=True,
                smtputf8="SMTPUTF8" in params.mail,
                require_tls="REQUIRETLS" in params.mail,
                chunking=settings.chunking,
                mail_params=params.mail,
                rcpt_params=params.rcpts,
            )
        except BrokenConversation as broken:
            return attempt.broke_off(broken, client)
        except NotConvertible as error:
            self._pool.release(client)
            return attempt.answered(dict.fromkeys(attempt.pending, eight_bit_refusal(error)), client)
        except (MessageUnreadable, SpoolError) as error:
            client.close()
            hmail.logerror(f"cannot send {hmail.filename}: {error}")
            attempt.end(of_reply(Reply(451, "the message can not be read", "4.3.0")))
            return True
        self._pool.release(client)
        return attempt.answered(replies, client)

    def _note_failure(self, hop: NextHop, error: ClientError) -> None:
        """Remember hosts that are not there, and addresses of ours that are not."""
        if hop.bind and is_absent_source(error.__cause__):
            self._router.absent.add(hop.bind)
        elif (
            error.phase in _NOT_THERE and not isinstance(error, Rejected) and not is_our_own(error.__cause__)
        ):
            self._router.health.failed(hop, str(error))

    def _fitting(self, hmail: HMail, client: SmtpClient) -> MessageSource:
        """The message as this host gets it. Raises NotConvertible, MessageUnreadable, SpoolError."""
        policy = self.settings.eight_bit_downgrade
        if policy == "send" or "8BITMIME" in client.extensions:
            return hmail.message
        return seven_bit_form(hmail.message, policy)


class _Attempt:
    """What is known so far: outcomes, recipients still without one, and what was wrong with the hops tried.

    not_final: the kinds of replies after which a recipient is offered to the next hop.
    """

    __slots__ = ("_deferral", "_failure", "_not_final", "_refused", "hmail", "outcomes", "pending")

    def __init__(self, hmail: HMail, not_final: frozenset[Fate] = frozenset()) -> None:
        self.hmail = hmail
        self._not_final = not_final
        self._refused: dict[Address, Outcome] = {}
        self.pending = dict.fromkeys(hmail.todo.rcpt_to)
        self.outcomes: dict[Address, Outcome] = {}
        self._deferral: Outcome | None = None
        self._failure: Outcome | None = None

    def note(self, replies: Mapping[Address, Reply], client: SmtpClient) -> None:
        outcomes = of_replies(replies, _peer(client))
        if self._not_final:
            for rcpt in [rcpt for rcpt, outcome in outcomes.items() if outcome.fate in self._not_final]:
                self._keep_asking(rcpt, outcomes.pop(rcpt))
        # Nobody was asked for but who is pending.
        if len(outcomes) == len(self.pending) and not self.outcomes:
            self.outcomes, self.pending = outcomes, {}
            return
        self.outcomes.update(outcomes)
        for rcpt in outcomes:
            self.pending.pop(rcpt, None)

    def _keep_asking(self, rcpt: Address, outcome: Outcome) -> None:
        """Remember a refusal until all hops were asked: who may try again later was not turned away for good."""
        before = self._refused.get(rcpt)
        if before is None or before.fate is FAILED or outcome.fate is DEFERRED:
            self._refused[rcpt] = outcome

    def answered(self, replies: Mapping[Address, Reply], client: SmtpClient) -> bool:
        for reply in replies.values():
            if reply.code == SHUTTING_DOWN:
                return self._turned_away(replies, client)
        self.note(replies, client)
        return True

    def _turned_away(self, replies: Mapping[Address, Reply], client: SmtpClient) -> bool:
        goodbyes = {rcpt: reply for rcpt, reply in replies.items() if reply.code == SHUTTING_DOWN}
        self.note({rcpt: reply for rcpt, reply in replies.items() if rcpt not in goodbyes}, client)
        if client.reused:
            return False
        goodbye = next(iter(goodbyes.values()))
        self.hop_failed(of_reply(goodbye, _peer(client)), f"{client.host} is shutting down: {goodbye}")
        return True

    def broke_off(self, broken: BrokenConversation, client: SmtpClient) -> bool:
        self.note(broken.replies, client)
        uncertain = broken.phase == "dot"
        lost = Outcome(DEFERRED, Reply(451, str(broken), "4.4.2"), _peer(client), uncertain=uncertain)
        if uncertain:
            # It may have been taken. Asking another host now would make a second copy more likely than waiting.
            self.end(lost)
            return True
        if client.reused:
            return False
        self.hop_failed(lost, str(broken))
        return True

    def hop_failed(self, outcome: Outcome, why: str) -> None:
        self.hmail.lognotice(why)
        if outcome.fate is FAILED:
            self._failure = outcome
        else:
            self._deferral = outcome

    def conclude(self) -> dict[Address, Outcome]:
        """No hop is left. All of them together mean a failure only if each turned us, or the recipient, away for good."""
        for rcpt, refusal in self._refused.items():
            if rcpt in self.pending and (refusal.fate is DEFERRED or self._deferral is None):
                self._settle(rcpt, refusal)
        return self.end(
            self._deferral or self._failure or of_reply(Reply(451, "no next hop answered", "4.4.1"))
        )

    def _settle(self, rcpt: Address, outcome: Outcome) -> None:
        self.outcomes[rcpt] = outcome
        del self.pending[rcpt]

    def end(self, outcome: Outcome) -> dict[Address, Outcome]:
        """Give everybody who has none this outcome."""
        self.outcomes.update(dict.fromkeys(self.pending, outcome))
        self.pending = {}
        return self.outcomes


def _of_error(error: ClientError, hop: NextHop) -> Outcome:
    """What it means for the recipients that a connection could not be opened."""
    peer = Peer(hop.path or hop.name, hop.host, hop.port, _mode(hop), False, False, hop)
    if isinstance(error, Rejected):
        if error.phase in _REFUSES_FOR_GOOD:
            return of_reply(error.reply, peer)
        return Outcome(DEFERRED, error.reply, peer)
    if isinstance(error, TlsFailed):
        return Outcome(DEFERRED, Reply(451, str(error), "4.7.5"), peer)
    return Outcome(DEFERRED, Reply(451, str(error), "4.4.1"), peer)


def _peer(client: SmtpClient) -> Peer:
    peer = client.known_as
    if isinstance(peer, Peer):
        return peer
    hop = client.hop
    client.known_as = peer = Peer(
        client.host,
        client.ip,
        client.port,
        _mode(hop),
        client.secured,
        client.authenticated,
        hop,
        "DSN" in client.extensions,
        client.tls,
    )
    return peer


def _mode(hop: NextHop) -> str:
    return "LMTP" if hop.using_lmtp else "SMTP"
