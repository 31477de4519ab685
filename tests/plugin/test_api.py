"""What `mta.plugin` exports, and its reference page."""

from __future__ import annotations

import inspect
import re

import pytest

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


def test_a_type_checker_finds_what_is_wrong_in_a_plugin(tmp_path) -> None:
    api = pytest.importorskip("mypy.api")
    path = tmp_path / "plugin.py"
    path.write_text(
        "from mta.plugin import DENY, Address, Answer, Connection, Params, Plugin\n"
        "class Wrong(Plugin):\n"
        "    def hook_helo(self, connection: Connection, host: int) -> Answer:\n"
        "        return DENY\n"
        "    def hook_rcpt(self, connection: Connection, rcpt: Address, params: Params) -> Answer:\n"
        "        return rcpt.domain\n"
    )
    found, _, status = api.run(["--strict", str(path)])
    assert status == 1 and "plugin.py:3: error: Argument 2" in found
    assert set(re.findall(r"plugin.py:([0-9]+): error", found)) == {"3", "6"}
