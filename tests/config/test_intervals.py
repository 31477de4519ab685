"""The grammar of temp_fail_intervals."""

import pytest

from mta.config.intervals import Intervals, parse_intervals, parse_span, show_intervals, show_span


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
        ("", None),
        ("none", ()),
        ("NONE", ()),
    ],
)
def test_grammar(text: str, expected: Intervals) -> None:
    assert parse_intervals(text) == expected
    assert parse_intervals(show_intervals(expected)) == expected


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
    with pytest.raises(ValueError) as caught:
        parse_intervals(text)
    assert str(caught.value).startswith(f"syntax error in element {element}: {complaint}")


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("5d", 432000, "5d"),
        ("4h", 14400, "4h"),
        (" 90 S ", 90, "90s"),
        ("1.5h", 5400, "90m"),
        ("90", 90, "90s"),
        ("0", 0, "0"),
        ("0d", 0, "0"),
        ("365d", 31536000, "365d"),
    ],
)
def test_one_span(text: str, seconds: int, shown: str) -> None:
    assert parse_span(text) == seconds
    assert show_span(seconds) == shown
    assert parse_span(shown) == seconds


@pytest.mark.parametrize("text", ["", "d", "x", "-5", "5w", "4", "3s", "366d", "1e9", "5d,5d", "none"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_span(text)
