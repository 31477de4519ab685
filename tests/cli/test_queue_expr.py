"""Expressions that choose queue entries."""

from __future__ import annotations

import pytest

from mta.cli.queue_expr import ExpressionError, parse_expression

MAIL = {
    "id": "aBcDeF",
    "uuid": "6B29FC40-CA47-1067-B31D-00DD010662DA.1.1",
    "file": "1_2_3_4_aBcDeF_5_host",
    "from": "ann@a.example",
    "to": ("joe@b.example", "Sue@b.example"),
    "domain": "b.example",
    "site": "google.com",
    "state": "backoff",
    "error": "mx.b.example said: 421 4.7.28 unusual rate",
    "age": 7200.0,
    "due": 90.0,
    "attempts": 3,
    "rcpts": 2,
    "size": 150_000,
    "held": False,
    "due_now": False,
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("b.example", True),
        ("JOE", True),
        ("nobody", False),
        ("domain:b.example", True),
        ("domain:*.example", True),
        ("domain:c.*", False),
        ("to:joe@b.example", True),
        ("to:sue@*", True),
        ("to=sue@b.example", True),
        ("to=sue", False),
        ("from~^ann@", True),
        (r'error~"4\.7\.28"', True),
        (r"error~4\.7\.29", False),
        ('error~"unusual rate"', True),
        ("site:google.com age>1h", True),
        ("age>3h", False),
        ("age>=2h", True),
        ("age<2h", False),
        ("age > 90m", True),
        ("due<2m", True),
        ("size>100k", True),
        ("size>1m", False),
        ("size>150000", False),
        ("attempts=3 rcpts:2", True),
        ("held", False),
        ("!held", True),
        ("! held", True),
        ("!(held or age<1h)", True),
        ("held or domain:b.example", True),
        ("held or domain:c.example", False),
        ("domain:b.example (held or attempts>2)", True),
        ("domain:c.example held or attempts>2", True),
        ("state:backoff", True),
        ("ID:abcdef", True),
        ('"b.example"', True),
        ("uuid:6b29*", True),
    ],
)
def test_matches(text: str, matches: bool) -> None:
    assert parse_expression(text).matches(MAIL) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour:red", "there is no key 'colour'; there are id"),
        ("age:old", "age goes with a number and a unit"),
        ("age>5y", "a unit"),
        ("size>1h", "a unit"),
        ("age~5", "age is a number"),
        ("domain>b", "domain is text"),
        ("from~(", "no key|stands where|missing|not closed"),
        ('from~"("', "is not a regular expression"),
        ("(held", "not closed"),
        ("held)", "one parenthesis too many"),
        ("held or", "something is missing"),
        ("or held", "something is missing"),
        ("()", "something is missing"),
        ("!", "nothing behind !"),
        ('domain:"b', "cannot read"),
        ("(" * 60 + "held" + ")" * 60, "parentheses inside each other"),
        ("x" * 5000, "at most"),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        parse_expression(text)


@pytest.mark.parametrize(
    ("text", "live"), [("site:x", True), ("!error~x or held", True), ("domain:x age>1h", False)]
)
def test_what_only_a_server_knows(text: str, live: bool) -> None:
    assert parse_expression(text).live is live


def test_unknown_values_match_nothing_but_their_negation() -> None:
    values = {**MAIL, "error": None, "site": None}
    assert not parse_expression("error~.").matches(values)
    assert parse_expression("!error~.").matches(values)
