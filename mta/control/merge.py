"""One answer made of those of several workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mta.outbound.gate import NOT_YET

GONE = "gone"  # what a worker says of an entry that it does not have
NO_ANSWER = "its worker does not answer, try again"
WEAK = (None, GONE, NOT_YET)  # what counts for less than any other answer, the least first
COUNTS = ("connections", "in_progress", "scheduled", "held", "ready", "parked")
OF_A_WORKER = ("slot", "pid", "started", "connections", "in_progress", "figures")

Answer = Mapping[str, Any]


def merged(order: str, answers: Sequence[Any]) -> Any:
    """The answer to an order that was given to each worker; there is at least one."""
    if order == "status":
        return merged_status(answers)
    if order == "inspect":
        return {key: [each for answer in answers for each in answer[key]] for key in answers[0]}
    if order == "pools":
        return _added(answers)
    if isinstance(answers[0], Mapping):
        return _by_name(answers)
    return any(answers)


def merged_status(answers: Sequence[Answer]) -> dict[str, Any]:
    """Figures added up, sites by name, what each worker says of itself under `workers`; the rest is the same for all."""
    return {
        **{key: value for key, value in answers[0].items() if key not in ("slot", "figures")},
        **{key: sum(answer[key] for answer in answers) for key in COUNTS},
        "started": min(answer["started"] for answer in answers),
        "busy": _busy([answer["busy"] for answer in answers]),
        "disabled": any(answer["disabled"] for answer in answers),
        "sites": _sites([site for answer in answers for site in answer["sites"]]),
        "workers": [{key: answer[key] for key in OF_A_WORKER} for answer in answers],
    }


def missing(answer: Any) -> Any:
    """The answer where a worker did not answer: what the others do not have may be its own."""
    if not isinstance(answer, Mapping):
        return answer
    return {name: NO_ANSWER if said == GONE else said for name, said in answer.items()}


def _sites(sites: Sequence[Answer]) -> list[dict[str, Any]]:
    by_name: dict[str, dict[str, Any]] = {}
    for site in sites:
        known = by_name.get(site["site"])
        by_name[site["site"]] = dict(site) if known is None else _joined(known, site)
    return sorted(by_name.values(), key=lambda site: (site["waiting"], site["busy"]), reverse=True)


def _joined(one: Answer, other: Answer) -> dict[str, Any]:
    return {
        **one,
        **{key: one[key] + other[key] for key in ("busy", "concurrency", "waiting")},
        "resting_until": max(filter(None, (one["resting_until"], other["resting_until"])), default=None),
        "suspended": one["suspended"] or other["suspended"],
        "last_failure": one["last_failure"] or other["last_failure"],
    }


def _busy(answers: Sequence[Answer]) -> dict[str, Any]:
    """How long the event loops were held: sums, and the longest of all."""
    plugins: dict[str, dict[str, Any]] = {}
    for name, figures in (pair for answer in answers for pair in answer["plugins"].items()):
        known = plugins.get(name, {"count": 0, "seconds": 0.0, "longest": 0.0})
        plugins[name] = {
            "count": known["count"] + figures["count"],
            "seconds": round(known["seconds"] + figures["seconds"], 3),
            "longest": max(known["longest"], figures["longest"]),
        }
    return {
        "plugins": plugins,
        **_durations(answers),
        "longest_at": max(answers, key=lambda answer: answer["longest"])["longest_at"],
        "cpu": _durations([answer["cpu"] for answer in answers]),
    }


def _durations(answers: Sequence[Answer]) -> dict[str, Any]:
    columns = answers[0]["histogram"]
    return {
        "histogram": {column: sum(answer["histogram"][column] for answer in answers) for column in columns},
        "longest": max(answer["longest"] for answer in answers),
    }


def _added(pools: Sequence[Answer]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for hop, figures in (item for pool in pools for item in pool.items()):
        known = found.setdefault(hop, dict.fromkeys(figures, 0))
        found[hop] = {name: known[name] + figures[name] for name in figures}
    return found


def _by_name(answers: Sequence[Answer]) -> dict[str, Any]:
    """For each name what its owner says; the others do not know it."""
    found: dict[str, Any] = {}
    for answer in answers:
        for name, said in answer.items():
            if name not in found or _weight(said) > _weight(found[name]):
                found[name] = said
    return found


def _weight(said: object) -> int:
    return WEAK.index(said) if said in WEAK else len(WEAK)
