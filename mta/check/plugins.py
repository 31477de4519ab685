"""Do the plugins load? Each is tried, and what it has to say is taken down."""

from __future__ import annotations

from pathlib import Path

from mta.check.findings import Findings
from mta.config import Config, Problem
from mta.config.ini import Entry
from mta.config.schema import SmtpSettings
from mta.logger import NOTICE, WARN, Logger, Record
from mta.plugin.errors import PluginError
from mta.plugin.hooks import Plugin
from mta.plugin.loader import ORIGIN, load_plugins
from mta.plugin.names import read_line, replaced
from mta.plugin.runner import HookRunner
from mta.plugin.server import Server


def check_plugins(config: Config, installation: Path, findings: Findings) -> None:
    """Load the plugins of config/plugins one by one, as a start does, and let them go again."""
    loader = _Loader(config, installation, findings)
    seen: set[str] = set()
    for entry in config.entries("plugins"):
        line = str(entry.text)
        name = line if replaced(line) else read_line(line).name
        if name in seen:
            findings.notice(Problem(entry.file, f"{name} is listed twice, it is loaded once", entry.line))
        else:
            loader.load(line, entry)
        seen.add(name)
    loader.close()


class _Loader:
    """The plugins share a server and a logger, which knows whose line is being worked on."""

    def __init__(self, config: Config, installation: Path, findings: Findings) -> None:
        self._config = config
        self._search = [installation / "plugins"]
        self._findings = findings
        self._ignore_bad = config.settings(SmtpSettings).ignore_bad_plugins
        self._server = Server()
        self._logger = Logger(NOTICE, write=lambda line: None)
        self._logger.plugins_ready(self._take_down)
        self._entry = Entry(None, "")
        self._plugins: list[Plugin] = []

    def load(self, line: str, entry: Entry) -> None:
        """Load one, and report it when that fails."""
        self._entry = entry
        try:
            self._plugins += load_plugins([line], self._config, self._logger, self._server, self._search)
        except PluginError as error:
            self._findings.notice(Problem(entry.file, str(error), entry.line, fatal=not self._ignore_bad))

    def close(self) -> None:
        """Tell the plugins that it is over."""
        self._logger.plugins_ready(None)
        HookRunner(self._plugins, self._logger).shutdown()

    def _take_down(self, record: Record) -> bool:
        """A warning of a plugin is one of ours; of the loader also what is only worth a notice."""
        if record.printed and (record.level <= WARN or record.origin == ORIGIN):
            text = record.message if record.origin == ORIGIN else f"plugin {record.origin}: {record.message}"
            self._findings.notice(Problem(self._entry.file, text, self._entry.line))
        return False
