"""What each event says in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Fields = dict[str, Any]

FRAME = frozenset({"event", "time", "id", "host", "worker", "v"})
SHOWN = 5  # recipients of one entry; the rest is counted


def connect(f: Fields) -> Iterator[str]:
    """Who came, where to, and what he read."""
    proxy = f" by {f['proxy']}" if f["proxy"] else ""
    yield f"{_end(f['remote'])}:{f['remote']['port']}{proxy} to {_place(f['local'])}{_tls(f['tls'])}{_outcome(f)}"


def auth(f: Fields) -> Iterator[str]:
    """Who wants to be whom."""
    user = f" as {f['user']}" if f["user"] else ""
    yield f"{f['mechanism'] or 'unknown mechanism'}{user}: {f['result']}{_by(f)}{_reply(f['reply'])}"


def mail(f: Fields) -> Iterator[str]:
    """The sender, and how he came."""
    sender = "?" if f["sender"] is None else f"<{f['sender']}>"
    params = "".join(f" {key}" if value is None else f" {key}={value}" for key, value in f["params"].items())
    user = f", user {f['user']}" if f["user"] else ""
    hello = f" from {f['hello']['host']}" if f["hello"]["host"] else ""
    yield f"{sender}{params}{hello} with {f['protocol']}{user}{_outcome(f)}"


def rcpt(f: Fields) -> Iterator[str]:
    """One recipient."""
    yield f"{'?' if f['recipient'] is None else '<' + f['recipient'] + '>'}{_outcome(f)}"


def data(f: Fields) -> Iterator[str]:
    """The message."""
    yield f"{f['size']} bytes, Message-Id {f['message_id'] or 'missing'}{_outcome(f)}"
    for name, values in f["headers"].items():
        yield from (f"{name}: {value}" for value in values)


def queue(f: Fields) -> Iterator[str]:
    """Where it waits now."""
    if f["plugin"]:
        yield f"taken over by {f['plugin']}"
    if f["origin"]:
        yield f"a mail of our own from <{f['sender']}>, about {f['origin']}"
    for entry in f["entries"]:
        yield f"{entry['entry']} for {entry['domain']}: {_addresses(entry['recipients'])}"


def delivered(f: Fields) -> Iterator[str]:
    """Done."""
    yield f"{_addresses(f['recipients'])} to {_hop(f)}{_reply(f['reply'])} (attempt {f['attempts']})"


def deferred(f: Fields) -> Iterator[str]:
    """Not now."""
    where = f" at {_hop(f)}" if f["next_hop"] else ""
    yield f"{_addresses(f['recipients'])}{where}: {f['reason']}; again at {f['next_attempt']} (attempt {f['attempts']})"


def bounced(f: Fields) -> Iterator[str]:
    """Never."""
    where = f" at {_hop(f)}" if f["next_hop"] else ""
    told = "the sender is told" if f["reported"] else f"the sender is not told{_by(f)}"
    yield f"{_addresses(f['recipients'])}{where}: {f['reason']}; {told} (attempt {f['attempts']})"


def order(f: Fields) -> Iterator[str]:
    """What an operator did."""
    to = f" to {f['to'] or 'its own way'}" if f["order"] == "reroute" else ""
    yield f"{f['order']} {f['entry']}{to}, {_addresses(f['recipients'])}"


def disconnect(f: Fields) -> Iterator[str]:
    """The end of the session."""
    yield (
        f"after {f['duration']:g} s: {f['transactions']} transactions, "
        f"recipients {_counts(f['recipients'])}, messages {_counts(f['messages'])}, {f['bytes']} bytes"
    )


WORDS: dict[str, Callable[[Fields], Iterator[str]]] = {
    "connect": connect,
    "auth": auth,
    "mail": mail,
    "rcpt": rcpt,
    "data": data,
    "queue": queue,
    "delivered": delivered,
    "deferred": deferred,
    "bounced": bounced,
    "order": order,
    "disconnect": disconnect,
}


def wrote(fields: Fields) -> str:
    """An event that nobody here knows."""
    return " ".join(f"{key}={value}" for key, value in fields.items() if key not in FRAME)


# -- parts


def _outcome(f: Fields) -> str:
    return f": {f['verdict']}{_by(f)}{_reply(f['reply'])}"


def _by(f: Fields) -> str:
    return f" by {f['plugin']}" if f.get("plugin") else ""


def _reply(reply: Fields | None) -> str:
    if reply is None:
        return ""
    enhanced = f" {reply['enhanced']}" if reply["enhanced"] else ""
    return f": {reply['code']}{enhanced} {reply['text']}"


def _end(end: Fields) -> str:
    return f"{end['host']} [{end['ip']}]" if end["host"] else f"[{end['ip']}]"


def _place(end: Fields) -> str:
    return f"[{end['ip']}]:{end['port']}"


def _hop(f: Fields) -> str:
    hop = f["next_hop"]
    if hop is None:
        return "nobody"
    at = f" {_place(hop)}" if hop["ip"] else ""
    return f"{hop['host']}{at}{_tls(f['tls'])}"


def _tls(tls: Fields | None) -> str:
    if tls is None:
        return ""
    return f" ({tls['version']}{', verified' if tls['verified'] else ''})"


def _addresses(recipients: list[str]) -> str:
    more = f" and {len(recipients) - SHOWN} more" if len(recipients) > SHOWN else ""
    return ", ".join(f"<{recipient}>" for recipient in recipients[:SHOWN]) + more


def _counts(counts: Fields) -> str:
    return f"{counts['accepted']}/{counts['deferred']}/{counts['rejected']}"
