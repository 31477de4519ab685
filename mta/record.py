"""Records: frozen dataclasses whose methods are written when the first of them is needed.

The methods of a dataclass are source text that is compiled, which takes half a millisecond to one for each class. There are more
than a hundred classes, most servers use a third of them, and a start took 0.1 of 0.7 s for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")

_WRITTEN = (
    "__init__",
    "__repr__",
    "__eq__",
    "__hash__",
    "__setattr__",
    "__delattr__",
    "__getstate__",
    "__setstate__",
    "__match_args__",
    "__dataclass_fields__",
    "__dataclass_params__",
)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class what `@dataclass(frozen=True, slots=True)` makes of it."""
    inherited = {name for base in cls.__mro__[1:] for name in vars(base).get("__slots__", ())}
    annotated = vars(cls).get("__annotations__", {}).items()
    fields = [name for name, kind in annotated if not kind.startswith("ClassVar")]
    body = {name: value for name, value in _body(cls).items() if name not in fields}
    body["__slots__"] = tuple(name for name in fields if name not in inherited)
    body |= {name: _Unwritten(cls) for name in _WRITTEN if body.get(name) is None}
    made: type[T] = _like(cls, body)
    return made


class _Unwritten:
    """An attribute of a record that is written, with all the others, when somebody looks at it."""

    __slots__ = ("_cls", "_made", "_name")

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __set_name__(self, made: type, name: str) -> None:
        self._made = made
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        _write(self._made, self._cls)
        return getattr(owner if instance is None else instance, self._name)


def _write(made: type, cls: type) -> None:
    """Give a record what is still unwritten of it. cls: what it was made from, left as it is: two threads may be here."""
    written = vars(dataclass(frozen=True, slots=True)(_like(cls, _body(cls))))
    for name in _WRITTEN:
        if isinstance(vars(made).get(name), _Unwritten):
            setattr(made, name, written[name])


def _body(cls: type) -> dict[str, Any]:
    """What a class of the same kind would be made of; the two left out belong to this one."""
    return {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}


def _like(cls: type, body: dict[str, Any]) -> Any:
    like = type(cls)(cls.__name__, cls.__bases__, body)
    like.__qualname__ = cls.__qualname__
    return like
