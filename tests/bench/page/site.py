"""docs/performance.md, its charts, and the run that both were made from."""

from __future__ import annotations

from pathlib import Path

from tests.bench.page import figure_tables, row_tables
from tests.bench.page.aims import aims_table
from tests.bench.page.cpu_chart import cpu_chart
from tests.bench.page.law_chart import law_chart
from tests.bench.page.machine_table import machine_table
from tests.bench.page.markers import filled
from tests.bench.page.rate_chart import rate_chart
from tests.bench.page.run import Run, stored

DOCS = Path(__file__).resolve().parents[3] / "docs"
PARTS = {
    "machine": machine_table,
    "reach": row_tables.reach_table,
    "aims": aims_table,
    "rates": row_tables.rates_table,
    "cpu": row_tables.cpu_table,
    "latency": row_tables.latency_table,
    "failures": row_tables.failures_list,
    "expect": row_tables.expect_table,
    "figures": figure_tables.figures_table,
    "laws": figure_tables.laws_part,
    "hub": figure_tables.hub_table,
}


class Site:
    """The page and the folder beside it; docs: the directory that both are in."""

    def __init__(self, docs: Path = DOCS) -> None:
        self.page = docs / "performance.md"
        self.folder = docs / "performance"
        self.figures = self.folder / "figures.json"

    def made(self, run: Run) -> dict[Path, str]:
        """Every file and what it should say, the page with the text that it has. Raises PageBroken, OSError."""
        text = self.page.read_text(encoding="utf-8")
        return {
            self.page: filled(text, {name: part(run) for name, part in PARTS.items()}),
            self.figures: stored(run),
            self.folder / "cpu.svg": cpu_chart(run),
            self.folder / "rates.svg": rate_chart(run),
            **{self.folder / f"{figure_tables.law_slug(law)}.svg": law_chart(law) for law in run.laws},
        }

    def write(self, run: Run) -> None:
        """Write what is made, and remove charts that are made no more. Raises PageBroken, OSError."""
        files = self.made(run)
        self.folder.mkdir(exist_ok=True)
        for path in set(self.folder.glob("*.svg")).difference(files):
            path.unlink()
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
