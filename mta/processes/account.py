"""What a master says of itself and its workers: to `haraka status`, and in one line to a service manager."""

from __future__ import annotations

from mta.processes.workers import Workers


def states(workers: Workers) -> list[dict[str, object]]:
    """Each worker with its state and figures, by slot, the oldest first."""
    board = workers.board
    return [
        {
            "slot": child.slot,
            "pid": child.pid,
            "state": child.state.value,
            "silent": board.silent_for(child.line),
            "figures": board.read(child.line),
        }
        for child in sorted(workers.all(), key=lambda child: (child.slot, child.began))
    ]


def status_line(workers: Workers, count: int) -> str:
    """How many workers there shall be, connections, and entries in the queue."""
    sums = workers.board.sums()
    waiting = sum(sums[name] for name in ("scheduled", "ready", "parked", "held"))
    return f"{count} workers, {sums['connections']} connections, {waiting} in the queue"
