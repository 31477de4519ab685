"""Write docs/performance.md and its charts from the JSON of the bench: `python -m tests.bench.page [FILE.json ...]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.page.markers import PageBroken
from tests.bench.page.run import NotOneRun, read
from tests.bench.page.site import Site


def main(argv: Sequence[str], site: Site | None = None) -> int:
    """0, or 1 with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=__doc__)
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE.json",
        help="what `python -m tests.bench --json` wrote, several for a run in parts; none: the run that the page has",
    )
    site = site or Site()
    try:
        site.write(read(parser.parse_args(argv).files or [site.figures]))
    except (OSError, ValueError, NotOneRun, PageBroken) as error:
        print(f"{site.page}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
