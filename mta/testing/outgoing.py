"""The outbound side, played by the test: a delivery attempt that succeeds, fails or is put off, without a next hop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mta.net.next_hop import NextHop
from mta.plugin.outcome import Deferral, Failure, Receipt
from mta.testing.objects import make_address

if TYPE_CHECKING:
    from mta.outbound.hmail import HMail
    from mta.plugin.runner import HookRunner
    from mta.plugin.verdict import Verdict
    from mta.smtp.address import Address
    from mta.testing.mailroom import Mailroom

MX, MX_IP = "mx.recipient.example", "192.0.2.25"


class Outgoing:
    """What a MailServer can do with queued mail; each method runs one hook and returns the verdict of the plugins."""

    hooks: HookRunner
    _mailroom: Mailroom

    @property
    def hmails(self) -> list[HMail]:
        """The entries that are in the queue of outgoing mail, one for each destination domain, in order."""
        return self._mailroom.hmails

    def delivered(
        self,
        hmail: HMail,
        response: str = "250 2.0.0 taken",
        *,
        recipients: Sequence[str | Address] | None = None,
        host: str = MX,
        ip: str = MX_IP,
        port: int = 25,
        delay: float = 1.0,
        secured: bool = True,
        **more: Any,
    ) -> Verdict:
        """The next hop took the mail: hook delivered with a Receipt. recipients: all of them unless told."""
        receipt = Receipt(host, ip, port, response, delay, _given(hmail, recipients), secured=secured, **more)
        return self.hooks.run("delivered", hmail, receipt)

    def bounced(
        self,
        hmail: HMail,
        err: str = "550 5.1.1 no such user",
        *,
        recipients: Sequence[str | Address] | None = None,
        category: str = "other",
        mx: NextHop | None = None,
    ) -> Verdict:
        """The next hop refused the mail for good: hook bounce with a Failure."""
        return self.hooks.run("bounce", hmail, Failure(err, _given(hmail, recipients), mx, category))

    def deferred(
        self,
        hmail: HMail,
        err: str = "450 4.2.0 try again later",
        *,
        delay: float = 64.0,
        recipients: Sequence[str | Address] | None = None,
        category: str = "other",
        mx: NextHop | None = None,
    ) -> Verdict:
        """The next hop put the mail off: hook deferred with a Deferral. delay: seconds to the next attempt."""
        return self.hooks.run(
            "deferred", hmail, Deferral(delay, err, _given(hmail, recipients), mx, category)
        )

    def get_mx(self, hmail: HMail) -> Verdict:
        """Ask the plugins where the mail goes: hook get_mx."""
        return self.hooks.run("get_mx", hmail, hmail.todo.domain)


def _given(hmail: HMail, recipients: Sequence[str | Address] | None) -> Sequence[Address]:
    if recipients is None:
        return hmail.todo.rcpt_to
    return [make_address(rcpt) for rcpt in recipients]
