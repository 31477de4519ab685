"""Rates as operators write them."""

from __future__ import annotations

import pytest

from mta.config.rate import Rate, parse_rate, parse_rate_or_none, show_rate, show_rate_or_none


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("100/1m", Rate(100, 60), "100/m"),
        ("10/s", Rate(10, 1), "10/s"),
        (" 5000 / 2 H ", Rate(5000, 7200), "5000/2h"),
        ("1/d", Rate(1, 86400), "1/d"),
        ("7/90s", Rate(7, 90), "7/90s"),
        ("", None, ""),
    ],
)
def test_rates(text: str, rate: Rate | None, shown: str) -> None:
    assert parse_rate(text) == rate
    assert show_rate(rate) == shown
    assert parse_rate(shown) == rate


@pytest.mark.parametrize(
    "text", ["100", "/m", "x/m", "0/m", "5/0m", "5/w", "-1/s", "1.5/s", "99999999999/s", "1/s/s"]
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("5", Rate(5, 60), "5/m"),
        ("50/5m", Rate(50, 300), "50/5m"),
        ("3/10", Rate(3, 10), "3/10s"),
        ("1/D", Rate(1, 86400), "1/d"),
        ("0", Rate(0, 60), "0"),
        ("0/5m", Rate(0, 300), "0"),
    ],
)
def test_rates_that_may_be_none(text: str, rate: Rate, shown: str) -> None:
    assert parse_rate_or_none(text) == rate
    assert show_rate_or_none(rate) == shown
    assert parse_rate_or_none(shown).count == rate.count


@pytest.mark.parametrize("text", ["", "/m", "x", "5/", "5/0m", "5/w", "-1", "1.5", "9999999999", "1/s/s"])
def test_what_is_not_even_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rate_or_none(text)
