"""Records are what the standard library's frozen dataclasses with slots are."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import ClassVar

import pytest

from mta.record import record


@record
class Point:
    """Two numbers and what they are called."""

    ORIGIN: ClassVar[str] = "0,0"

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)
    name: str = field(default="", compare=False, repr=False)

    @property
    def sum(self) -> int:
        return self.x + self.y


@record
class Place(Point):
    """One with a height."""

    x: int = 7
    z: int = 9


@record
class Named:
    """One with a word of its own."""

    name: str

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Spot(Place):
    """A dataclass that is made of a record."""

    w: int = 1


def test_it_is_made_and_read() -> None:
    point = Point(1, tags=["a"])
    assert (point.x, point.y, point.tags, point.name, point.sum, Point.ORIGIN) == (1, 0, ["a"], "", 1, "0,0")
    assert Point(1).tags is not Point(1).tags
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]


def test_it_is_compared_by_the_fields_that_count() -> None:
    assert Named("a") == Named("a") != Named("b")
    assert hash(Named("a")) == hash(Named("a"))
    assert Point(1, name="a") == Point(1, name="b") != Point(2)
    assert Point(1, 2, []) != Place(1, 2, [])
    assert repr(Point(1)) == "Point(x=1, y=0, tags=[])"


def test_a_method_of_its_own_stays() -> None:
    assert repr(Named("a")) == "<a>"


def test_it_can_not_be_changed() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert not hasattr(point, "__dict__")


def test_fields_of_a_record_are_inherited() -> None:
    assert [each.name for each in fields(Place)] == ["x", "y", "tags", "name", "z"]
    assert Place() == Place(7, 0, [], z=9)
    assert (Spot(w=3).w, Spot().z, Spot().x) == (3, 9, 7)
    assert repr(Spot()) == "Spot(x=7, y=0, tags=[], z=9, w=1)"


def test_the_functions_of_dataclasses_know_it() -> None:
    assert is_dataclass(Place)
    assert replace(Point(1), y=2) == Point(1, 2)
    assert asdict(Named("a")) == {"name": "a"}
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_it_can_be_copied() -> None:
    point = Point(1, 2, ["a"], "b")
    for twin in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert (twin, twin.name) == (point, "b")


def test_nothing_is_written_before_somebody_looks() -> None:
    @record
    class Unused:
        """Nobody makes one."""

        x: int = 0

    assert type(vars(Unused)["__init__"]).__name__ == type(vars(Unused)["__repr__"]).__name__ == "_Unwritten"
    Unused()
    assert type(vars(Unused)["__init__"]).__name__ == "function"
    assert type(vars(Unused)["__repr__"]).__name__ == "_Unwritten"
    assert repr(Unused(3)) == f"{Unused.__qualname__}(x=3)"
