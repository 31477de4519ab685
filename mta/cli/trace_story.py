"""A trace as people read it: a line for each event with the time since the first one, then what became of everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mta.cli.queue_items import Item
from mta.cli.queue_table import reasons
from mta.cli.trace_lines import LOG, Record
from mta.cli.trace_words import WORDS, wrote
from mta.log_format import escape, iso_time

FATES = {"delivered": "delivered", "bounced": "bounced", "deferred": "waiting", "queue": "waiting"}


def story(targets: Sequence[str], records: Sequence[Record], items: Sequence[Item]) -> Iterator[str]:
    """The whole of it, line by line."""
    yield f"{targets[0]}" if targets else ""
    start = next((each.time for each in records if each.time is not None), None)
    if start is not None:
        yield f"{'since':>12}  {iso_time(start)}"
    root = targets[0].partition(".")[0] if targets else ""
    for each in records:
        time = since(each.time - start) if each.time is not None and start is not None else ""
        for line in _lines(each):
            yield escape(f"{time:>12}  {short(each.id, root):10}  {line}").rstrip()
    for item in items:
        for reason in reasons(item):
            line = f"waits     {item.id}: {reason}"
            yield f"{'now':>12}  {escape(short(item.entry.todo.uuid, root)):10}  {line}"
    ends = _ends(records, items)
    if ends:
        yield f"{'in the end':>12}  " + ", ".join(f"{count} {fate}" for fate, count in ends.items())


def _lines(record: Record) -> Iterable[str]:
    if record.event == LOG:
        return [f"{record.fields['level']:9} [{record.fields['source']}] {record.fields['message']}"]
    words: Callable[[dict[str, Any]], Iterable[str]] | None = WORDS.get(record.event)
    try:
        said = list(words(record.fields)) if words is not None else [wrote(record.fields)]
    except (KeyError, TypeError, AttributeError):  # of another version, or of another program
        said = [wrote(record.fields)]
    return [f"{record.event:9} {line}" for line in said]


def short(uuid: str, root: str) -> str:
    """The number of a message or entry, `-` for the session; of a report the first characters of its uuid as well."""
    head, dot, rest = uuid.partition(".")
    if head == root:
        return f".{rest}" if dot else "-"
    return f"{head[:8]}{dot}{rest}"


def since(seconds: float) -> str:
    """A time after the first event: `+0.123`, `+1:02.500`, `+2:03:04`, `+3d 01:02:03`."""
    if seconds < 60:
        return f"+{seconds:.3f}"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"+{minutes:.0f}:{rest:06.3f}"
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    return (
        f"+{days}d {hours:02}:{minutes:02}:{int(rest):02}"
        if days
        else f"+{hours}:{minutes:02}:{int(rest):02}"
    )


def _ends(records: Iterable[Record], items: Iterable[Item]) -> Counter[str]:
    """How many recipients came to what; the queue knows best who still waits."""
    fates: dict[tuple[str, str], str] = {}
    for each in records:
        for entry, recipient in _recipients(each):
            fates[entry, recipient] = FATES.get(each.event) or fates.get((entry, recipient), "waiting")
            if each.fields.get("order") == "delete":
                fates[entry, recipient] = "deleted"
    for item in items:
        todo = item.entry.todo
        fates.update(((todo.uuid, rcpt.address), "waiting") for rcpt in todo.rcpt_to)
    return Counter(fates.values())


def _recipients(record: Record) -> Iterator[tuple[str, str]]:
    if record.event == "queue":
        for entry in record.fields.get("entries") or ():
            yield from ((entry["id"], recipient) for recipient in entry["recipients"])
    elif record.event in FATES or record.event == "order":
        yield from ((record.id, recipient) for recipient in record.fields.get("recipients") or ())
