"""Names of plugins whose work the server does by itself: a notice, and the limit holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mta.plugin.built_in import BUILT_IN
from mta.plugin.names import DEPRECATED
from tests.support.client import RawClient
from tests.support.plugins import logger_and_lines, plugins_of
from tests.support.server import OURS, RELAY_CONFIG, Server


@pytest.mark.parametrize("name", [*BUILT_IN, "haraka-plugin-max_unrecognized_commands"])
def test_nothing_is_loaded_and_the_setting_is_named(tmp_path: Path, name: str) -> None:
    logger, lines = logger_and_lines()
    plugins = plugins_of(tmp_path, [name, "relay"], {}, logger)
    assert [plugin.name for plugin in plugins] == ["relay"]
    [notice] = [line for line in lines if line.startswith("[NOTICE]")]
    setting = BUILT_IN[name.removeprefix("haraka-plugin-")]
    assert f"{name} is not needed in config/plugins: the server does it, see {setting}" in notice


def test_a_name_is_either_built_in_or_replaced_or_a_plugin() -> None:
    assert not set(BUILT_IN) & {*DEPRECATED, *DEPRECATED.values()}


def test_the_limit_of_the_old_plugin_holds(tmp_path: Path) -> None:
    """The directory of a Haraka of old, with its plugin and its file."""
    config = {
        **RELAY_CONFIG,
        "plugins": "max_unrecognized_commands\nrelay\n",
        "max_unrecognized_commands": "3\n",
    }
    config["smtp.ini"] += "nodes=0\n"
    with Server(tmp_path, config) as server, RawClient(server.port) as client:
        replies = [client.command("WHAT") for _ in range(4)]
    assert all(reply.startswith("500 ") for reply in replies[:3])
    assert replies[3] == "421 4.7.0 Too many unrecognized commands"


def test_check_and_order_know_them(tmp_path: Path) -> None:
    config = {**RELAY_CONFIG, "plugins": "max_unrecognized_commands\nrelay\n"}
    Server(tmp_path, config)
    haraka = [*OURS[:2]]
    check = subprocess.run(
        [*haraka, "check", "-c", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0 and "is not needed in config/plugins" in check.stdout
    order = subprocess.run([*haraka, "-o", "-c", str(tmp_path)], capture_output=True, text=True, check=False)
    assert order.returncode == 0 and "max_unrecognized" not in order.stdout and "relay" in order.stdout
