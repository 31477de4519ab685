"""The fixtures are there for whoever has installed the package and pytest, and for nobody else in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLUGIN = """
import time
from mta.plugin import DENYSOFT, Plugin

class Grey(Plugin):
    def register(self):
        self.seen = {}

    def hook_rcpt_ok(self, connection, rcpt):
        first = self.seen.setdefault((connection.remote.ip, rcpt), time.time())
        return (DENYSOFT, "greylisted") if time.time() - first < 300 else None
"""
TEST = """
import sys

def test_grey(mail_server):
    server = mail_server("grey")
    assert server.connect().send_mail().code == 450
    server.clock.advance(minutes=6)
    assert server.connect().send_mail().code == 250

def test_its_class(load_plugin):
    assert load_plugin("grey").seen == {}

def test_nothing_is_patched():
    import gevent.monkey
    assert not gevent.monkey.saved
"""


def run_pytest(directory: Path, *args: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_the_fixtures_find_the_plugins_next_to_the_tests(tmp_path: Path):
    for name, text in {"plugins/grey.py": PLUGIN, "tests/test_grey.py": TEST}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    result = run_pytest(tmp_path, "tests")
    assert (result.returncode, "3 passed" in result.stdout) == (0, True), result.stdout + result.stderr


def test_the_fixtures_tell_what_they_are_for(tmp_path: Path):
    (tmp_path / "test_empty.py").write_text("")
    shown = run_pytest(tmp_path, "--fixtures").stdout
    assert "mail_server" in shown and "load_plugin" in shown


def test_pytest_starts_without_loading_the_server():
    code = "import sys, mta.pytest_plugin; sys.exit('gevent' in sys.modules or 'ssl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
