"""Give mail for some recipients to others, or throw it away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mta.plugin import (
    DENY,
    DENYSOFT,
    OK,
    Address,
    AddressError,
    Answer,
    Connection,
    HostList,
    Params,
    Plugin,
    PluginError,
    Transaction,
    domain_key,
)

FILES = ("aliases.json", "aliases")  # the first that says something; a file aliases is JSON too
ACTIONS = ("alias", "drop")
KEYS = ("action", "to")
SEPARATOR = re.compile("[+-]")
ANYBODY = "*"
FOUND, DROPPED = "aliases", "aliases_dropped"  # notes of a transaction
SPLIT = "Split transaction, retry soon"
ELSEWHERE = "outbound"  # the queue of mail for other domains, as notes.queue.wants has it


class Alias(NamedTuple):
    """Who gets the mail: nobody when it is dropped. A target without a domain is in that of the recipient."""

    key: str
    targets: tuple[Address, ...] = ()

    def targets_for(self, rcpt: Address) -> tuple[Address, ...]:
        return tuple(target if target.host else Address(target.user, rcpt.host) for target in self.targets)


Found = dict[Address, tuple[Address, ...]]


class Aliases(Plugin):
    """Finds the alias at RCPT, and puts its targets into the envelope when all recipients are known."""

    timeout = 0.0  # nothing here waits
    aliases: Mapping[str, Alias] = {}
    domains: HostList

    def register(self) -> None:
        trees = {name: self.config.get(name, "json", on_change=self.reload) for name in FILES}
        name = next((name for name in FILES if trees[name]), FILES[0])
        self.aliases, problems = read_aliases(trees[name])
        if problems:
            raise PluginError(f"{self.config.directory / name}: {problems[0]}")
        self.domains = HostList(self.config)
        self.register_hook("data", self.rewrite, -100)
        self.register_hook("queue", self.take, -100)
        self.register_hook("queue_outbound", self.take, -100)

    def reload(self, _: object) -> None:
        """A mistake in the file must not cost us the other aliases while the server runs."""
        trees = [self.config.get(name, "json") for name in FILES]
        self.aliases, problems = read_aliases(trees[0] or trees[1])
        for problem in problems:
            self.logerror(f"aliases: {problem}")

    # ---- finding it

    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:
        transaction = connection.transaction
        if transaction is None or not self.aliases:
            return None
        alias = self.find(rcpt, connection)
        if alias is not None:
            transaction.notes.setdefault(FOUND, {})[rcpt] = alias.targets_for(rcpt)
        found: Found | None = dict.get(transaction.notes, FOUND)
        if found and not connection.relaying and splits(transaction, found, rcpt):
            return DENYSOFT, SPLIT
        # Whoever writes the domain into the file says that it is one of ours.
        return OK if alias is not None and "@" in alias.key else None

    def find(self, rcpt: Address, connection: Connection) -> Alias | None:
        """The alias that fits best. One without a domain is for ours: users may write to a postmaster elsewhere."""
        any_domain = not connection.relaying or self.is_ours(rcpt.host)
        for key in keys_of(rcpt):
            if key in self.aliases and (any_domain or "@" in key):
                return self.aliases[key]
        return None

    def is_ours(self, host: str) -> bool:
        return not host or self.domains.has(host)

    # ---- using it

    def rewrite(self, connection: Connection) -> Answer:
        transaction = connection.transaction
        if transaction is None:
            return None
        found: Found | None = dict.get(transaction.notes, FOUND)
        if not found:
            return None
        wants_elsewhere = any(goes_elsewhere(found, rcpt) for rcpt in transaction.rcpt_to)
        self.replace(transaction, found)
        if not transaction.rcpt_to:
            transaction.notes[DROPPED] = transaction.notes["discard"] = True
        elif wants_elsewhere:
            transaction.notes.set(
                "queue.wants", ELSEWHERE
            )  # whatever was wanted for the recipients that are gone
        return None

    def replace(self, transaction: Transaction, found: Found) -> None:
        """Put the targets in the place of their recipients, each once; what the sender asked for them goes along."""
        envelope: dict[Address, None] = {}
        for rcpt in transaction.rcpt_to:
            targets = found.get(rcpt, (rcpt,))
            envelope.update(dict.fromkeys(targets))
            if rcpt in found:
                self.loginfo(f"{rcpt} goes to {', '.join(map(str, targets)) or 'nobody'}", transaction)
                transaction.notes["forward"] = True
                params = transaction.rcpt_params.pop(rcpt, None)
                for target in targets if params else ():
                    transaction.rcpt_params.setdefault(target, dict(params or {}))
        transaction.rcpt_to[:] = envelope

    def take(self, connection: Connection) -> Answer:
        """Nobody needs to see mail that everybody has dropped; mail for other domains goes into the queue that is for it."""
        transaction = connection.transaction
        if transaction is None or not dict.get(transaction.notes, FOUND):
            return None
        if DROPPED in transaction.notes:
            self.loginfo("message dropped", transaction)
            return OK
        if connection.relaying or transaction.notes.get("queue.wants") != ELSEWHERE:
            return None
        reply = self.server.send_trans_email(transaction)
        return {2: OK, 5: DENY}.get(reply.kind, DENYSOFT), reply.text


def keys_of(rcpt: Address) -> Iterator[str]:
    """What an alias for the recipient may be called, the one that fits best first: see docs/plugins/aliases.md."""
    user, host = rcpt.user.lower(), rcpt.host
    yield f"{user}@{host}"
    yield user
    for cut in reversed([match.start() for match in SEPARATOR.finditer(user, 1)]):
        yield f"{user[:cut]}@{host}"
        yield user[:cut]
    yield f"@{host}"
    yield ANYBODY


def goes_elsewhere(found: Found, rcpt: Address) -> bool:
    return any(target.host != rcpt.host for target in found.get(rcpt, ()))


def splits(transaction: Transaction, found: Found, rcpt: Address) -> bool:
    """True when the recipient's mail goes another way than that of the others: a message has one queue."""
    others = (other for other in transaction.rcpt_to if other is not rcpt and found.get(other) != ())
    first = next(others, None)
    if first is None or found.get(rcpt) == ():
        return False
    return goes_elsewhere(found, first) != goes_elsewhere(found, rcpt)


