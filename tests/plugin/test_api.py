"""What `mta.plugin` exports, and its reference page."""

from __future__ import annotations

import inspect
import re

import mta.plugin
from tests.support import api_page


def test_the_page_is_what_the_docstrings_make() -> None:
    assert api_page.PAGE.read_text(encoding="utf-8") == api_page.page(), "stale: run `make docs`"


def test_every_export_is_there_and_says_what_it_is() -> None:
    for name in mta.plugin.__all__:
        assert hasattr(mta.plugin, name)
        if name not in api_page.CODES:
            entry = api_page.entry(name)
            assert re.search(r"[A-Z][^|`]{10,}", entry.partition("\n")[2]), f"{name} has no docstring"


def test_every_method_of_the_plugin_class_is_documented() -> None:
    page = api_page.entry("Plugin")
    for name, method in inspect.getmembers(mta.plugin.Plugin, inspect.isfunction):
        if not name.startswith(("_", "log")) and name != "registrations":
            assert method.__doc__ and f"`{name}(" in page


def test_every_export_is_on_the_page_once(monkeypatch) -> None:
    monkeypatch.setattr(api_page, "GROUPS", {"The plugin": ("Plugin", "Gone")})
    page = api_page.page()
    assert "## The plugin\n\n### Plugin\n" in page and "## Others\n" in page
    for name in set(mta.plugin.__all__) - set(api_page.CODES):
        assert page.count(f"\n### {name}\n") == 1
