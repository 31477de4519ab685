"""What a worker has from its master."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mta.outbound.share import Share

if TYPE_CHECKING:
    from mta.net.endpoint import Bound


@dataclass(frozen=True, slots=True)
class Inherited:
    """share: of the queue, whose directory is locked already; smtp, http: where to listen, bound before the fork.

    master: a descriptor that comes to its end when the master does.
    """

    share: Share
    smtp: list[Bound]
    http: list[Bound]
    master: int
