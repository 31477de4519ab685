"""Accept recipients in the domains of host_list and host_list_regex."""

from __future__ import annotations

from mta.plugin import ANTI_SPOOF, DENY, OK, Address, Answer, Connection, HostList, Params, Plugin


class InHostList(Plugin):
    """Asks for each recipient, and for the sender, whether the domain is ours."""

    domains: HostList
    anti_spoof = False

    def register(self) -> None:
        self.domains = HostList(self.config)
        self.load_anti_spoof(self.config.value(ANTI_SPOOF, on_change=self.load_anti_spoof))

    def load_anti_spoof(self, value: bool) -> None:
        self.anti_spoof = value

    def hook_mail(self, connection: Connection, mail_from: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # MAIL has opened it
        results = connection.transaction.results
        if mail_from.is_null:
            results.add(self, {"skip": "mail_from.null"})
            return None
        if not self.domains.has(mail_from.host):
            results.add(self, {"msg": "mail_from!local"})
            return None
        if self.anti_spoof and not connection.relaying:
            results.add(self, {"fail": "mail_from.anti_spoof"})
            return DENY, f"Mail from domain '{mail_from.host}' is not allowed from your host"
        results.add(self, {"pass": "mail_from"})
        connection.transaction.notes.local_sender = True
        return None

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        assert connection.transaction is not None  # RCPT comes after MAIL
        transaction = connection.transaction
        if self.domains.has(rcpt.host):
            transaction.results.add(self, {"pass": "rcpt_to"})
            return OK
        if connection.relaying and transaction.notes.get("local_sender"):
            transaction.results.add(self, {"pass": "relaying local_sender"})
            return OK
        transaction.results.add(self, {"msg": "rcpt!local"})
        return None
