"""docs/Plugins.md is true: its list of hooks is the base class, and its example works."""

from __future__ import annotations

import inspect
import re
from datetime import datetime

from mta.paths import DOCS, PLUGINS
from mta.plugin import DENY
from mta.plugin.hooks import HOOKS, Plugin
from mta.plugin.loader import load_plugins
from mta.plugin.runner import HookRunner
from tests.support.plugins import StandInServer, config_of, connection_from, logger_and_lines

PAGE = (DOCS / "Plugins.md").read_text(encoding="utf-8")


def test_every_hook_is_listed_with_its_arguments():
    rows = re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| ([a-z_, ]+) \|", PAGE, re.MULTILINE)
    listed = {hook: arguments for hooks, arguments in rows for hook in re.findall(r"[a-z_]+", hooks)}
    wanted = {
        hook: ", ".join(list(inspect.signature(getattr(Plugin, f"hook_{hook}")).parameters)[1:])
        for hook in HOOKS
    }
    assert listed == wanted


def test_the_example_works(tmp_path):
    (tmp_path / "plugins").mkdir()
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "plugins" / "no_localhost.py").write_text(code[1])
    logger, _ = logger_and_lines()
    plugins = load_plugins(
        ["no_localhost"], config_of(tmp_path, {}), logger, StandInServer(), [tmp_path / "plugins"]
    )
    runner = HookRunner(plugins, logger)
    assert runner.run("ehlo", connection_from(), "LocalHost").code is DENY
    assert runner.run("ehlo", connection_from(), "client.example").code is not DENY


def test_the_example_that_derives_from_a_bundled_plugin_works(tmp_path, mail_server):
    code = re.search(r"```python\n([^`]*plugin_class\([^`]*)```", PAGE)
    (tmp_path / "relay.py").write_text(code[1])
    server = mail_server("relay", search=[tmp_path], config={"relay_acl_allow": "192.0.2.7\n"})
    for hour, accepted in ((3, 550), (12, 250), (23, 550)):
        server.clock.set(datetime(2026, 7, 1, hour))
        client = server.connect(ip="192.0.2.7")
        assert client.send_mail(rcpt_to="bob@elsewhere.example").code == accepted


def test_every_bundled_plugin_has_a_page_and_a_line():
    names = {str(path.relative_to(PLUGINS).with_suffix("")) for path in PLUGINS.rglob("*.py")}
    names = {name.replace("rcpt_to/", "rcpt_to.") for name in names}
    listed = dict(re.findall(r"^\| \[([^]]+)\]\(([^)]+)\)", PAGE, re.MULTILINE))
    assert set(listed) == names
    assert all((DOCS / page).is_file() for page in listed.values())
