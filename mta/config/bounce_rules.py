"""The lines of outbound.bounce_rules: `category: code=5xx status=x.2.2 text=mailbox (is )?full`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from mta.config.kinds import scalar
from mta.record import record

MAX_TEXT = (
    1024  # characters of a reply that rules look at, so that a search costs little whatever a next hop says
)

# rule = category ":" 1*( SP condition ); condition = "code=" 3(DIGIT / "x") / "status=" class.subject.detail / "text=" regex
_RULE = re.compile(r"([a-z][a-z0-9-]{0,39}):\s+(.*)", re.ASCII)
_CONDITION = re.compile(r"(code|status)=(\S*)(?:\s+|$)|text=(.*)", re.ASCII)
_CODE = re.compile(r"[0-9x]{3}", re.ASCII)
_STATUS = re.compile(r"[245x](?:\.(?:[0-9]{1,3}|x)){2}", re.ASCII)
_ALLOWED = "category: code=55x status=x.2.2 text=REGEX, with one of the three at least, in this order"


@record
class BounceRule:
    """A category, and what a reply must be like to belong to it; None asks for nothing."""

    category: str
    code: re.Pattern[str] | None = None
    status: re.Pattern[str] | None = None
    text: re.Pattern[str] | None = None

    def fits(self, code: str, status: str, text: str) -> bool:
        """True when a reply with that code, enhanced status ("" if it had none) and text belongs to the category."""
        return (
            (self.code is None or bool(self.code.fullmatch(code)))
            and (self.status is None or bool(self.status.fullmatch(status)))
            and (self.text is None or bool(self.text.search(text)))
        )


def parse_rule(line: str) -> BounceRule:
    """Read one rule; raises ValueError that says what is wrong with it."""
    match = _RULE.fullmatch(line)
    if match is None:
        raise ValueError("this is not a category, a colon and conditions")
    category, rest = match.groups()
    conditions = _conditions(rest)
    return BounceRule(
        category,
        _digits("code", _CODE, conditions.get("code")),
        _digits("status", _STATUS, conditions.get("status")),
        _regex(conditions.get("text")),
    )


class BounceRules:
    """The rules of a file. They are read when the first reply is classified: 80 regular expressions, 5 ms of a start."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    @cached_property
    def all(self) -> tuple[BounceRule, ...]:
        """Each rule. Raises ValueError for the first line that is none."""
        return tuple(map(parse_rule, self._lines))

    def read(self) -> None:
        """Read them now, rather than when the first reply is classified. Raises ValueError as above."""
        _ = self.all

    def classify(self, code: int, status: str, text: str) -> str:
        """The category of a reply by the first rule that fits it; "other" when none does. Raises ValueError as above."""
        digits, start = str(code), text[:MAX_TEXT]
        for rule in self.all:
            if rule.fits(digits, status, start):
                return rule.category
        return "other"


def _conditions(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _CONDITION.match(rest, position)
        if match is None:
            raise ValueError(f"{rest[position:].split()[0]!r} is no condition")
        key, value = (match[1], match[2]) if match[1] else ("text", match[3])
        if key in found:
            raise ValueError(f"{key} stands there twice")
        found[key] = value
        position = match.end()
    if not found:
        raise ValueError("there is no condition")
    return found


def _digits(key: str, grammar: re.Pattern[str], value: str | None) -> re.Pattern[str] | None:
    if value is None:
        return None
    if not grammar.fullmatch(value):
        raise ValueError(f"{value!r} is not a {key}")
    digit = "[0-9]" if key == "code" else "[0-9]{1,3}"
    return re.compile(re.escape(value).replace("x", digit))


def _regex(value: str | None) -> re.Pattern[str] | None:
    if value is None:
        return None
    if not value:
        raise ValueError("text= is empty")
    try:
        return re.compile(value, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None


BOUNCE_RULE = scalar(_ALLOWED, parse_rule)
