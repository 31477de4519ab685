"""`haraka -l` and `haraka -o`: names as config/plugins wants them, and the chain of each hook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import haraka

GREY = """
from mta.plugin import DENYSOFT, Plugin

class Grey(Plugin):
    def register(self):
        self.register_hook("rcpt_ok", self.late, 10)

    def hook_connect(self, connection):
        return None

    def late(self, connection, rcpt):
        return DENYSOFT
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    assert haraka("-i", str(tmp_path)).returncode == 0
    for folder in ("queue", "rcpt_to", "packaged", "__pycache__"):
        (tmp_path / "plugins" / folder).mkdir()
    (tmp_path / "plugins" / "grey.py").write_text(GREY)
    for name in ("queue/mine", "rcpt_to/mine", "packaged/__init__", "packaged/helper", "_private"):
        (tmp_path / "plugins" / f"{name}.py").write_text("")
    return tmp_path


def test_list_of_what_is_shipped() -> None:
    result = haraka("-l")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("*global ")
    for name in ("queue/discard", "queue/smtp_forward", "queue/test", "rcpt_to.in_host_list", "relay"):
        assert f"\t{name}" in lines


def test_list_starts_with_the_installation(house: Path) -> None:
    lines = haraka("-l", "-c", str(house)).stdout.splitlines()
    assert lines[:5] == [
        f"*local {house}/plugins",
        "\tgrey",
        "\tpackaged",
        "\tqueue/mine",
        "\trcpt_to.mine",
    ]
    assert lines[5].startswith("*")


def test_every_listed_name_can_be_loaded(house: Path) -> None:
    names = [line.strip() for line in haraka("-l").stdout.splitlines() if line.startswith("\t")]
    (house / "config" / "plugins").write_text("\n".join(names))
    result = haraka("-o", "-c", str(house))
    assert (result.returncode, result.stderr) == (0, "")


def test_order(house: Path) -> None:
    (house / "config" / "plugins").write_text("grey\nrcpt_to.in_host_list\n")
    (house / "config" / "grey.timeout").write_text("7\n")
    result = haraka("-o", "-c", str(house))
    assert (result.returncode, result.stderr) == (0, "")
    tables = {table.split()[1]: table.splitlines() for table in result.stdout.strip().split("\n\n")}
    assert tables["connect"][0].startswith("Hook: connect ----")
    assert tables["connect"][1].split() == ["Plugin", "Method", "Prio", "T/O"]
    assert tables["connect"][2].split() == ["grey", "hook_connect", "0", "7"]
    assert tables["rcpt_ok"][2].split() == ["grey", "late", "10", "7"]
    assert tables["rcpt"][2].split()[0] == "rcpt_to.in_host_list"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config/plugins": "nosuch\n"}, "Loading plugin nosuch failed: No plugin with this name found"),
        ({"config/plugins": "bad\n", "plugins/bad.py": "def"}, "plugins/bad.py:1: "),
        ({"config/plugins": "bad\n", "plugins/bad.py": "\n\n1/0\n"}, "plugins/bad.py:3: ZeroDivisionError"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_one_line(house: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (house / name).write_text(text)
    result = haraka("-o", "-c", str(house))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("haraka: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_help_of_a_plugin_of_the_installation(house: Path) -> None:
    """Its page, or the text at the top of its file; it comes before a shipped page of that name."""
    (house / "plugins" / "relay.py").write_text('"""Relays for nobody."""\n1 / 0\n')
    (house / "plugins" / "packaged" / "docs").mkdir()
    (house / "plugins" / "packaged" / "docs" / "packaged.md").write_text("# packaged\n")
    assert haraka("-h", "relay", "-c", str(house)).stdout == "relay: Relays for nobody.\n"
    assert haraka("-h", "packaged", "-c", str(house)).stdout == "# packaged\n"
    assert haraka("-h", "relay").stdout.startswith("# relay\n")
    result = haraka("-h", "grey", "-c", str(house))
    assert (result.returncode, result.stderr) == (1, "haraka: no documentation found for grey\n")
