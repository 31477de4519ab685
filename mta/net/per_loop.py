"""What there is once for each thread's event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

from gevent import get_hub

if TYPE_CHECKING:
    from gevent.hub import Hub

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Call it for the one that belongs to this thread's event loop; make: makes it at the first call."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: WeakKeyDictionary[Hub, T] = WeakKeyDictionary()

    def __call__(self) -> T:
        hub = get_hub()
        made = self._made.get(hub)
        if made is None:
            made = self._made[hub] = self._make()
        return made
