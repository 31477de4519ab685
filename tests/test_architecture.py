"""The arrows of the house: who may import whom, and who may name gevent."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

NOUNS = ("mta.connection", "mta.transaction", "mta.notes", "mta.results")
ROOMS = ("mta.plugin", "mta.smtp", "mta.message", "mta.net", "mta.config", "mta.logger")
GROUND = (
    "mta.version",
    "mta.paths",
    "mta.counts",
    "mta.memory",
    "mta.record",
    "mta.privileges",
    "mta.daemon",
    "mta.process_title",
)

# A room may import itself, GROUND, and what stands here. Longest match wins.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "mta.smtp": (),
    "mta.message": (),
    "mta.notes": (),
    "mta.results": (),
    "mta.log_record": ("mta.log_secrets",),
    "mta.log_secrets": (),
    "mta.log_rules": ("mta.log_record",),
    "mta.log_format": ("mta.log_record",),
    "mta.logger": ("mta.log_record", "mta.log_rules", "mta.log_format"),
    "mta.log_backlog": (),
    "mta.log_writer": ("mta.log_backlog",),
    "mta.log_files": ("mta.log_backlog", "mta.log_writer"),
    "mta.logger_setup": ("mta.logger", "mta.log_writer", "mta.config"),
    "mta.config": (),
    "mta.events": ("mta.log_format", "mta.smtp"),
    "mta.event_file": ("mta.events", "mta.log_writer"),
    "mta.event_setup": ("mta.events", "mta.event_file", "mta.config", "mta.logger"),
    "mta.net": ("mta.smtp", "mta.config", "mta.logger"),
    "mta.transaction": ("mta.smtp", "mta.message", "mta.notes", "mta.results"),
    "mta.connection": (
        "mta.smtp",
        "mta.message",
        "mta.notes",
        "mta.results",
        "mta.transaction",
        "mta.logger",
    ),
    "mta.inbound": (*NOUNS, *ROOMS, "mta.events"),
    "mta.outbound": (*NOUNS, *ROOMS, "mta.events", "mta.log_format"),
    "mta.plugin": (
        *NOUNS,
        *("mta.smtp", "mta.message", "mta.net", "mta.config"),
        *("mta.logger", "mta.log_format", "mta.log_writer", "mta.log_files"),
    ),
    "mta.http": ("mta.config", "mta.logger"),
    "mta.check": ("mta.plugin", "mta.outbound", "mta.net", "mta.config", "mta.logger"),
    "mta.control": ("mta.outbound", "mta.plugin", "mta.net", "mta.logger"),
    "mta.processes": ("mta.config", "mta.net", "mta.logger"),
    "mta.estate": (
        *("mta.config", "mta.control", "mta.listening", "mta.logger", "mta.outbound", "mta.processes"),
    ),
    "mta.listening": ("mta.check", "mta.config", "mta.net", "mta.processes"),
    "mta.inherited": ("mta.outbound", "mta.net", "mta.processes"),
    "mta.worker": ("mta",),
    "mta.worker_announcements": ("mta.logger",),
    "mta.worker_control": ("mta",),
    "mta.worker_end": ("mta.logger",),
    "mta.worker_init": ("mta.plugin", "mta.processes"),
    "mta.worker_preload": ("mta.logger",),
    "mta.worker_problems": ("mta.config", "mta.logger", "mta.processes"),
    "mta.worker_http": ("mta",),
    "mta.worker_pulse": ("mta",),
    "mta.worker_settings": ("mta",),
    "mta.worker_signals": ("mta",),
    "mta.master": ("mta",),
    "mta.cli": ("mta",),
    "mta.testing": ("mta",),
    "mta.pytest_plugin": ("mta.testing", "mta.plugin"),
    "mta.__main__": ("mta.cli",),
}

GEVENT = {
    "mta.__main__",
    "mta.worker",
    "mta.worker_end",
    "mta.worker_preload",
    "mta.worker_pulse",
    "mta.worker_signals",
    "mta.estate",
    "mta.master",
    "mta.processes.child",
    "mta.processes.handover",
    "mta.processes.predecessor",
    "mta.processes.signals",
    "mta.processes.workers",
    "mta.daemon",
    "mta.log_backlog",
    "mta.config.watch",
    "mta.http.server",
    "mta.net.wire_waiting",
    "mta.net.wire_reader",
    "mta.net.wire_writer",
    "mta.net.clock",
    "mta.net.per_loop",
    "mta.net.turn",
    "mta.net.client_pool",
    "mta.log_record",  # which greenlet is in which hook
    "mta.plugin.deadline",
    "mta.plugin.forwarder",
    "mta.plugin.offload",
    "mta.plugin.program",
    "mta.plugin.program_pipes",
    "mta.plugin.runner",
    "mta.plugin.turns",
    "mta.plugin.watchdog",
    "mta.inbound.greenlets",
    "mta.inbound.listener",
    "mta.outbound.engine",
    "mta.outbound.crew",
    "mta.outbound.journal",
    "mta.outbound.service",
    "mta.control.server",
    "mta.testing.clock",
    "mta.testing.sessions",
}

MODULES = sorted((ROOT / "mta").rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "mta")
    return found


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def room_of(name: str) -> str:
    rooms = [room for room in MAY_IMPORT if within(name, room)]
    return max(rooms, key=len) if rooms else ""


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_arrows(path: Path) -> None:
    name = module_name(path)
    room = room_of(name)
    if name in ("mta", *GROUND):
        assert not [found for found in imports_of(path) if within(found, "mta")]
        return
    assert room, f"{name} stands in no room of MAY_IMPORT"
    allowed = (room, *GROUND, *MAY_IMPORT[room])
    for found in imports_of(path):
        assert not within(found, "plugins"), f"{name} imports {found}: mta never imports plugins"
        if within(found, "mta") and found != "mta":
            assert any(within(found, room) for room in allowed), f"{name} must not import {found}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_gevent_is_named_where_greenlets_are_made(path: Path) -> None:
    name = module_name(path)
    uses = any(within(found, "gevent") or within(found, "greenlet") for found in imports_of(path))
    assert not uses or name in GEVENT or name.startswith("mta.outbound.spool"), f"{name} names gevent"


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").rglob("*.py")), ids=str)
def test_plugins_import_the_api_only(path: Path) -> None:
    for found in imports_of(path):
        assert not within(found, "gevent"), f"{path}: plugin code is plain blocking Python"
        assert not within(found, "mta") or found == "mta.plugin", f"{path} imports {found}"
