"""The charts: well-formed SVG that says in words and in shapes what was measured."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.page.cpu_chart import cpu_chart
from tests.bench.page.law_chart import law_chart
from tests.bench.page.rate_chart import rate_chart
from tests.bench.page.run import Run, read
from tests.bench.page.scale import LogScale, steps

RUN = read([Path(__file__).with_name("sample.json")])
EMPTY = Run({**RUN.content, "rows": []})
SVG = "{http://www.w3.org/2000/svg}"
CHARTS = {
    "cpu": cpu_chart(RUN),
    "rates": rate_chart(RUN),
    "law": law_chart(RUN.laws[0]),
    "law of one point": law_chart(RUN.laws[1]),
    "no cpu": cpu_chart(EMPTY),
    "no rates": rate_chart(EMPTY),
    "no law": law_chart({**RUN.laws[0], "points": []}),
}


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def bars(root: ElementTree.Element) -> dict[str, float]:
    """The width of each bar by its tip."""
    found = {}
    for rect in root.iter(f"{SVG}rect"):
        tip = rect.find(f"{SVG}title")
        if tip is not None:
            found[str(tip.text)] = float(rect.attrib["width"])
    return found


@pytest.mark.parametrize("name", CHARTS)
def test_it_has_a_title_a_description_and_colours_for_light_and_dark(name: str) -> None:
    root = parsed(CHARTS[name])
    assert root.tag == f"{SVG}svg" and root.attrib["role"] == "img"
    named = {element.attrib.get("id"): element.text for element in root}
    assert set(root.attrib["aria-labelledby"].split()) <= set(named)
    assert named["title"] and named["desc"]
    style = root.findtext(f"{SVG}style") or ""
    assert "prefers-color-scheme:dark" in style
    used = {word for element in root.iter() for word in element.attrib.get("class", "").split()}
    assert all(f".{word}{{" in style for word in used), used


@pytest.mark.parametrize("name", CHARTS)
def test_everything_is_inside_the_picture(name: str) -> None:
    root = parsed(CHARTS[name])
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for key, limit in (
            ("x", width),
            ("x1", width),
            ("x2", width),
            ("y", height),
            ("y1", height),
            ("y2", height),
        ):
            assert 0 <= float(element.attrib.get(key, 0)) <= limit, element.attrib
        if element.tag == f"{SVG}rect":
            assert float(element.attrib["x"]) + float(element.attrib["width"]) <= width


@pytest.mark.parametrize("name", ["no cpu", "no rates", "no law"])
def test_a_chart_of_nothing_says_so(name: str) -> None:
    assert "Not measured in this run." in texts(parsed(CHARTS[name]))


def test_cpu_bars_are_as_long_as_their_ratio_and_those_that_miss_are_told_apart() -> None:
    root = parsed(CHARTS["cpu"])
    assert texts(root).count("Haraka") == 1 and "0.26 !" in texts(root) and "0.12" in texts(root)
    assert "forward 1k c10 kept" not in texts(root), "Haraka has no figure there"
    found = bars(root)
    dream, missed = (
        found["discard 1k c10 kept 0.10, reach 0.25"],
        found["discard 1k c100 one 0.26, reach 0.25"],
    )
    assert missed / dream == pytest.approx(2.6, rel=0.01)
    assert (
        len([rect for rect in root.iter(f"{SVG}rect") if rect.attrib["class"] == "miss"]) == 2
    )  # and the legend
    assert len([rect for rect in root.iter(f"{SVG}rect") if rect.attrib["class"] == "goal"]) == 3 + 1  # reach
    assert len([path for path in root.iter(f"{SVG}path") if "goal" in path.attrib["class"]]) == 3 + 1  # dream
    assert "relay 1k c10 kept 0.12, reach 0.15" in (root.findtext(f"{SVG}desc") or "")


def test_a_row_that_needs_more_than_haraka_stays_on_the_chart() -> None:
    row = {
        **RUN.content["rows"][5],
        "servers": {"Haraka": [{"cpu_ms": 1, "rate": 1}], "ours": [{"cpu_ms": 3.3, "rate": 1}]},
    }
    root = parsed(cpu_chart(Run({**RUN.content, "rows": [row]})))
    assert "3.30" in texts(root)
    assert all(width < 860 for width in bars(root).values())


def test_rates_have_a_panel_for_each_typical_load_and_a_bar_for_each_server() -> None:
    root = parsed(CHARTS["rates"])
    heads = [text.text for text in root.iter(f"{SVG}text") if text.attrib["class"] == "head ink"]
    assert heads == ["discard 1k c10 kept", "relay 1k c10 kept", "fanout 200 domains"]
    found = bars(root)
    assert found["bare gevent: 30000"] / found["ours: 14000"] == pytest.approx(30 / 14, rel=0.01)
    assert found["ours: 2400"] == found["bare gevent: 30000"], "each panel has a scale of its own"
    assert "Postfix 790" in (root.findtext(f"{SVG}desc") or "")


def test_a_law_is_drawn_from_left_to_right_on_a_logarithmic_scale() -> None:
    root = parsed(CHARTS["law"])
    tips = {
        circle.findtext(f"{SVG}title"): (float(circle.attrib["cx"]), float(circle.attrib["cy"]))
        for circle in root.iter(f"{SVG}circle")
    }
    zero, few, many = (tips[f"ours, {text} ms"] for text in ("0: 0.200", "10k: 0.230", "1M: 0.250"))
    assert few[0] - zero[0] == pytest.approx((many[0] - few[0]) / 2, abs=0.2), (
        "0 is a decade before the first"
    )
    assert zero[1] > few[1] > many[1], "more is higher"
    assert tips["Haraka, 0: 2.00 ms"][1] < many[1]
    assert {"0", "10k", "1M", "entries", "ours", "Haraka"} <= set(texts(root))
    path = next(root.iter(f"{SVG}path"))
    assert [float(x) for x in re.findall(r"[ML]([\d.]+) ", path.attrib["d"])] == [zero[0], few[0], many[0]]


def test_a_law_is_told_by_what_it_is_counted_by() -> None:
    root = parsed(CHARTS["law of one point"])
    assert "CPU per recipient by recipients of a message" in texts(root) and "CPU ms a recipient" in texts(
        root
    )
    assert (root.findtext(f"{SVG}desc") or "").startswith(
        "Falling, for the message is kept once. ours: 0.300 ms at 1"
    )


@pytest.mark.parametrize(
    ("top", "wanted"),
    [(1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.26, [0, 0.1, 0.2, 0.3]), (30, [0, 10, 20, 30]), (0, [0, 1])],
)
def test_an_axis_has_round_steps_that_reach_the_top(top: float, wanted: list[float]) -> None:
    found = steps(top)
    assert found == pytest.approx(wanted)


def test_a_logarithmic_scale_of_one_value_or_none() -> None:
    assert LogScale([], 10, 20)(5) == 10
    assert LogScale([7], 10, 20)(7) == 10
    assert LogScale([0], 10, 20)(0) == 10
    assert LogScale([1, 100], 10, 20)(10) == 15
