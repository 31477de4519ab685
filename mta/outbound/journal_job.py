"""What is asked of the thread that writes the journal, besides commits."""

from __future__ import annotations

from collections.abc import Sequence

from mta.outbound.spool_commit import Commit
from mta.outbound.spool_errors import CorruptEntry


class End:
    """These entries are done with: nobody waits for that to be written. Others may join them until it is."""

    __slots__ = ("names",)

    def __init__(self, name: str) -> None:
        self.names = [name]


class MoveOut:
    """Make a queue file of an entry, if the journal has it. error: why that failed."""

    __slots__ = ("error", "names")

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.error: OSError | CorruptEntry | None = None


class SetAside(MoveOut):
    """Put the bytes of a damaged entry into a file that no delivery finds."""

    __slots__ = ()


class Tidy(MoveOut):
    """Move some entries out that have been here for too long, or all of them in time. They stand in `names` then."""

    __slots__ = ("everything",)

    def __init__(self, *, everything: bool = False) -> None:
        super().__init__(())
        self.everything = everything


class Sync:
    """Make durable which entries are done with. error: why that failed."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: OSError | None = None


Job = Commit | End | MoveOut | Sync
