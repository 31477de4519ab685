"""reseed_rng: there is nothing to do, and the proof of it."""

from __future__ import annotations

import os
import random

from tests.support.plugins import loaded


def after_fork() -> bytes:
    """What a child draws first from the generator that it has inherited."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, random.randbytes(16))
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return pipe.read()


def test_each_child_has_random_numbers_of_its_own() -> None:
    random.seed(1)
    drawn = [after_fork(), after_fork(), random.randbytes(16)]
    assert len(set(drawn)) == 3 and all(drawn)


def test_the_plugin_says_so_and_does_nothing(tmp_path) -> None:
    runner, lines = loaded("reseed_rng", tmp_path)
    assert not [hook for hook in runner.chains if runner.chains[hook]]
    assert [line for line in lines if "not needed here" in line]
