"""The events of a queued mail: queue, delivered, deferred, bounced, order. Who calls has asked `events.on` before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mta import events as parts
from mta.log_format import iso_time

if TYPE_CHECKING:
    from mta.events import Events
    from mta.outbound.hmail import HMail
    from mta.outbound.outcome import Outcome, Peer
    from mta.outbound.qfile import QueueFileName
    from mta.outbound.todo import Todo
    from mta.smtp.address import Address
    from mta.transaction import Transaction


def queued(
    events: Events,
    transaction: Transaction,
    names: Sequence[QueueFileName],
    todos: Sequence[Todo],
    due_ms: int,
    origin: str | None,
) -> None:
    """A message is in the queue. origin: the uuid of what a mail of our own is about."""
    for entries in _batches(names, todos):
        fields: dict[str, object] = {
            "message": transaction.uuid,
            "sender": transaction.mail_from.address,
            "plugin": None,
            "origin": origin,
            "due": iso_time(due_ms / 1000),
            "entries": entries,
        }
        events.emit("queue", transaction.uuid, fields)


def delivered(events: Events, hmail: HMail, outcomes: Mapping[Address, Outcome]) -> None:
    """Next hops have taken the mail for these recipients."""
    _tell(events, "delivered", hmail, outcomes, lambda _: {})


def deferred(
    events: Events,
    hmail: HMail,
    outcomes: Mapping[Address, Outcome],
    category: Callable[[Outcome], str],
    due_ms: int,
) -> None:
    """These recipients are tried again. category: of an answer, by the bounce rules."""
    due = iso_time(due_ms / 1000)
    _tell(
        events,
        "deferred",
        hmail,
        outcomes,
        lambda why: {"plugin": None, "category": category(why), "next_attempt": due},
    )


def bounced(
    events: Events,
    hmail: HMail,
    outcomes: Mapping[Address, Outcome],
    category: Callable[[Outcome], str],
    *,
    reported: bool,
    plugin: str = "",
) -> None:
    """These recipients are given up. reported: their sender is told; plugin: who wanted that he is not."""
    _tell(
        events,
        "bounced",
        hmail,
        outcomes,
        lambda why: {"plugin": plugin or None, "category": category(why), "reported": reported},
    )


def delayed(events: Events, hmail: HMail, plugin: str, due_ms: int) -> None:
    """A plugin has put the mail off before anybody was asked."""
    for recipients in parts.batches([rcpt.address for rcpt in hmail.todo.rcpt_to]):
        fields = {
            **_attempt(hmail, recipients, hmail.num_failures),
            "next_hop": None,
            "tls": None,
            "authenticated": False,
            "plugin": plugin,
            "reply": None,
            "reason": f"delayed by plugin {plugin}",
            "category": "other",
            "next_attempt": iso_time(due_ms / 1000),
        }
        events.emit("deferred", hmail.uuid, fields)


def ordered(
    events: Events,
    order: str,
    name: QueueFileName,
    todo: Todo,
    next_hop: str | None = None,
) -> None:
    """An operator has held, released, rerouted or deleted an entry."""
    for recipients in parts.batches([rcpt.address for rcpt in todo.rcpt_to]):
        fields = {
            "message": _message(todo.uuid),
            "order": order,
            "entry": name.uniq,
            "sender": todo.mail_from.address,
            "recipients": recipients,
            "domain": todo.domain,
            "to": next_hop,
        }
        events.emit("order", todo.uuid, fields)


# -- parts


def _tell(
    events: Events,
    event: str,
    hmail: HMail,
    outcomes: Mapping[Address, Outcome],
    more: Callable[[Outcome], dict[str, object]],
) -> None:
    """One event for all recipients that have the same answer from the same conversation."""
    alike: dict[Outcome, list[str]] = {}
    for rcpt, outcome in outcomes.items():
        alike.setdefault(outcome, []).append(rcpt.address)
    for outcome, addresses in alike.items():
        for recipients in parts.batches(addresses):
            fields = {
                **_attempt(hmail, recipients, hmail.num_failures + 1),
                **_answer(outcome),
                **more(outcome),
            }
            events.emit(event, hmail.uuid, fields)


def _attempt(hmail: HMail, recipients: list[str], attempts: int) -> dict[str, object]:
    todo = hmail.todo
    return {
        "message": _message(todo.uuid),
        "entry": hmail.name.uniq,
        "sender": todo.mail_from.address,
        "recipients": recipients,
        "domain": todo.domain,
        "attempts": attempts,
        "delay": parts.rounded(time.time() - todo.queue_time / 1000),
    }


def _answer(outcome: Outcome) -> dict[str, object]:
    peer = outcome.peer
    return {
        "next_hop": _next_hop(peer) if peer is not None else None,
        "tls": _tls(peer) if peer is not None else None,
        "authenticated": peer is not None and peer.authenticated,
        "reply": parts.reply(outcome.reply),
        "reason": outcome.reason[: parts.MAX_TEXT],
    }


def _next_hop(peer: Peer) -> dict[str, object]:
    path = peer.hop.path
    if path:
        return {"host": path, "ip": None, "port": None, "mode": peer.mode}
    return {"host": peer.host, "ip": peer.ip, "port": peer.port, "mode": peer.mode}


def _tls(peer: Peer) -> dict[str, object] | None:
    if not peer.secured:
        return None
    tls = peer.tls
    return {"version": tls.version, "cipher": tls.cipher, "verified": tls.verified, "by": tls.by}


def _message(entry: str) -> str:
    """The uuid of the message that an entry belongs to: without the number of the entry."""
    return entry.rpartition(".")[0] or entry


def _batches(names: Sequence[QueueFileName], todos: Sequence[Todo]) -> Iterator[list[dict[str, object]]]:
    """The entries, in lists with so few recipients that each fits into one event."""
    batch: list[dict[str, object]] = []
    room = parts.MAX_RECIPIENTS
    for name, todo in zip(names, todos, strict=True):
        for recipients in parts.batches([rcpt.address for rcpt in todo.rcpt_to]):
            if len(recipients) > room:
                yield batch
                batch, room = [], parts.MAX_RECIPIENTS
            batch.append(
                {"id": todo.uuid, "entry": name.uniq, "domain": todo.domain, "recipients": recipients}
            )
            room -= len(recipients)
    if batch:
        yield batch
