"""One run of the bench, as its JSON tells it, and the medians of its samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.names import HARAKA, HARAKA_NODES, OURS, OURS_NODES, PEERS

ORDER = (OURS, OURS_NODES, HARAKA, HARAKA_NODES, *PEERS)
PARTS = ("rows", "figures", "laws", "hub")
RATIO = "x"  # unit of figures that are computed from rows; the page computes them itself
_DIRECTORY = re.compile(r"(?<![\w.-])/\S*/(?=(?:mta|plugins|tests)\b)")
DIGITS = 5  # that a stored figure has; no measurement is better than that


class NotOneRun(Exception):
    """The files are of different machines."""


@dataclass(frozen=True)
class Spread:
    """What some samples say: their median, the lowest, the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Row:
    """One load: its samples by server, and why a server has none. reach, dream: ratios of ours to Haraka's CPU."""

    name: str
    kind: str
    unit: str
    reach: float | None
    dream: float | None
    servers: Mapping[str, Sequence[Mapping[str, float]]]
    failures: Mapping[str, str]

    def spread(self, server: str, key: str) -> Spread | None:
        """Of `rate`, `cpu_ms`, `p99_ms` ...; None when that server has no such figure."""
        values = [sample[key] for sample in self.servers.get(server, ()) if sample.get(key) is not None]
        return Spread.of(values) if values else None

    def median(self, server: str, key: str) -> float | None:
        found = self.spread(server, key)
        return found.median if found else None

    def ratio(self, key: str, server: str, to: str) -> float | None:
        """What `server` has by what `to` has, medians; None when one of them has nothing."""
        above, below = self.median(server, key), self.median(to, key)
        return above / below if above is not None and below else None

    @property
    def typical(self) -> bool:
        """Loads that differ only in their connections are told by the one with ten that are kept."""
        words = self.name.split()
        return {"c10", "kept"}.issubset(words) or not {"c1", "c10", "c100"}.intersection(words)

    def why_missing(self, *servers: str) -> str:
        """The reasons why these servers have no figures here."""
        return "; ".join(
            f"{name}: {self.failures.get(name, 'not measured')}"
            for name in servers
            if not self.servers.get(name)
        )


@dataclass(frozen=True)
class Run:
    """The whole of it; figures, laws and hub are as in the JSON."""

    content: Mapping[str, Any]

    @property
    def rows(self) -> list[Row]:
        return [
            Row(
                row["row"],
                row["kind"],
                row["unit"],
                row.get("reach"),
                row.get("dream"),
                row["servers"],
                row.get("failures", {}),
            )
            for row in self.content.get("rows", ())
        ]

    @property
    def figures(self) -> list[dict[str, Any]]:
        return [figure for figure in self.content.get("figures", ()) if figure["unit"] != RATIO]

    @property
    def laws(self) -> list[dict[str, Any]]:
        return list(self.content.get("laws", ()))

    @property
    def hub(self) -> list[dict[str, Any]]:
        return list(self.content.get("hub", ()))

    def row(self, name: str) -> Row | None:
        return next((row for row in self.rows if row.name == name), None)


def name_of(member: Mapping[str, Any]) -> str:
    """What a row, a figure or a law is called."""
    return str(next(member[key] for key in ("figure", "law", "row") if key in member))


def in_order(names: Iterable[str]) -> list[str]:
    """Servers in the order in which they are always shown."""
    return sorted(set(names), key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def read(paths: Sequence[Path]) -> Run:
    """A run, which may have been made in several parts: a row that is in more than one counts as in the last.

    It is read in the form in which it is stored, so that what is made from a run is made from the stored one too.
    Raises NotOneRun, OSError, ValueError (not JSON).
    """
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if any(part["machine"] != parts[-1]["machine"] for part in parts):
        raise NotOneRun("these files are of different machines: " + ", ".join(map(str, paths)))
    merged = {}
    for part in PARTS:
        members = {name_of(member): member for one in parts for member in one.get(part, ())}
        merged[part] = list(members.values())
    return Run(_tidied({**parts[-1], **merged}))


def stored(run: Run) -> str:
    """The run as JSON, one row, figure or law a line, so that two runs can be compared by eye."""
    lines = []
    for key, value in run.content.items():
        if key in PARTS:
            members = ",\n".join("  " + json.dumps(member) for member in value)
            lines.append(f'"{key}": [\n{members}\n]' if members else f'"{key}": []')
        else:
            lines.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _tidied(value: Any) -> Any:
    """The form that is stored: so many digits, and no directory of the machine in front of our files."""
    if isinstance(value, str):
        return _DIRECTORY.sub("", value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _tidied(one) for key, one in value.items()}
    return [_tidied(one) for one in value] if isinstance(value, list) else value
