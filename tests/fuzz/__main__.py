"""Run one target under atheris: `python -m tests.fuzz NAME SECONDS [CORPUS_DIRECTORY]`. Exit status 0: nothing found."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mta"]):
    from tests.fuzz.targets import SEEDS, TARGETS


def main(name: str, seconds: str, corpus: str) -> None:
    directory = Path(corpus)
    for number, seed in enumerate(SEEDS[name]):
        (directory / f"seed{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=2048",
        "-timeout=5",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/", corpus], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
