"""`haraka queue ...`: look into the queue and steer it."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mta.cli.errors import CommandError, UsageError
from mta.cli.installation import queue_directory
from mta.cli.options import Options, Parser
from mta.cli.queue_export import export
from mta.cli.queue_expr import Expression, ExpressionError, parse_expression
from mta.cli.queue_items import Item, gather, named
from mta.cli.queue_table import details, reasons, sites, table
from mta.config.intervals import parse_span
from mta.control.client import ControlClient, NotRunning, Refused
from mta.log_format import escape
from mta.outbound.gate import moment
from mta.outbound.spool_directory import state_directory
from mta.outbound.spool_errors import SpoolError
from mta.outbound.status import QueuedEntry, list_queue, read_message

EVERYTHING = parse_expression("")


def queue(argv: list[str]) -> int:
    """Run one verb; the exit status: 0, or 1 when something was not found or not done."""
    given = _parser().parse_args(argv)
    place = _Place(Options("queue", given.configs).installation)
    run: Callable[[_Place, Namespace], int] = given.run
    try:
        return run(place, given)
    except ExpressionError as error:
        raise UsageError(str(error)) from None
    except (SpoolError, NotRunning, Refused) as error:
        raise CommandError(str(error)) from None


class _Place:
    """The queue of one installation."""

    def __init__(self, installation: Path) -> None:
        self.directory = queue_directory(installation)
        self.state = state_directory(self.directory)

    @contextmanager
    def server(self) -> Iterator[ControlClient]:
        """The running server. Raises NotRunning."""
        with ControlClient(self.state) as client:
            yield client

    @contextmanager
    def server_if_any(self) -> Iterator[ControlClient | None]:
        """The running server; None when it does not run: then the directory alone is looked at."""
        try:
            client = ControlClient(self.state)
        except NotRunning as error:
            print(f"haraka: {error}: this is what the queue directory says", file=sys.stderr)
            yield None
            return
        with client:
            yield client

    def entries(self) -> Iterator[QueuedEntry]:
        """Everything in the queue; what can not be read is told on standard error."""
        return list_queue(self.directory, lambda line: print(f"haraka: {escape(line)}", file=sys.stderr))


# -- looking


def _list(place: _Place, given: Namespace) -> int:
    expression = parse_expression(" ".join(given.expression))
    items = _found(place, expression)
    if given.json:
        print(json.dumps([item.to_json() for item in items], indent=1))
    elif items:
        shown = items[: given.limit] if given.limit else items
        _print(table(shown))
        if len(shown) < len(items):
            print(f"... and {len(items) - len(shown)} more (--limit 0 shows all)")
    return 0 if items or not given.expression else 1


def _show(place: _Place, given: Namespace) -> int:
    def show(item: Item) -> None:
        if given.json:
            print(json.dumps(item.to_json(), indent=1))
            return
        _print(details(item))
        if given.message:
            print(flush=True)
            for chunk in read_message(place.directory, item.entry.name):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()

    return _for_each(place, given.id, show)


def _why(place: _Place, given: Namespace) -> int:
    def tell(item: Item) -> None:
        _print(f"{item.id}: {line}" for line in reasons(item))
        if item.reason:
            print(f"{item.id}: the last attempt: {escape(item.reason)}")

    return _for_each(place, given.id, tell)


def _stats(place: _Place, given: Namespace) -> int:
    with place.server_if_any() as client:
        if client is not None:
            status = client.ask("status")
            print(json.dumps(status, indent=1)) if given.json else _print(sites(status))
            return 0
    names = [entry.name for entry in place.entries()]
    now_ms = time.time() * 1000
    held = sum(name.is_held for name in names)
    due = sum(name.next_attempt <= now_ms for name in names)
    counts = {"entries": len(names), "due": due, "held": held, "scheduled": len(names) - due - held}
    print(
        json.dumps(counts, indent=1)
        if given.json
        else "\n".join(f"{key + ':':12}{n}" for key, n in counts.items())
    )
    return 0


def _export(place: _Place, given: Namespace) -> int:
    items, missing = _chosen(place, given)
    for item in items:
        print(export(place.directory, item, given.directory))
    return 1 if missing else 0


def _found(place: _Place, expression: Expression) -> list[Item]:
    with place.server_if_any() as client:
        if client is None and expression.live:
            asked = ", ".join(sorted(expression.keys & {"site", "state", "error"}))
            raise CommandError(f"only a running server knows {asked}")
        return gather(place.entries(), client, expression)


def _for_each(place: _Place, ids: Iterable[str], act: Callable[[Item], None]) -> int:
    with place.server_if_any() as client:
        missing = False
        for name, entries in named(place.entries(), ids):
            missing = missing or _is_missing(name, entries)
            for item in gather(entries, client, EVERYTHING):
                act(item)
    return 1 if missing else 0


def _is_missing(name: str, entries: list[QueuedEntry]) -> bool:
    if not entries:
        print(f"haraka: there is no {name} in the queue", file=sys.stderr)
    return not entries


# -- steering


def _order(place: _Place, given: Namespace) -> int:
    """One order for all entries that are named, or that --match chooses; the latter only with --yes."""
    items, missing = _chosen(place, given)
    if given.match is not None and not given.yes:
        _print(table(items))
        print(f"{len(items)} to {given.verb}; nothing is done without --yes")
        return 0
    arguments = {key: getattr(given, key) for key in given.arguments}
    with place.server() as client:
        results = client.ask_for_each(given.verb, (item.file for item in items), **arguments)
    return max(_tell_results(given.verb, results), 1 if missing else 0)


def _chosen(place: _Place, given: Namespace) -> tuple[list[Item], bool]:
    """The entries that a command is about, and whether one that was named is missing."""
    if (given.match is None) == (not given.id):
        raise UsageError(f"haraka queue {given.verb} needs either IDs or --match EXPRESSION")
    if given.match is not None:
        return _found(place, parse_expression(given.match)), False
    found: dict[str, QueuedEntry] = {}
    missing = False
    for name, entries in named(place.entries(), given.id):
        missing = missing or _is_missing(name, entries)
        found.update((entry.name.text, entry) for entry in entries)
    return gather(found.values(), None, EVERYTHING), missing


def _tell_results(verb: str, results: Mapping[str, str]) -> int:
    counts = Counter(results.values())
    done = counts.pop("done", 0)
    print(f"{verb}: {done} done" + "".join(f", {count} {_meaning(word)}" for word, count in counts.items()))
    return 1 if counts else 0


def _meaning(result: str) -> str:
    meanings = {
        "busy": "being delivered at this moment",
        "gone": "not in the queue any more",
        "held": "held (release lets them go)",
    }
    return meanings.get(result, f"failed: {escape(result)}")


def _suspend(place: _Place, given: Namespace) -> int:
    until = time.time() + given.span if given.span else None
    with place.server() as client:
        client.ask("suspend", scope=given.scope, until=until, reason=given.reason)
    print(f"{given.scope} suspended " + (f"until {moment(until)}" if until else "until it is resumed"))
    return 0


def _resume(place: _Place, given: Namespace) -> int:
    with place.server() as client:
        if not client.ask("resume", scope=given.scope):
            raise CommandError(f"{given.scope} is not suspended")
    print(f"{given.scope} resumed")
    return 0


def _flush(place: _Place, given: Namespace) -> int:
    with place.server() as client:
        client.ask("flush")
    print("everything that is not held is tried now")
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


# -- the command line


def _parser() -> Parser:
    parser = Parser("haraka queue")
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Verb)

    def verb(name: str, run: Callable[[_Place, Namespace], int], **defaults: Any) -> Parser:
        made: Parser = verbs.add_parser(name)
        made.add_argument("-c", "--configs", type=Path)
        made.set_defaults(run=run, **defaults)
        return made

    for name in ("list", "find"):
        looking = verb(name, _list)
        looking.add_argument("expression", nargs="*" if name == "list" else "+")
        looking.add_argument("--limit", type=_count, default=100)
        looking.add_argument("--json", action="store_true")
    show = verb("show", _show)
    show.add_argument("id", nargs="+")
    show.add_argument("--message", action="store_true")
    show.add_argument("--json", action="store_true")
    verb("why", _why).add_argument("id", nargs="+")
    verb("stats", _stats).add_argument("--json", action="store_true")
    verb("flush", _flush)
    exporting = verb("export", _export)
    _choosing(exporting)
    exporting.add_argument("-d", "--directory", type=Path, default=Path())
    for name in ("retry", "hold", "release", "delete", "bounce", "reroute"):
        _ordering(verb(name, _order, arguments=_ARGUMENTS.get(name, ())), name)
    suspending = verb("suspend", _suspend)
    suspending.add_argument("scope")
    suspending.add_argument("--for", dest="span", type=_span, default=0)
    suspending.add_argument("--reason", default="")
    verb("resume", _resume).add_argument("scope")
    return parser


_ARGUMENTS = {"bounce": ("reason",), "reroute": ("next_hop",)}


class _Verb(Parser):
    """argparse makes the parsers of the verbs with keywords of its own."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(keywords["prog"])


def _choosing(parser: Parser) -> None:
    parser.add_argument("id", nargs="*")
    parser.add_argument("--match", metavar="EXPRESSION")


def _ordering(parser: Parser, name: str) -> None:
    _choosing(parser)
    parser.add_argument("--yes", action="store_true")
    if name == "bounce":
        parser.add_argument("--reason", default="")
    if name == "reroute":
        parser.add_argument("--to", dest="next_hop", required=True)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def _span(text: str) -> int:
    try:
        return parse_span(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{error} in {text!r}: a time is a number with s, m, h or d") from None
