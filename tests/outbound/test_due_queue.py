"""The heap of names."""

from __future__ import annotations

import random
import tracemalloc

from mta.outbound.due_queue import SPARE, DueQueue
from mta.outbound.qfile import QueueFileName


def drained(queue: DueQueue) -> list[tuple[int, str]]:
    return [queue.pop() for _ in range(len(queue))]


def test_names_come_in_the_order_of_their_time() -> None:
    queue = DueQueue()
    pairs = [(random.randrange(1000), f"n{number}") for number in range(500)]
    firsts = [queue.push(due, name) for due, name in pairs]
    assert firsts[0] and not all(firsts)
    assert queue.first() == min(pairs)[0]
    assert drained(queue) == sorted(pairs)
    assert queue.first() is None


def test_a_name_is_there_once_with_its_last_time() -> None:
    queue = DueQueue()
    queue.push(10, "a")
    queue.push(20, "b")
    queue.push(30, "a")
    assert (len(queue), queue.due("a"), queue.first()) == (2, 30, 20)
    queue.push(10, "a")
    assert drained(queue) == [(10, "a"), (20, "b")]


def test_removed_names_never_come() -> None:
    queue = DueQueue()
    for number in range(100):
        queue.push(number, f"n{number}")
    assert queue.remove("n0") and not queue.remove("n0") and not queue.remove("other")
    assert "n0" not in queue and "n1" in queue
    assert drained(queue)[0] == (1, "n1")


def test_removing_most_of_many_gives_their_memory_back() -> None:
    queue = DueQueue()
    for number in range(4 * SPARE):
        queue.push(number, f"n{number}")
    for number in range(4 * SPARE - 10):
        queue.remove(f"n{number}")
    assert len(queue._heap) <= 2 * len(queue) + SPARE
    assert [name for _, name in drained(queue)] == [f"n{4 * SPARE - 10 + number}" for number in range(10)]


def test_flush_and_shift() -> None:
    queue = DueQueue()
    queue.push(1000, "a")
    queue.push(2000, "b")
    queue.shift(-500)
    assert (queue.due("a"), queue.due("b"), queue.first()) == (500, 1500, 500)
    queue.shift(-10_000)
    assert queue.first() == 0
    queue.push(5000, "c")
    queue.flush()
    assert [due for due, _ in drained(queue)] == [0, 0, 0]


def test_an_entry_takes_less_than_500_bytes() -> None:
    count = 20_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        queue = DueQueue()
        for number in range(count):
            name = QueueFileName.of(
                1795306899000 + number,
                1795306963000 + number,
                12,
                4194304,
                "aBcDeF",
                number,
                "a-host-name.example.net",
            )
            queue.push(name.next_attempt, name.text)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < 500
