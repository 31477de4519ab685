"""Put refusals off until the recipients are known, so that users who may relay are never refused before."""

from __future__ import annotations

from mta.plugin import OK, Address, Answer, Connection, DelayDenySettings, Denial, Notes, Plugin

EARLY = ("lookup_rdns", "connect", "helo", "ehlo")
LATER = ("mail", "rcpt")
PENDING, FAILED = "delay_deny_pre", "delay_deny_pre_fail"
HEADER = "X-Haraka-Fail-Pre"


class DelayDeny(Plugin):
    """Pardons what other plugins refuse before DATA, and refuses the recipients for the same reasons."""

    included: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def register(self) -> None:
        self.load(self.config.settings(DelayDenySettings, on_change=self.load))
        for hook in ("helo", "ehlo"):
            self.register_hook(hook, self.forget_hello, -100)
        self.register_hook("rcpt", self.forget_rcpt, -100)
        self.register_hook("rcpt", self.refuse_rcpt, 100)
        self.register_hook("rcpt_ok", self.replay, -100)

    def load(self, cfg: DelayDenySettings) -> None:
        self.included, self.excluded = frozenset(cfg.included_plugins), frozenset(cfg.excluded_plugins)

    # ---- a refusal

    def hook_deny(self, connection: Connection, denial: Denial) -> Answer:
        if denial.plugin == self.name or not self.waits(denial):
            return None
        if denial.hook == "rcpt_ok":
            # Nothing can be later than this: either the recipient is refused now, or the client is above that.
            return self.pardon(connection, denial) if connection.relaying else None
        transaction = connection.transaction
        if denial.hook in EARLY:
            pending(connection.notes)[denial.hook] = (connection.uuid, denial)
        elif denial.hook in LATER and transaction is not None:
            pending(transaction.notes)[denial.hook] = (connection.uuid, denial)
        else:
            return None
        return self.pardon(connection, denial)

    def waits(self, denial: Denial) -> bool:
        names = {denial.plugin, f"{denial.plugin}:{denial.hook}"}
        names.add(f"{denial.plugin}:{denial.hook}:{denial.function}")
        return not self.included.isdisjoint(names) if self.included else self.excluded.isdisjoint(names)

    def pardon(self, connection: Connection, denial: Denial) -> Answer:
        transaction = connection.transaction
        notes = connection.notes if transaction is None else transaction.notes
        notes.setdefault(FAILED, {})[denial.plugin] = connection.uuid
        self.loginfo("refusal put off", {"plugin": denial.plugin, "hook": denial.hook}, connection)
        return OK

    # ---- what it is about may be over

    def forget_hello(self, connection: Connection, host: str) -> Answer:
        """The client introduces itself anew."""
        for hook in ("helo", "ehlo"):
            connection.notes.get(PENDING, {}).pop(hook, None)
        return None

    def forget_rcpt(self, connection: Connection, rcpt: Address, params: object) -> Answer:
        """Another recipient: what was said about the last one is not about this one."""
        if connection.transaction is not None:
            connection.transaction.notes.get(PENDING, {}).pop("rcpt", None)
        return None

    # ---- the recipient

    def refuse_rcpt(self, connection: Connection, rcpt: Address, params: object) -> Answer:
        """Nobody has accepted the recipient: then the plugin that refused it knows best how to say so."""
        if connection.transaction is None or connection.relaying:
            return None
        found = [one for one in self.valid(connection, connection.transaction.notes) if one.hook == "rcpt"]
        return (found[0].code, found[0].message) if found else None

    def replay(self, connection: Connection, rcpt: Address) -> Answer:
        transaction = connection.transaction
        if transaction is None:
            return None
        found = [*self.valid(connection, connection.notes), *self.valid(connection, transaction.notes)]
        if not found:
            return None
        if connection.relaying:
            self.loginfo("bypassing all pre-DATA deny: AUTH/RELAY", connection)
            return None
        return found[0].code, found[0].message

    def valid(self, connection: Connection, notes: Notes) -> list[Denial]:
        """What waits, the earliest first; XCLIENT has put another client, with another uuid, in the place of the refused one."""
        return [denial for uuid, denial in notes.get(PENDING, {}).values() if uuid == connection.uuid]

    # ---- the message

    def hook_data_post(self, connection: Connection) -> Answer:
        """Let filters and readers know what would have been refused."""
        transaction = connection.transaction
        if transaction is not None:
            transaction.remove_header(HEADER)
            failed = {**connection.notes.get(FAILED, {}), **transaction.notes.get(FAILED, {})}
            names = [plugin for plugin, uuid in failed.items() if uuid == connection.uuid]
            if names:
                transaction.add_header(HEADER, " ".join(names))
        return None


def pending(notes: Notes) -> dict[str, tuple[str, Denial]]:
    """The refusals that wait, the last one of each hook: a client can not make many of them."""
    found: dict[str, tuple[str, Denial]] = notes.setdefault(PENDING, {})
    return found
