"""Events as tests read them: each line is checked against docs/events.schema.json, which here allows nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from mta.events import Events
from mta.paths import DOCS

Event = dict[str, Any]


def _closed(schema: Any, top: bool = True) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [_closed(each, False) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value, False) for key, value in schema.items()}
    if top:
        closed["unevaluatedProperties"] = False
    elif schema.get("type") == "object" and "event" not in schema.get("properties", {}):
        closed.setdefault("additionalProperties", False)
    return closed


SCHEMA = json.loads((DOCS / "events.schema.json").read_text(encoding="utf-8"))
STRICT = Draft202012Validator(_closed(SCHEMA))


def checked(lines: Iterable[str]) -> list[Event]:
    """The lines as events. Raises AssertionError for one that is not in the schema, or does not stay within ASCII."""
    found = []
    for line in lines:
        assert line.isascii() and line.isprintable(), line
        event = json.loads(line)
        own = Draft202012Validator({**STRICT.schema, "oneOf": [{"$ref": f"#/$defs/{event.get('event')}"}]})
        problems = [f"{'/'.join(map(str, p.absolute_path))}: {p.message}" for p in own.iter_errors(event)]
        assert not problems, f"{line}\n" + "\n".join(problems)
        assert STRICT.is_valid(event), line
        found.append(event)
    return found


def read(path: Path) -> list[Event]:
    """The events in a file, none when there is no file."""
    return checked(path.read_text(encoding="utf-8").splitlines()) if path.exists() else []


def named(events: Iterable[Event], *names: str) -> list[Event]:
    """The events with these names."""
    return [event for event in events if event["event"] in names]


class Stream:
    """Events that are on; `events` is for the parts under test, `all` what they told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events = Events("mx.example.test", 3)
        self.events.begin(self.lines.append)

    @property
    def all(self) -> list[Event]:
        return checked(self.lines)

    def named(self, *names: str) -> list[Event]:
        return named(self.all, *names)
