"""Any bytes, cut anywhere: only valid replies, no traceback, one message an end of data, and the same when not cut."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.sessions import Talk, cut, cuts, scripts

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]


def holds(bare_newline: str, script: bytes, sizes: list[int]) -> None:
    """Play a script whole and in pieces of these sizes, and compare. Raises AssertionError."""
    whole = Talk([script], bare_newline=bare_newline)
    whole.check()
    pieces = Talk(cut(script, sizes), bare_newline=bare_newline)
    pieces.check()
    assert pieces.replies == whole.replies
    assert pieces.stored == whole.stored


@pytest.mark.parametrize("bare_newline", ["reject", "repair"])
@pytest.mark.parametrize(
    "examples", [150, pytest.param(1500, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_any_bytes_cut_anywhere(bare_newline: str, examples: int) -> None:
    given(script=scripts(), sizes=cuts())(
        settings(max_examples=examples, deadline=None, suppress_health_check=SLOW_IS_FINE)(
            lambda script, sizes: holds(bare_newline, script, sizes)
        )
    )()


@pytest.mark.parametrize("script", [b"NOOP\nNOOP\r\n", b"\n.\n", b"RSET\nEHLO x\nNOOP\r\n"])
def test_bare_line_feeds_between_commands_cut_anywhere(script: bytes) -> None:
    assert Talk([bytes([octet]) for octet in script]).replies == Talk([script]).replies
