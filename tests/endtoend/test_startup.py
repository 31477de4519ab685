"""What cannot work is said in one clear line before the first client: exit status 1 and no traceback."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.endtoend.conftest import RelayTo
from tests.support import server
from tests.support.needs import program
from tests.support.server import OURS, Server
from tests.support.sink import RecordingSink

QUIET = {"log.ini": "[main]\nlevel=warn\n"}


def gives_up(relay: Server, *words: str) -> str:
    """Hold a server to ending with status 1 and one line that has all the words in it."""
    status, output = relay.run_to_end()
    lines = [line for line in output.splitlines() if line.strip()]
    assert "Traceback" not in output, output
    assert status == 1, f"exit status {status}:\n{output}"
    assert len(lines) == 1, output
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"
    return lines[0]


def unprivileged() -> list[str]:
    """Return the command prefix that takes from root the right to read and write every file."""
    if os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    return [program("setpriv", "util-linux"), f"--inh-caps={rights}", f"--bounding-set={rights}"]


def broken(tmp_path: Path, config: dict[str, str], plugins: dict[str, str] | None = None) -> Server:
    return server.relay(
        tmp_path / "relay", 9, {**QUIET, **config}, plugins=plugins, command=[*unprivileged(), *OURS]
    )


def test_the_configuration_without_a_mistake_starts(tmp_path: Path) -> None:
    """The control: what the tests below break works as it is."""
    with broken(tmp_path, {}) as relay:
        assert relay.stop() == 0
        assert relay.log.strip() == ""


def test_unknown_plugin(tmp_path: Path) -> None:
    gives_up(broken(tmp_path, {"plugins": "relay\nno_such_plugin\n"}), "no_such_plugin")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def oops(:\n", id="syntax error"),
        pytest.param("import no_such_module\n", id="import error"),
        pytest.param("x = 1\n", id="no Plugin class"),
        pytest.param("from mta.plugin import Plugin\nclass P(Plugin):\n    def hook_recpt(self, c): ...\n", id="misspelt hook"),
        pytest.param("from mta.plugin import Plugin\nclass P(Plugin):\n    def hook_rcpt(self): ...\n", id="wrong arity"),
        pytest.param("from mta.plugin import Plugin\nclass P(Plugin):\n    def register(self): raise OSError('no db')\n", id="register raises"),
    ],
)  # fmt: skip
def test_broken_plugin(tmp_path: Path, source: str) -> None:
    gives_up(broken(tmp_path, {"plugins": "relay\nbroken\n"}, {"broken.py": source}), "broken")


@pytest.mark.parametrize("name", ["smtp.ini", "outbound.ini", "relay.ini", "connection.ini"])
def test_bad_ini_line(tmp_path: Path, name: str) -> None:
    good = server.RELAY_CONFIG.get(name, "[main]\n")
    relay = broken(tmp_path, {name: f"{good}this is no setting\n"})
    gives_up(relay, f"{relay.directory / 'config' / name}:{good.count(chr(10)) + 1}")


@pytest.mark.parametrize("name", ["smtp.ini", "plugins", "outbound.ini", "me", "log.ini"])
def test_unreadable_file(tmp_path: Path, name: str) -> None:
    relay = broken(tmp_path, {})
    (relay.directory / "config" / name).chmod(0)
    gives_up(relay, str(relay.directory / "config" / name))


def test_a_directory_in_place_of_a_file(tmp_path: Path) -> None:
    relay = broken(tmp_path, {})
    path = relay.directory / "config" / "outbound.ini"
    path.unlink()
    path.mkdir()
    gives_up(relay, str(path))


def test_port_in_use(tmp_path: Path) -> None:
    relay = broken(tmp_path, {})
    with socket.create_server(("127.0.0.1", relay.port)):
        gives_up(relay, f"127.0.0.1:{relay.port}")


def no_directory(queue: Path) -> None:
    queue.write_text("a file")


def read_only(queue: Path) -> None:
    queue.mkdir(mode=0o555)


@pytest.mark.parametrize("spoil", [no_directory, read_only])
def test_queue_that_cannot_be_written(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    relay = broken(tmp_path, {})
    spoil(relay.queue)
    gives_up(relay, str(relay.queue))


def test_queue_owned_by_another(tmp_path: Path, relay_to: RelayTo, sink: RecordingSink) -> None:
    owner = relay_to(sink.port, folder="owner")
    relay = broken(tmp_path, {})
    relay.queue.symlink_to(owner.queue)
    gives_up(relay, str(relay.queue), str(owner.pid))
