"""docs/performance.md is what its run makes, and what is written there by hand is true and stays."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mta.config.schema import SETTINGS, VALUES
from mta.config.spec import specs
from mta.paths import DOCS
from tests.bench.page.__main__ import main
from tests.bench.page.markers import PageBroken, filled
from tests.bench.page.run import NotOneRun, read, stored
from tests.bench.page.site import PARTS, Site

SAMPLE = Path(__file__).with_name("sample.json")
PAGE = (DOCS / "performance.md").read_text(encoding="utf-8")
HAND_WRITTEN = "# Mine\n\nwritten by hand\n\n"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A page with every place, and text around them."""
    places = "".join(
        f"before {name}\n<!-- made: {name} -->\nold\n<!-- end -->\nafter {name}\n" for name in PARTS
    )
    (tmp_path / "performance.md").write_text(HAND_WRITTEN + places)
    return Site(tmp_path)


def test_the_page_and_its_charts_are_what_the_run_makes() -> None:
    site = Site()
    made = site.made(read([site.figures]))
    stale = "stale: run `python -m tests.bench.page`"
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, stale
    assert set(site.folder.iterdir()) | {site.page} == set(made), stale


def test_what_is_made_is_replaced_and_what_is_written_by_hand_stays(site: Site) -> None:
    assert main([str(SAMPLE)], site) == 0
    text = site.page.read_text(encoding="utf-8")
    assert text.startswith(HAND_WRITTEN) and "\nold\n" not in text
    assert all(f"before {name}\n<!-- made: {name} -->\n\n" in text for name in PARTS)
    assert all(f"\n<!-- end -->\nafter {name}\n" in text for name in PARTS)
    assert {path.name for path in site.folder.iterdir()} == {
        "cpu.svg",
        "rates.svg",
        "law-entries-in-the-queue.svg",
        "law-recipients-of-a-message.svg",
        "figures.json",
    }


def test_it_is_made_again_from_the_run_that_it_keeps(site: Site) -> None:
    assert main([str(SAMPLE)], site) == 0
    before = {path: path.read_bytes() for path in [site.page, *site.folder.iterdir()]}
    (site.folder / "law-that-was.svg").write_text("a chart of an older run")
    (site.folder / "cpu.svg").unlink()
    assert main([], site) == 0
    assert {path: path.read_bytes() for path in [site.page, *site.folder.iterdir()]} == before


def test_the_run_is_kept_with_the_digits_that_mean_something(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    kept.write_text(stored(read([SAMPLE])))
    assert json.loads(kept.read_text())["rows"][0]["servers"]["ours"][0]["rate"] == 14000
    assert read([kept]).content.keys() == read([SAMPLE]).content.keys()
    assert stored(read([kept])) == kept.read_text()


def test_a_run_in_parts_is_put_together_and_the_last_part_counts(tmp_path: Path) -> None:
    whole = json.loads(SAMPLE.read_text())
    later = {**whole, "rows": [{**whole["rows"][3], "unit": "letter"}], "figures": [], "laws": [], "hub": []}
    other = tmp_path / "later.json"
    other.write_text(json.dumps(later))
    run = read([SAMPLE, other])
    assert [row.name for row in run.rows] == [row["row"] for row in whole["rows"]]
    assert [row.unit for row in run.rows if row.kind == "relay"] == ["letter"]
    assert len(run.figures) == 3 and len(run.laws) == 2 and len(run.hub) == 3


def test_parts_of_two_machines_are_refused(
    tmp_path: Path, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.json"
    other.write_text(SAMPLE.read_text().replace('"cpus": 2', '"cpus": 64'))
    with pytest.raises(NotOneRun):
        read([SAMPLE, other])
    before = site.page.read_text()
    assert main([str(SAMPLE), str(other)], site) == 1
    assert "different machines" in capsys.readouterr().err
    assert site.page.read_text() == before


@pytest.mark.parametrize(
    "page",
    [
        "no place\n",
        "<!-- made: one -->\n<!-- end -->\n<!-- made: two -->\n<!-- end -->\n",
        "<!-- made: one -->\n<!-- end -->\n<!-- made: one -->\n<!-- end -->\n",
        "<!-- made: one -->\n",
        "<!-- made: one -->\n<!-- end -->\n<!-- made:two -->\n",
    ],
)
def test_a_page_without_the_right_places_is_left_alone(page: str) -> None:
    with pytest.raises(PageBroken):
        filled(page, {"one": "text\n"})


def test_a_part_may_say_anything() -> None:
    page = "<!-- made: one -->\n<!-- end -->\n"
    assert filled(page, {"one": r"\1 \g<2>" + "\n"}) == "<!-- made: one -->\n\n\\1 \\g<2>\n\n<!-- end -->\n"


def test_every_setting_that_the_page_names_exists_and_has_that_default() -> None:
    known = {
        f"{cls.FILE} [{spec.section}] {spec.key}": spec.kind.show(spec.default)
        for cls in SETTINGS
        for _, spec in specs(cls)
        if spec.key
    } | {value.name: str(value.default) for value in VALUES}
    rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]*)`)? \|", PAGE, re.MULTILINE)
    settings = [(name, default) for name, default in rows if ".ini" in name or name in known]
    assert len(settings) > 20
    assert [known.get(name) for name, _ in settings] == [default for _, default in settings]
    named = re.findall(r"`(\w+\.ini \[\w+\] \w+)`", PAGE)
    assert set(named) <= set(known), set(named) - set(known)


def test_the_pages_it_links_to_exist_with_their_chapters() -> None:
    links = re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", PAGE)
    assert len(links) > 20
    for file, chapter in links:
        path = DOCS / file if file else DOCS / "performance.md"
        assert path.is_file(), file
        if chapter:
            heads = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]
            assert chapter in slugs, f"{file}#{chapter}"


def test_the_program_that_measures_a_disk_runs_and_cleans_up(tmp_path: Path) -> None:
    code = re.search(r"```python\n(# sync.py.*?)```", PAGE, re.DOTALL)
    assert code
    program = tmp_path / "sync.py"
    program.write_text(code[1].replace("range(1000)", "range(100)"))
    queue = tmp_path / "queue"
    queue.mkdir()
    done = subprocess.run(
        [sys.executable, str(program), str(queue)], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"median \d+\.\d\d ms, one in a hundred over \d+\.\d\d ms\n", done.stdout)
    assert list(queue.iterdir()) == []
