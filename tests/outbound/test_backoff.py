"""The retry schedule: Haraka's doubling table, the temp_fail_intervals grammar, and giving up."""

import pytest

from mta.outbound.backoff import BackoffError, delay, intervals


def test_default_table_is_haraka_s() -> None:
    expected = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
    assert intervals("", 13) == expected
    assert sum(expected) == 262080


@pytest.mark.parametrize(("failures", "count"), [(0, 0), (1, 0), (2, 1), (13, 12)])
def test_max_failures_allows_one_wait_fewer(failures: int, count: int) -> None:
    assert len(intervals("", failures)) == count


def test_absurd_max_failures_stays_within_bounds() -> None:
    waits = intervals("", 10**9)
    assert len(waits) < 10_001
    assert max(waits) == 2**22


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1m,5m*2,1h*3", (60, 300, 300, 3600, 3600, 3600)),
        (" 1 M , 5 m * 2 ", (60, 300, 300)),
        ("1.5m", (90,)),
        (".5h", (1800,)),
        ("5s", (5,)),
        ("7.5s", (7,)),
        ("1d", (86400,)),
        ("none", ()),
        ("NONE", ()),
    ],
)
def test_grammar(text: str, expected: tuple[int, ...]) -> None:
    assert intervals(text, 13) == expected


@pytest.mark.parametrize(
    ("text", "element", "complaint"),
    [
        ("1m,,2m", 2, "nothing specified"),
        ("1m*2*3", 1, "too many *"),
        ("1m*x", 1, "multiplier is not an integer"),
        ("1m*1.5", 1, "multiplier is not an integer"),
        ("1m*", 1, "multiplier is not an integer"),
        ("1m*0", 1, "multiplier is not between 1 and 10000"),
        ("1m*999999999999", 1, "multiplier is not an integer"),
        ("m", 1, "invalid time span"),
        ("1m,xxm", 2, "invalid number or symbol"),
        ("nanm", 1, "invalid number or symbol"),
        ("-5m", 1, "invalid number or symbol"),
        ("5x", 1, "invalid time span symbol"),
        ("50", 1, "invalid time span symbol"),
        ("4s", 1, "delay time too small, should be >=5 seconds"),
        ("366d", 1, "delay time too large"),
        ("1m*9000,1h*9000", 2, "more than 10000 intervals"),
    ],
)
def test_grammar_errors_name_the_element(text: str, element: int, complaint: str) -> None:
    with pytest.raises(BackoffError) as caught:
        intervals(text, 13)
    assert str(caught.value).startswith(
        f"temp_fail_intervals syntax error parsing element {element}: {complaint}"
    )


@pytest.mark.parametrize(("failures", "expected"), [(1, 60), (2, 300), (3, None), (0, None)])
def test_delay_gives_up_after_the_last_wait(failures: int, expected: int | None) -> None:
    assert delay(failures, (60, 300)) == expected


def test_no_waits_means_bounce_on_the_first_failure() -> None:
    assert delay(1, ()) is None
