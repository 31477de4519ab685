"""Records: frozen dataclasses whose methods are written when the first of them is needed.

The methods of a dataclass are source text that is compiled, which takes half a millisecond to one for each class. There are more
than a hundred classes, most servers use a third of them, and a start took 0.1 of 0.7 s for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")

# What a record needs to be made, and what only some records are ever asked for.
_FIRST = (
    "__init__",
    "__setattr__",
    "__delattr__",
    "__getstate__",
    "__setstate__",
    "__match_args__",
    "__dataclass_fields__",
    "__dataclass_params__",
)
_LATER = ("__repr__", "__eq__", "__hash__")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make a class what `@dataclass(frozen=True, slots=True)` makes of it."""
    inherited = {name for base in cls.__mro__[1:] for name in vars(base).get("__slots__", ())}
    annotated = vars(cls).get("__annotations__", {}).items()
    fields = [name for name, kind in annotated if not kind.startswith("ClassVar")]
    body = {name: value for name, value in _body(cls).items() if name not in fields}
    body["__slots__"] = tuple(name for name in fields if name not in inherited)
    body |= {name: _Unwritten(cls) for name in (*_FIRST, *_LATER) if body.get(name) is None}
    made: type[T] = _like(cls, body)
    return made


class _Unwritten:
    """An attribute of a record that is written, with others, when somebody looks at it."""

    __slots__ = ("_cls", "_made", "_name")

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __set_name__(self, made: type, name: str) -> None:
        self._made = made
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if self._name in _LATER:
            _write(_LATER, self._made, dataclass(frozen=True, init=False)(_copy(self._cls)))
        else:
            written = dataclass(frozen=True, slots=True, repr=False, eq=False)(_copy(self._cls))
            _write(_FIRST, self._made, written)
        return getattr(owner if instance is None else instance, self._name)


def _write(names: tuple[str, ...], made: type, written: type) -> None:
    """Give a record what is still unwritten of it."""
    for name in names:
        if isinstance(vars(made).get(name), _Unwritten):
            setattr(made, name, vars(written)[name])


def _copy(cls: type) -> Any:
    """A class to write the methods of: the first is left as it is, for two threads may be here."""
    return _like(cls, _body(cls))


def _body(cls: type) -> dict[str, Any]:
    """What a class of the same kind would be made of; the two left out belong to this one."""
    return {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}


def _like(cls: type, body: dict[str, Any]) -> Any:
    like = type(cls)(cls.__name__, cls.__bases__, body)
    like.__qualname__ = cls.__qualname__
    return like
