"""Each parser of stranger's bytes against what hypothesis makes of its seeds; see targets.py for what must hold."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import SEEDS, TARGETS

few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DANGEROUS = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b".",
    b"\r\n.\r\n",
    b" ",
    b":",
    b"<",
    b">",
    b"@",
    b'"',
    b"\\",
    b"=",
    b"\xff",
    b"-" * 3,
]


def inputs(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """A seed with dangerous pieces put over it, two seeds crossed, or noise."""
    part = st.one_of(st.sampled_from(DANGEROUS), st.binary(max_size=6), st.sampled_from(seeds))
    noise = st.lists(part, max_size=12).map(b"".join)
    return st.one_of(
        noise, st.builds(mutated, st.sampled_from(seeds), st.lists(part, max_size=5), st.randoms())
    )


def mutated(seed: bytes, parts: list[bytes], rng: random.Random) -> bytes:
    for part in parts:
        at = rng.randrange(len(seed) + 1)
        seed = seed[:at] + part + seed[at + rng.randrange(4) :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)

    @few
    @given(inputs(SEEDS[name]))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()
