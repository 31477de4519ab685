"""An installation with plugin files of its own, loaded as the server does it."""

from __future__ import annotations

import textwrap

import pytest

from mta.plugin.errors import PluginError
from mta.plugin.loader import load_plugins
from mta.plugin.runner import HookRunner
from tests.support.plugins import StandInServer, config_of, connection_from, logger_and_lines

GOOD = """
from mta.plugin import DENY, Plugin

class Good(Plugin):
    def hook_helo(self, connection, host):
        return DENY, {answer!r}
"""


class House:
    """An installation with plugin files of its own, and an empty directory in place of the bundled plugins."""

    def __init__(self, root):
        self.root = root
        self.bundled = root / "bundled"
        self.bundled.mkdir()
        self.logger, self.lines = logger_and_lines()
        self.files = {}

    def write(self, path, code, **values):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(code)
        file.write_text(text.format(**values) if values else text)
        return file

    def good(self, path, answer="no"):
        return self.write(path, GOOD, answer=answer)

    def load(self, *names, ignore_bad=False):
        config = config_of(self.root, self.files)
        search = [self.root / "plugins"]
        return load_plugins(names, config, self.logger, StandInServer(), search, ignore_bad, self.bundled)

    def answer(self, *names, host="client.example"):
        runner = HookRunner(self.load(*names), self.logger)
        return runner.run("helo", connection_from(), host).message

    def error(self, *names):
        with pytest.raises(PluginError) as caught:
            self.load(*names)
        message = str(caught.value)
        assert "\n" not in message
        return message
