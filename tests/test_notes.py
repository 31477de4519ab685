"""Notes: a dict with attributes and dotted paths."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from mta.notes import Notes


def test_keys_are_attributes() -> None:
    notes = Notes(skip_plugins=[])
    notes.auth_user = "ann"
    assert notes["auth_user"] == "ann"
    assert notes.skip_plugins == []
    del notes.auth_user
    assert "auth_user" not in notes


@pytest.mark.parametrize("action", [lambda notes: notes.missing, lambda notes: delattr(notes, "missing")])
def test_missing_attribute_is_an_attribute_error(action: Any) -> None:
    with pytest.raises(AttributeError, match="missing"):
        action(Notes())


@pytest.mark.parametrize("path", ["a.b.c", ["a", "b", "c"], ("a", "b", "c")])
def test_set_makes_the_way_and_get_follows_it(path: Any) -> None:
    notes = Notes()
    notes.set(path, 1)
    assert notes == {"a": {"b": {"c": 1}}}
    assert notes.get(path) == 1
    assert notes.a.b.c == 1


@pytest.mark.parametrize("path", ["x", "a.x", "a.b.x", "a.b.c.x", ["x"], ["a", "b", "c", "x"]])
def test_get_of_what_is_not_there_is_the_default(path: Any) -> None:
    notes = Notes(a={"b": {"c": 1}})
    assert notes.get(path) is None
    assert notes.get(path, 7) == 7


def test_falsy_values_are_values() -> None:
    notes = Notes()
    notes.set("a.zero", 0)
    notes.set("a.none", None)
    assert notes.get("a.zero", 7) == 0
    assert notes.get("a.none", 7) is None


def test_a_key_with_a_dot_is_found() -> None:
    notes = Notes()
    notes["rcpt_to.in_host_list"] = True
    assert notes.get("rcpt_to.in_host_list") is True


def test_only_when_undefined() -> None:
    notes = Notes()
    notes.set("a.b", 1, only_when_undefined=True)
    notes.set("a.b", 2, only_when_undefined=True)
    assert notes.a.b == 1
    notes.set("a.b", 3)
    assert notes.a.b == 3


def test_set_does_not_destroy_what_is_in_the_way() -> None:
    notes = Notes(a=1)
    with pytest.raises(TypeError, match="'a' holds a int"):
        notes.set("a.b", 2)
    assert notes == {"a": 1}


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", [], [""]])
def test_empty_path_is_refused(path: Any) -> None:
    with pytest.raises(ValueError, match="not a path"):
        Notes().set(path, 1)


def test_notes_go_through_json_and_copy() -> None:
    notes = Notes()
    notes.set("a.b", [1])
    assert json.loads(json.dumps(notes)) == {"a": {"b": [1]}}
    twin = copy.deepcopy(notes)
    twin.a.b.append(2)
    assert notes.a.b == [1]
    assert isinstance(twin, Notes)
