"""Renames and unlinks: short work on the directory, done for everybody at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mta.outbound.spool_batches import Batches
from mta.outbound.spool_errors import EntryGone, SpoolError, describe
from mta.outbound.spool_thread import DiskThread


class Chores:
    """Does what the greenlets want done, in a thread, in the order in which they ask."""

    __slots__ = ("_batches",)

    def __init__(self, thread: DiskThread) -> None:
        self._batches: Batches[_Chore] = Batches(thread, _do_all)

    def do(self, what: str, function: Callable[..., None], name: str, *more: str) -> None:
        """Call function(name, *more) and wait for it. Raises EntryGone when there is no such file, SpoolError."""
        chore = _Chore(function, (name, *more))
        self._batches.do(chore)
        if isinstance(chore.error, FileNotFoundError):
            raise EntryGone(f"queue file {name} does not exist")
        if chore.error is not None:
            raise SpoolError(f"cannot {what} {name}: {describe(chore.error)}") from chore.error


class _Chore:
    __slots__ = ("error", "function", "names")

    def __init__(self, function: Callable[..., None], names: tuple[str, ...]) -> None:
        self.function = function
        self.names = names
        self.error: OSError | None = None


def _do_all(chores: Sequence[_Chore]) -> None:
    for chore in chores:
        try:
            chore.function(*chore.names)
        except OSError as error:
            chore.error = error
