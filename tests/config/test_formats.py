from __future__ import annotations

from typing import Any

import pytest

from mta.config import ConfigError
from mta.config.formats import merge_trees, parse, type_of
from mta.config.problem import ParseError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("smtp.ini", "ini"),
        ("a.json", "json"),
        ("a.yaml", "yaml"),
        ("a.yml", "yaml"),
        ("a.toml", "toml"),
        ("a.list", "list"),
        ("a.data", "data"),
        ("a.value", "value"),
        ("a.bin", "binary"),
        ("tls/key.pem", "binary"),
        ("me", "value"),
        ("tarpit.timeout", "value"),
        ("host_list.anti_spoof", "value"),
    ],
)
def test_the_extension_decides(name: str, kind: str) -> None:
    assert type_of(name) == kind


def test_a_type_can_be_asked_for_but_must_exist() -> None:
    assert type_of("host_list", "list") == "list"
    with pytest.raises(ConfigError, match="unknown config type: hjson; allowed: value, list"):
        type_of("x", "hjson")


TEXT = b"; c\n\n  first \n# c\nsecond\n"


@pytest.mark.parametrize(
    ("kind", "raw", "content"),
    [
        ("list", TEXT, ["first", "second"]),
        ("list", b"", []),
        ("data", TEXT, ["; c", "", "  first ", "# c", "second"]),
        ("data", b"a\r\n\r\nb", ["a", "", "b"]),
        ("data", b"", []),
        ("binary", b"\xff\0", b"\xff\0"),
        ("json", b'{"a": [1, null]}', {"a": [1, None]}),
        ("json", b"", {}),
        ("yaml", b"a:\n  - 1\n", {"a": [1]}),
        ("yaml", b"# nothing\n", {}),
        ("yaml", b"1: x", {"1": "x"}),
        ("toml", b"[a]\nb = 1\n", {"a": {"b": 1}}),
        ("json", b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
def test_contents(kind: str, raw: bytes, content: Any) -> None:
    assert parse(kind, raw, "f") == (content, [])


def test_a_value_is_the_first_line_that_says_something() -> None:
    entry, _ = parse("value", TEXT, "f")
    assert (entry.text, entry.line) == ("first", 3)
    assert parse("value", b"; only a comment\n", "f") == (None, [])


@pytest.mark.parametrize(
    ("kind", "raw", "line"),
    [
        ("json", b'{\n"a": 1,\n}', "f:3: not valid JSON: Illegal trailing comma"),
        ("json", b"[" * 100_000, "f: not valid JSON: nested too deeply"),
        ("yaml", b"a: 1\nb: [1\n", "f:3: not valid YAML:"),
        (
            "yaml",
            b"a: !!python/object:os.system {}\n",
            "f:1: not valid YAML: could not determine a constructor",
        ),
        ("yaml", b"a: \x07\n", "f: not valid YAML: unacceptable character #x0007"),
        ("yaml", b"a: !!bool maybe", "f: not valid YAML: a value does not fit its tag"),
        ("yaml", b"a: !!timestamp x", "f: not valid YAML: a value does not fit its tag"),
        ("yaml", b"a: 2026-99-99", "f: not valid YAML: "),
        ("yaml", b"a: &a [*a]", "f: not valid YAML: nested too deeply"),
        ("yaml", b"? [a]\n: 1", "f:1: not valid YAML: found unhashable key"),
        ("toml", b"a = 1\nb = \n", "f:2: not valid TOML: Invalid value"),
        ("ini", b"a=1\nb=\xff\n", "f:2: this line is not UTF-8 text"),
        ("list", b"\xff", "f:1: this line is not UTF-8 text"),
    ],
)
def test_what_cannot_be_understood_is_one_line(kind: str, raw: bytes, line: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(kind, raw, "f")
    text = str(caught.value.problem)
    start = line.removesuffix("Illegal trailing comma")  # the words differ between Python releases
    assert text.startswith(start) and "\n" not in text
    assert caught.value.problem.fatal


def test_unsafe_keys_of_trees_are_left_out_at_any_depth() -> None:
    tree, problems = parse("json", b'{"a": [{"__proto__": 1, "b": 2}], "constructor": {}}', "f")
    assert tree == {"a": [{"b": 2}]}
    assert [str(problem) for problem in problems] == [
        "f: __proto__: unsafe key, ignored",
        "f: constructor: unsafe key, ignored",
    ]


def test_trees_merge_key_by_key() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1, "e": {"f": 1}}
    above = {"a": {"c": [3]}, "d": None, "e": 5, "g": {"h": 1}}
    assert merge_trees(below, above) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": 5, "g": {"h": 1}}
