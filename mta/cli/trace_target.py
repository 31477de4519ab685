"""Which records belong to what is traced: a session, a message, or an entry of the queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from mta.cli.errors import CommandError, UsageError
from mta.cli.trace_lines import LOG, Record, parse

SHORTEST = 6  # characters of a uuid; fewer would choose too much
MAX_SHOWN = 10
MAX_RECORDS = 100_000  # one session that sends all day; more than that nobody reads

Lines = Callable[[Iterable[str]], Iterable[str]]
"""Gives the lines that have one of some words in them."""


def related(uuid: str, target: str) -> bool:
    """True for the target, for what it is a part of, and for its parts: CONNECTION, CONNECTION.N, CONNECTION.N.M."""
    return uuid == target or uuid.startswith(f"{target}.") or target.startswith(f"{uuid}.")


def within(uuid: object, target: str) -> bool:
    """True for the target and its parts."""
    return isinstance(uuid, str) and (uuid == target or uuid.startswith(f"{target}."))


class Search:
    """Finds everything about one thing. lines: where from; queued: the uuids of the entries that are in the queue."""

    def __init__(self, lines: Lines, queued: Iterable[str]) -> None:
        self._lines = lines
        self._queued = list(queued)

    def run(self, name: str) -> tuple[list[str], list[Record]]:
        """The targets and their records in the order of time. name: a uuid, the beginning of one, or a Message-Id.

        The reports about a message are targets as well. Raises CommandError when a beginning means several things.
        """
        targets = self._named(name)
        found: list[Record] = []
        new = targets
        while new and len(found) < MAX_RECORDS:
            records = list(self._about(new))
            found += [each for each in records if any(related(each.id, target) for target in new)]
            new = [one for one in _reports(records, new) if one not in targets]
            targets = [*targets, *new]
        return targets, in_order(_once(found))

    def _named(self, name: str) -> list[str]:
        if "@" in name:
            return self._with_message_id(name.strip("<> "))
        head, dot, rest = name.upper().partition(".")
        if len(head) < SHORTEST:
            raise UsageError(
                f"{name!r} is too short: trace takes a uuid, or at least {SHORTEST} characters of one"
            )
        known = (each.id for each in self._parsed([head]))
        roots = {uuid.partition(".")[0] for uuid in (*known, *self._queued)}
        chosen = sorted(root for root in roots if root.startswith(head))
        if head in chosen:
            chosen = [head]
        if len(chosen) > 1:
            more = f" and {len(chosen) - MAX_SHOWN} more" if len(chosen) > MAX_SHOWN else ""
            raise CommandError(f"{name} may be {', '.join(chosen[:MAX_SHOWN])}{more}")
        return [f"{root}{dot}{rest}" for root in chosen]

    def _with_message_id(self, wanted: str) -> list[str]:
        """The messages that have it: a client that sends one twice makes two."""
        found: dict[str, None] = {}
        for each in self._parsed([json.dumps(wanted)[1:-1], wanted]):
            in_log = each.event == LOG and f"mid=<{wanted}>" in str(each.fields["message"])
            if in_log or str(each.fields.get("message_id")).strip("<>") == wanted:
                found[each.id] = None
        return list(found)

    def _about(self, targets: Iterable[str]) -> Iterator[Record]:
        return self._parsed({target.partition(".")[0] for target in targets})

    def _parsed(self, words: Iterable[str]) -> Iterator[Record]:
        return (record for line in self._lines(words) if (record := parse(line)) is not None)


def _reports(records: Iterable[Record], targets: Iterable[str]) -> list[str]:
    """Mails of our own that are about one of the targets."""
    found: dict[str, None] = {}
    for each in records:
        origin = each.fields.get("origin")
        if each.event == LOG:
            origin = str(each.fields["message"]).rpartition("origin=")[2]
        if any(within(origin, target) for target in targets):
            found[each.id] = None
    return list(found)


def _once(records: Iterable[Record]) -> list[Record]:
    """Without those that stand in two files, as after a copy; a line without a time may well come twice."""
    found: dict[object, Record] = {}
    for each in records:
        key = id(each) if each.time is None else json.dumps([each.event, each.id, each.time, each.fields])
        found.setdefault(key, each)
    return list(found.values())


def in_order(records: list[Record]) -> list[Record]:
    """By time; where a line does not tell it, all stay as they were."""
    if any(each.time is None for each in records):
        return records
    return sorted(records, key=lambda each: each.time or 0.0)
