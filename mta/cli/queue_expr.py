"""Expressions that choose queue entries: `domain:*.example.com age>1h error~"4\\.7\\.28" !held`; pure.

expression = term { ["or"] term }          terms side by side must all hold; `or` binds weaker
term       = "!" term | "(" expression ")" | KEY OPERATOR VALUE | WORD
OPERATOR   = ":" (pattern with * and ?) | "~" (regular expression) | "=" | "<" | ">" | "<=" | ">="
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

from mta.record import record

Values: TypeAlias = Mapping[str, object]
"""What is known of an entry: text, numbers, tuples of texts, True or False; None where nothing is known."""
Test: TypeAlias = Callable[[Values], bool]

TEXTS = ("id", "uuid", "file", "from", "to", "domain", "site", "state", "error")
TIMES = ("age", "due")  # seconds
NUMBERS = ("attempts", "rcpts", "size")
FLAGS = ("held", "due_now")
LIVE = frozenset({"site", "state", "error"})  # only a running server knows
MAX_LENGTH = 4096
MAX_DEPTH = 50

_TOKEN = re.compile(
    r"""\s*(?: (?P<mark>[()!]) | (?P<key>[A-Za-z_]+)\s*(?P<operator><=|>=|[:~=<>])\s*(?P<value>"(?:[^"\\]|\\.)*"|[^\s()"]+)
        | (?P<word>"(?:[^"\\]|\\.)*"|[^\s()!"]+) )""",
    re.VERBOSE,
)
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([a-z]*)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_BYTES = {"": 1, "k": 1024, "kb": 1024, "m": 1024**2, "mb": 1024**2, "g": 1024**3, "gb": 1024**3}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    ":": lambda a, b: a == b,
}


class ExpressionError(ValueError):
    """A text that is no expression; the message says what is wrong, and what would be right."""


@record
class Expression:
    """matches: the test. keys: what it asks for."""

    matches: Test
    keys: frozenset[str]

    @property
    def live(self) -> bool:
        """True when only a running server knows what it asks for."""
        return bool(self.keys & LIVE)


def parse_expression(text: str) -> Expression:
    """Read an expression; an empty one matches everything. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression has at most {MAX_LENGTH} characters")
    parser = _Parser(_tokens(text))
    test = parser.any_of(0) if parser.more else _everything
    if parser.more:
        raise ExpressionError(f"{parser.rest!r} is one parenthesis too many")
    return Expression(test, frozenset(parser.keys))


def _everything(values: Values) -> bool:
    return True


def _tokens(text: str) -> list[re.Match[str]]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"cannot read {text[position:].strip()!r}")
        tokens.append(match)
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens; `keys` gathers what is asked for."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self.keys: set[str] = set()

    @property
    def more(self) -> bool:
        return self._position < len(self._tokens)

    @property
    def rest(self) -> str:
        return self._tokens[self._position].group().strip()

    def any_of(self, depth: int) -> Test:
        tests = [self._all_of(depth)]
        while self._takes("or"):
            tests.append(self._all_of(depth))
        return tests[0] if len(tests) == 1 else lambda values: any(test(values) for test in tests)

    def _all_of(self, depth: int) -> Test:
        tests = []
        while self.more and self.rest not in (")", "or"):
            tests.append(self._term(depth))
        if not tests:
            raise ExpressionError("something is missing beside `or`, or between parentheses")
        return tests[0] if len(tests) == 1 else lambda values: all(test(values) for test in tests)

    def _term(self, depth: int) -> Test:
        if depth > MAX_DEPTH:
            raise ExpressionError(f"more than {MAX_DEPTH} parentheses inside each other")
        if self._takes("!"):
            if not self.more:
                raise ExpressionError("there is nothing behind !")
            negated = self._term(depth + 1)
            return lambda values: not negated(values)
        if self._takes("("):
            inner = self.any_of(depth + 1)
            if not self._takes(")"):
                raise ExpressionError("a parenthesis is not closed")
            return inner
        token = self._tokens[self._position]
        self._position += 1
        if token["key"]:
            return self._comparison(token["key"].lower(), token["operator"], _unquoted(token["value"]))
        if token["mark"]:
            raise ExpressionError(f"{token['mark']!r} stands where a term should be")
        return self._word(_unquoted(token["word"]))

    def _takes(self, mark: str) -> bool:
        if self.more and self.rest == mark:
            self._position += 1
            return True
        return False

    def _comparison(self, key: str, operator: str, value: str) -> Test:
        if key in TEXTS:
            self.keys.add(key)
            return _text_test(key, operator, value)
        if key in TIMES or key in NUMBERS:
            self.keys.add(key)
            units = _SECONDS if key in TIMES else _BYTES
            return _number_test(key, operator, _amount(key, value, units))
        raise ExpressionError(f"there is no key {key!r}; there are {', '.join(TEXTS + TIMES + NUMBERS)}")

    def _word(self, word: str) -> Test:
        if word in FLAGS:
            self.keys.add(word)
            return lambda values: bool(values.get(word))
        wanted = word.lower()
        return lambda values: any(
            wanted in text.lower()
            for key in ("id", "uuid", "from", "to", "domain")
            for text in _texts(values.get(key))
        )


def _text_test(key: str, operator: str, value: str) -> Test:
    if operator == "~":
        try:
            pattern = re.compile(value, re.IGNORECASE)
        except (re.error, RecursionError, OverflowError) as error:
            raise ExpressionError(f"{value!r} is not a regular expression: {error}") from None
        return lambda values: any(pattern.search(text) for text in _texts(values.get(key)))
    wanted = value.lower()
    if operator == ":":
        return lambda values: any(fnmatchcase(text.lower(), wanted) for text in _texts(values.get(key)))
    if operator == "=":
        return lambda values: any(text.lower() == wanted for text in _texts(values.get(key)))
    raise ExpressionError(f"{key} is text and goes with : ~ or =, not {operator}")


def _number_test(key: str, operator: str, wanted: float) -> Test:
    compare = _COMPARE.get(operator)
    if compare is None:
        raise ExpressionError(f"{key} is a number and goes with < > <= >= or =, not {operator}")

    def test(values: Values) -> bool:
        number = values.get(key)
        return isinstance(number, int | float) and compare(number, wanted)

    return test


def _amount(key: str, text: str, units: Mapping[str, int]) -> float:
    match = _AMOUNT.fullmatch(text.lower())
    if match is None or match[2] not in units:
        names = ", ".join(unit for unit in units if unit)
        raise ExpressionError(f"{key} goes with a number and a unit ({names}), not {text!r}")
    return float(match[1]) * units[match[2]]


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, tuple) else (str(value),)


def _unquoted(text: str) -> str:
    """In double quotes a backslash stands for itself, but before a double quote, so that patterns need no doubling."""
    return text[1:-1].replace('\\"', '"') if text.startswith('"') else text
