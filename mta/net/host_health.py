"""Which hosts could not be reached lately: they are asked last until their time has come again."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.net.next_hop import NextHop

FIRST_SECONDS = 10.0
LONGEST_SECONDS = 300.0
PROBE_SECONDS = 60.0  # for the one delivery that finds out whether a host is up again
MAX_HOSTS = 10_000  # remembered at a time; the one that went down first is forgotten
_OUR_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRINUSE})
Place = tuple[str, int]


@dataclass(slots=True)
class _Down:
    """since, until: seconds of the clock; span: how long this time; probed: the time was over, somebody is trying."""

    since: float
    until: float
    span: float
    probed: bool = False


class HostHealth:
    """Remembers hosts that refuse or time out, by address and port; shared by all deliveries.

    first_seconds: how long a host is down at first, doubled each time up to longest_seconds; origin: of the log lines;
    clock: seconds.
    """

    __slots__ = ("_clock", "_down", "_first", "_logger", "_longest", "_origin")

    def __init__(
        self,
        logger: Logger | None,
        first_seconds: float = FIRST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        origin: str = "outbound",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self._clock = clock
        self._logger = logger
        self._first = first_seconds
        self._longest = longest_seconds
        self._down: dict[Place, _Down] = {}

    def failed(self, hop: NextHop, why: str) -> None:
        """No connection could be made. Several attempts that fail together count as one."""
        place, now = _place(hop), self._clock()
        known = self._down.pop(place, None)
        if known is None:
            span, since = self._first, now
            self._tell(f"{hop} is down, asked last for {span:g} seconds: {why}")
        elif now < known.until and not known.probed:
            self._down[place] = known
            return
        else:
            span, since = min(known.span * 2, self._longest), known.since
        if len(self._down) >= MAX_HOSTS:
            del self._down[next(iter(self._down))]
        self._down[place] = _Down(since, now + span, span)

    def succeeded(self, hop: NextHop) -> None:
        """The host has taken a connection."""
        known = self._down.pop(_place(hop), None) if self._down else None
        if known is not None:
            seconds = self._clock() - known.since
            self._tell(f"{hop} is up again after {seconds:.0f} seconds")

    @property
    def any_down(self) -> bool:
        """True when there is a host whose turn it may not be."""
        return bool(self._down)

    def is_down(self, hop: NextHop) -> bool:
        """True when it is not this host's turn."""
        known = self._down.get(_place(hop)) if self._down else None
        return known is not None and self._clock() < known.until

    def up_first(self, hops: Iterable[NextHop]) -> Iterator[NextHop]:
        """The same hops, those that are down at the end; nothing is left out.

        A host whose time is over has its place again for whoever asks first, and for the others when that one succeeded:
        if it is still not there, one delivery waits for it and not all of them.
        """
        return self._up_first(hops) if self._down else iter(hops)

    def _up_first(self, hops: Iterable[NextHop]) -> Iterator[NextHop]:
        last: list[NextHop] = []
        for hop in hops:
            if self._is_passed_over(hop):
                last.append(hop)
            else:
                yield hop
        yield from last

    def _is_passed_over(self, hop: NextHop) -> bool:
        known = self._down.get(_place(hop)) if self._down else None
        if known is None:
            return False
        now = self._clock()
        if now < known.until:
            return True
        known.until, known.probed = now + PROBE_SECONDS, True
        return False

    def down(self) -> list[str]:
        """The hosts whose turn it is not, as `host:port` or the path of a socket."""
        now = self._clock()
        return [
            f"{host}:{port}" if port else host
            for (host, port), each in self._down.items()
            if now < each.until
        ]

    def _tell(self, what: str) -> None:
        if self._logger is not None:
            self._logger.notice(what, origin=self._origin)


def is_our_own(error: BaseException | None) -> bool:
    """True when a connection could not be made because this machine ran out of something."""
    return isinstance(error, OSError) and error.errno in _OUR_OWN


def _place(hop: NextHop) -> Place:
    return (hop.path, 0) if hop.path else (hop.host, hop.port)
