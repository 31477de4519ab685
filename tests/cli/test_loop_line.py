"""The line of `haraka status` about the event loop."""

from __future__ import annotations

from typing import Any

import pytest

from mta.cli.loop_line import loop_line

NONE = {"1": 0, "100": 0, "more": 0}
AT = {"at": "/srv/mail/plugins/slow.py:7"}


@pytest.mark.parametrize(
    ("histogram", "longest", "where", "line"),
    [
        (NONE, 0.0, {}, ""),
        ({**NONE, "1": 9}, 0.0, {}, "event loop held at most 0 ms, 37 ms of CPU; turns to 1 ms: 9"),
        (
            {"1": 9, "100": 2, "more": 1},
            0.3124,
            {"plugin": "slow", "hook": "rcpt", **AT},
            "event loop held at most 312 ms (by slow at rcpt, /srv/mail/plugins/slow.py:7), 37 ms of CPU; "
            "turns to 1 ms: 9, to 100 ms: 2, more: 1",
        ),
        (
            {**NONE, "more": 1},
            2.0,
            {"plugin": "core", **AT},
            "event loop held at most 2000 ms (by core, /srv/mail/plugins/slow.py:7), 37 ms of CPU; turns more: 1",
        ),
    ],
)
def test_lines(histogram: dict[str, int], longest: float, where: dict[str, Any], line: str) -> None:
    busy = {"histogram": histogram, "longest": longest, "longest_at": where, "cpu": {"longest": 0.0371}}
    assert loop_line(busy) == line
