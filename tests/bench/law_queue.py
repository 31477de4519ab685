"""How a message fares beside many others in the queue, and how recipients share the work of theirs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.bench.fanout import submit
from tests.bench.laws import Law, Point, Run
from tests.bench.load import RUN_LIMIT, LoadFailed, Sample, run, settled_cpu
from tests.bench.servers import OURS, build
from tests.bench.startup import INFO, LOADED
from tests.bench.stuffed_queue import StuffedQueue
from tests.support.server import Server, eventually
from tests.support.sink import PostfixSink

ENTRIES = (0, 10_000, 100_000, 1_000_000)
SHORT_RUN = 100_000  # entries, unless the run is a long one
RECIPIENTS = (1, 10, 100, 1000)
MESSAGES = 1500
DELIVERIES = 2000  # recipients of a run, or a few more
BODY = 15 * (b"x" * 62 + b"\r\n")  # 1 KB


def queue_laws(stack: ExitStack, work: Path, long: bool) -> Sequence[Law]:
    """Relay 1 KB while so many entries wait that are not due."""
    sink = stack.enter_context(PostfixSink(work / "sink"))
    points = [
        Point(count, stuffed(stack, work / f"server-{count}", sink, count))
        for count in ENTRIES
        if long or count <= SHORT_RUN
    ]
    says = (
        "flat, for nothing that a message passes looks at the directory or at what is not due; "
        "the heap of due times alone costs log2 of its size when an entry has to wait"
    )
    return [Law("entries in the queue", "entries", says, points)]


def stuffed(stack: ExitStack, directory: Path, sink: PostfixSink, count: int) -> Run:
    server = build(OURS, directory, sink.port, extra=INFO)
    stack.enter_context(StuffedQueue(server.queue, count))
    stack.enter_context(server)
    if not eventually(lambda: LOADED[OURS] in server.log, RUN_LIMIT, 0.1):
        raise LoadFailed(f"{count} entries are not loaded")
    load = relaying(server, sink)
    load()
    return load


def recipient_laws(stack: ExitStack, work: Path, long: bool) -> Sequence[Law]:
    """Relay messages of 1 KB to many recipients of one domain."""
    sink = stack.enter_context(PostfixSink(work / "sink"))
    server = stack.enter_context(build(OURS, work / "server", sink.port))
    run(server, sink, count=MESSAGES, size=1024, connections=10, kept=True)
    says = (
        "falls, for a message's own share (reply, trace fields, queue entry, delivery) is paid once however many recipients it "
        "has; what remains is a RCPT that comes in and one that goes out, so a message's whole is a straight line"
    )
    points = [Point(count, many(server, sink, count)) for count in RECIPIENTS]
    return [Law("recipients of a message", "recipients", says, points, per="recipient", whole="message")]


def many(server: Server, sink: PostfixSink, rcpts: int) -> Run:
    """Return what sends messages with so many recipients, which are what it counts."""
    names = [f"user{number}@d0.example" for number in range(rcpts)]
    messages = max(5, DELIVERIES // rcpts)

    def load() -> Sample:
        before, cpu, begun = sink.count, server.cpu_seconds, time.monotonic()
        submit(server.port, names, body=BODY, messages=messages)
        if not eventually(lambda: sink.count >= before + messages and not server.waiting(), RUN_LIMIT, 0.02):
            raise LoadFailed(f"{sink.count - before} of {messages} messages reached the sink")
        seconds = time.monotonic() - begun
        return Sample(messages * rcpts, seconds, settled_cpu(server) - cpu)

    return load


def relaying(server: Server, sink: PostfixSink) -> Run:
    return lambda: run(server, sink, count=MESSAGES, size=1024, connections=10, kept=True)
