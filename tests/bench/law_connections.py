"""How a message fares beside many connections that say nothing, and how many busy ones share a server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.crowd import Crowd
from tests.bench.laws import Law, Point, Run
from tests.bench.load import run
from tests.bench.servers import OURS, build
from tests.support.server import Server

OPEN = (1, 10, 100, 1000, 10_000)
BUSY = (1, 10, 100, 1000)
ACTIVE = 10  # of the open ones
MESSAGES = 3000
EACH = 10  # messages of a connection at least, so that it is not its opening that is measured


def connection_laws(stack: ExitStack, work: Path, long: bool) -> Sequence[Law]:
    """Receive 1 KB over kept connections, and throw it away."""
    idle = [Point(count, beside(stack, work / f"server-{count}", count)) for count in OPEN]
    server = stack.enter_context(build(OURS, work / "busy", None))
    busy = [Point(count, receiving(server, count)) for count in BUSY]
    still = (
        f"flat from {ACTIVE} on, for epoll tells only who is ready, an idle connection has no timer, and the one clock that ends "
        "waits looks at all of them once a second, which is a third of a millisecond for 10 000"
    )
    together = (
        "falls at first, for one turn of the event loop then serves all who are ready, and rises a little where so many "
        f"sessions no longer fit into the processor's caches; with 1000 each sends {EACH} messages only, so a tenth of its "
        "opening is in it"
    )
    return [
        Law("open connections, 10 busy", "connections", still, idle),
        Law("busy connections", "connections", together, busy),
    ]


def beside(stack: ExitStack, directory: Path, count: int) -> Run:
    """Return a load on a server that has so many connections with it."""
    server = stack.enter_context(build(OURS, directory, None))
    run(server, None, count=MESSAGES // 4, size=1024, connections=ACTIVE, kept=True)
    active = min(count, ACTIVE)
    stack.enter_context(Crowd(server.port)).grow(count - active)
    return receiving(server, active)


def receiving(server: Server, connections: int) -> Run:
    count = max(MESSAGES, EACH * connections)
    return lambda: run(server, None, count=count, size=1024, connections=connections, kept=True)
