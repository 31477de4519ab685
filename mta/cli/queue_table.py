"""Queue entries as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mta.cli.queue_items import Item
from mta.log_format import escape
from mta.outbound.gate import moment

WIDEST = 40  # characters of an address
UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
HEADINGS = ("ID", "AGE", "SIZE", "TRIES", "STATE", "NEXT", "FROM", "TO", "LAST REPLY")


def table(items: Sequence[Item]) -> Iterable[str]:
    """A line for each entry, columns below each other; the last column is as long as it is."""
    rows = [HEADINGS, *map(_row, items)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    for row in rows:
        yield "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()


def _row(item: Item) -> tuple[str, ...]:
    todo, name = item.entry.todo, item.entry.name
    more = f" +{len(todo.rcpt_to) - 1}" if len(todo.rcpt_to) > 1 else ""
    return (
        item.id,
        span(item.age),
        size(item.entry.size),
        str(name.attempts),
        item.state,
        "-" if name.is_held else span(item.due),
        _short(str(todo.mail_from)),
        _short(str(todo.rcpt_to[0])) + more if todo.rcpt_to else "-",
        escape(item.reason or ""),
    )


def details(item: Item) -> Iterable[str]:
    """Everything about one entry, one thing a line."""
    todo, name = item.entry.todo, item.entry.name
    yield f"id:        {item.id}"
    yield f"uuid:      {escape(todo.uuid)}"
    yield f"file:      {escape(name.text)}"
    yield f"from:      {escape(str(todo.mail_from))}"
    for rcpt in todo.rcpt_to:
        yield f"to:        {escape(str(rcpt))}"
    yield f"domain:    {escape(todo.domain)}" + (f" (site {escape(item.site)})" if item.site else "")
    yield f"arrived:   {moment(todo.queue_time / 1000)} ({span(item.age)} ago)"
    yield f"size:      {item.entry.size} bytes"
    yield f"attempts:  {name.attempts}"
    if not name.is_held:
        yield f"next:      {moment(name.next_attempt / 1000)}" + (
            f" (in {span(item.due)})" if item.due else " (due)"
        )
    yield from (f"waits for: {line}" for line in reasons(item))
    if item.reason:
        yield f"last:      {escape(item.reason)}"


def reasons(item: Item) -> list[str]:
    """Why the entry waits, one gate a line; without a server, what the file name says."""
    if item.gates is not None:
        return [escape(str(gate)) for gate in item.gates]
    if item.entry.name.is_held:
        return ["held: an operator holds it"]
    if item.due:
        return [f"backoff: the next attempt is not due, until {moment(item.entry.name.next_attempt / 1000)}"]
    return ["the server: it is due, and nobody is running who would deliver it"]


def sites(status: Mapping[str, Any]) -> Iterable[str]:
    """The figures of a running server, then a line for each site."""
    for key in ("in_progress", "ready", "parked", "scheduled", "held"):
        yield f"{key.replace('_', ' ') + ':':14}{status[key]}"
    if workers := status.get("workers"):
        yield f"{'workers:':14}{len(workers)} (processes {', '.join(str(each['pid']) for each in workers)})"
    for name, busy in status["busy"]["plugins"].items():
        times = f"{busy['count']} times, {busy['longest']:g} s at most"
        yield escape(f"loop held by:  {name} ({times})")
    if status["disabled"]:
        yield "disabled:     outbound.ini has disabled=true"
    for each in status["suspensions"]:
        until = moment(each["until"]) if each["until"] else "it is resumed"
        why = f" ({each['reason']})" if each["reason"] else ""
        yield escape(f"suspended:    {each['scope']} until {until}{why}")
    if status["sites"]:
        yield ""
        yield f"{'SITE':30}  {'BUSY':>5}  {'MAX':>4}  {'WAITING':>7}  STATE"
    for site in status["sites"]:
        state = "suspended" if site["suspended"] else ""
        if site["resting_until"]:
            state = f"does not answer, asked again at {site['resting_until']}: {site['last_failure']}"
        yield escape(
            f"{site['site']:30}  {site['busy']:>5}  {site['concurrency']:>4}  {site['waiting']:>7}  {state}".rstrip()
        )


def span(seconds: float) -> str:
    """A time in its largest unit: `45s`, `12m`, `3h`, `5d`."""
    for length, unit in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return "0s"


def size(count: int) -> str:
    """Bytes in their largest unit: `812`, `4K`, `12M`."""
    for length, unit in ((1024**3, "G"), (1024**2, "M"), (1024, "K")):
        if count >= length:
            return f"{count // length}{unit}"
    return str(count)


def _short(text: str) -> str:
    text = escape(text)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
