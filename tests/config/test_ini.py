from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.config.ini import coerce, declare, merge_sections, parse_ini, to_values


def read(text: str, booleans: tuple[str, ...] = (), texts: tuple[str, ...] = ()) -> dict[str, Any]:
    sections, problems = parse_ini(text, "f.ini")
    assert problems == []
    return to_values(sections, declare(booleans), declare(texts))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {"main": {}}),
        ("a=1", {"main": {"a": 1}}),
        ("[main]\na = 1", {"main": {"a": 1}}),
        ("  a\t=  two words  ", {"main": {"a": "two words"}}),
        ("a=-5\nb=1.50\nc=1.\nd=0123\ne=+1", {"main": {"a": -5, "b": 1.5, "c": "1.", "d": 123, "e": "+1"}}),
        ("a=true", {"main": {"a": "true"}}),
        ("a=", {"main": {"a": ""}}),
        ("a", {"main": {"a": None}}),
        ("a=1 ; not a comment", {"main": {"a": "1 ; not a comment"}}),
        ("; c\n# c\n  ;c\n\na=1", {"main": {"a": 1}}),
        ("a=1\r\nb=2\rc=3", {"main": {"a": 1, "b": 2, "c": 3}}),
        ("a=b=c", {"main": {"a": "b=c"}}),
        ("[ s ]\na=1\n[t]\n[s]\nb=2", {"main": {}, "s": {"a": 1, "b": 2}, "t": {}}),
        ("a[]=x\na[]=5\na[] =", {"main": {"a": ["x", 5, ""]}}),
        ("a=one \\\ntwo", {"main": {"a": "one two"}}),
        ("a=one\\ \t\n  two\\\nthree", {"main": {"a": "one  twothree"}}),
        ("a=one,\\\n; two,\\\n\nthree", {"main": {"a": "one,three"}}),
        ("a=1\\", {"main": {"a": 1}}),
        ("user@example.com=x\nk:e.y/-+[1]=y", {"main": {"user@example.com": "x", "k:e.y/-+[1]": "y"}}),
        ("a=1\na=2", {"main": {"a": 2}}),
        ('d={"action":"accept"}', {"main": {"d": '{"action":"accept"}'}}),
    ],
)
def test_grammar(text: str, values: dict[str, Any]) -> None:
    assert read(text) == values


@pytest.mark.parametrize(
    ("booleans", "values"),
    [
        (("main.on",), {"main": {"on": True, "off": "no", "x": "maybe"}, "s": {"on": "on"}}),
        (("on", "-main.off"), {"main": {"on": True, "off": False, "x": "maybe"}, "s": {"on": "on"}}),
        (("main.x",), {"main": {"on": "YES", "off": "no", "x": False}, "s": {"on": "on"}}),
        (("*.on",), {"main": {"on": True, "off": "no", "x": "maybe"}, "s": {"on": True}}),
        (
            ("+main.new", "-s.new"),
            {"main": {"on": "YES", "off": "no", "x": "maybe", "new": True}, "s": {"on": "on", "new": False}},
        ),
        (
            ("+t.a.b",),
            {"main": {"on": "YES", "off": "no", "x": "maybe"}, "s": {"on": "on"}, "t": {"a.b": True}},
        ),
        (("+new",), {"main": {"on": "YES", "off": "no", "x": "maybe", "new": True}, "s": {"on": "on"}}),
    ],
)
def test_declared_booleans(booleans: tuple[str, ...], values: dict[str, Any]) -> None:
    assert read("on=YES\noff=no\nx=maybe\n[s]\non=on", booleans) == values


def test_declared_text_stays_text() -> None:
    values = read("[users]\nbob=0123\nann=5\nx[]=07", texts=("users.bob", "*.x"))
    assert values["users"] == {"bob": "0123", "ann": 5, "x": ["07"]}


@pytest.mark.parametrize("line", ["no equals sign but words", "=x", "[two] words", "{json}", "a b=c"])
def test_a_line_that_is_none_is_named_with_its_number(line: str) -> None:
    sections, problems = parse_ini(f"; first\na=1\n{line}\nb=2", "f.ini")
    assert [str(problem) for problem in problems] == [
        "f.ini:3: invalid line; allowed: [section], key=value, ; comment"
    ]
    assert problems[0].fatal
    assert list(sections["main"]) == ["a", "b"]


def test_line_numbers_count_what_is_skipped_and_continued() -> None:
    sections, _ = parse_ini("; c\n\na=1\\\n2\nb=3\nc[]=1\nc[]=2", "f.ini")
    assert {key: entry.line for key, entry in sections["main"].items()} == {"a": 3, "b": 5, "c": 6}


@pytest.mark.parametrize("name", ["__proto__", "constructor", "prototype", "__class__"])
def test_unsafe_names_are_refused(name: str) -> None:
    sections, problems = parse_ini(f"{name}=1\n{name}[]=1\n[{name}]\na=1\n[ok]\nb=1", "f.ini")
    assert {key: list(entries) for key, entries in sections.items()} == {"main": [], "ok": ["b"]}
    assert [(problem.line, problem.fatal) for problem in problems] == [(1, False), (2, False), (3, False)]


def test_merge_is_key_by_key_and_replaces_arrays_whole() -> None:
    below, _ = parse_ini("a=1\nb=2\nl[]=1\nl[]=2\n[s]\nc=3", "below")
    above, _ = parse_ini("b=5\nl[]=9\nbare\n[t]\nd=4\n[s]\nc", "above")
    merged = to_values(merge_sections(below, above), [], [])
    assert merged == {"main": {"a": 1, "b": 5, "l": [9], "bare": None}, "s": {"c": 3}, "t": {"d": 4}}


@given(st.text(alphabet="a[]= \\;#\n\r01.", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    sections, problems = parse_ini(text, "f.ini")
    to_values(sections, declare(["*.a"]), [])
    assert all(problem.line >= 1 for problem in problems)


@given(st.text(max_size=30))
def test_coerce_gives_a_number_or_the_text(text: str) -> None:
    value = coerce(text)
    assert value == text or float(value) == float(text)