# ---- the file


def read_aliases(tree: Any) -> tuple[dict[str, Alias], list[str]]:
    """The aliases by their key in lower case, and what is wrong with those that are left out."""
    if not isinstance(tree, Mapping):
        return {}, ["there is no object with one entry for each alias"]
    aliases, problems = {}, []
    for name, entry in tree.items():
        try:
            key = key_of(str(name))
            aliases[key] = Alias(key, read_targets(entry))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return aliases, problems


def key_of(name: str) -> str:
    """`user`, `user@domain`, `@domain` or `*`. Raises ValueError."""
    user, at, domain = name.strip().lower().rpartition("@")
    if not at and not domain:
        raise ValueError("an alias is called user, user@domain, @domain or *")
    if not at:
        return domain
    if not domain:
        raise ValueError("there is no domain behind the @")
    return f"{user}@{domain_key(domain)}"


def read_targets(entry: Any) -> tuple[Address, ...]:
    """Those of one entry. Raises ValueError saying what is wrong with it."""
    if not isinstance(entry, Mapping):
        raise ValueError('an alias is an object such as {"action": "alias", "to": "bob"}')
    if unknown := sorted(str(key) for key in entry if key not in KEYS):
        raise ValueError(f"{unknown[0]!r} is not known, allowed: {', '.join(KEYS)}")
    action = str(entry.get("action", "")).lower()
    if action not in ACTIONS:
        raise ValueError(
            f"the action {entry.get('action')!r} is not one of them, allowed: {', '.join(ACTIONS)}"
        )
    if action == "drop":
        return ()
    to = entry.get("to")
    texts = to if isinstance(to, list) else [to]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("to must be an address, or a list of them")
    return tuple(map(read_target, texts))


def read_target(text: str) -> Address:
    """`user@domain`, or `user` for one without a domain. Raises ValueError."""
    try:
        if "@" in text:
            return Address.parse(text)
        return Address(Address.parse(f"{text}@example.com").user, "")
    except AddressError:
        raise ValueError(f"{text!r} is not an address") from None
