"""The servers that are measured, configured alike: warnings logged, the same plugins, one fixed next hop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeAlias

from tests.bench import kinds
from tests.bench.kinds import COMMON, DISCARD, SUBMISSION
from tests.bench.load import Loaded
from tests.bench.names import HARAKA, HARAKA_NODES, OURS, OURS_NODES, POSTFIX
from tests.bench.peers.postfix import postfix
from tests.bench.peers.scripts import script
from tests.support import haraka_js
from tests.support.server import Server

LARGEST_MESSAGE = 200 * 1024 * 1024
SPOOL_AFTER = 1024 * 1024

SMARTHOST = "\n[smarthost]\nhost=127.0.0.1:%d\ntls=off\n"
RELAYING_PLUGIN = """\
from mta.plugin import Plugin

class Relaying(Plugin):
    def hook_connect(self, connection):
        connection.relaying = True
"""
DISCARDING = {"YES_REALLY_DO_DISCARD": "1"}

Builder: TypeAlias = Callable[[Path, Mapping[str, str], "int | None"], Server]


def _large_messages(directory: Path) -> str:
    """Return a connection.ini that takes 200 MB and moves a body of over 1 MB to a file beside the queue."""
    (directory / "spool").mkdir(parents=True)
    return (
        f"[main]\nspool_dir={directory / 'spool'}\nspool_after={SPOOL_AFTER}\n\n"
        "[haproxy]\nhosts[] =\n\n[headers]\nmax_lines=1000\nmax_received=100\n\n"
        f"[max]\nbytes={LARGEST_MESSAGE}\nline_length=512\ndata_line_length=992\n\n"
        "[message]\nhelo=Haraka is at your service.\nclose=closing connection. Have a jolly good day.\n\n"
        "[uuid]\nbanner_chars=6\ndeny_chars=0\n"
    )


def ours(directory: Path, files: Mapping[str, str], next_hop: int | None) -> Server:
    """Return this server; `next_hop` is the port that it relays to, None to discard."""
    if next_hop is None:
        return Server(directory, {**DISCARD, **files}, env=DISCARDING)
    outbound = files["outbound.ini"] + SMARTHOST % next_hop
    return Server(
        directory,
        {**files, "plugins": "relaying\n", "outbound.ini": outbound},
        {"relaying.py": RELAYING_PLUGIN},
    )


def haraka(directory: Path, files: Mapping[str, str], next_hop: int | None) -> Server:
    """Return Haraka 3.1.6 doing the same."""
    if next_hop is None:
        return haraka_js.server(directory, {**DISCARD, **files}, env=DISCARDING)
    return haraka_js.relay(directory, next_hop, files)


BUILDERS: dict[str, Builder] = {HARAKA: haraka, OURS: ours, HARAKA_NODES: haraka, OURS_NODES: ours}


def build(
    name: str,
    directory: Path,
    next_hop: int | None,
    *,
    large: bool = False,
    paused: bool = False,
    tls: Mapping[str, str] | None = None,
    extra: Mapping[str, str] | None = None,
) -> Server:
    """Return Haraka or this server in a new directory, not yet started.

    large: it takes 200 MB, with spool_after set. paused: nothing leaves the queue. tls: its key and certificate files, and
    it takes submissions of one user. extra: more configuration files.
    """
    files = {**COMMON, **(SUBMISSION if tls else {}), **(tls or {}), **(extra or {})}
    if name in (HARAKA_NODES, OURS_NODES):
        files["smtp.ini"] = files["smtp.ini"].replace("nodes=0", "nodes=2")
    if large:
        files["connection.ini"] = _large_messages(directory)
    if paused:
        files["outbound.ini"] += "disabled=true\n"
    return BUILDERS[name](directory, files, next_hop)


class Startable(Protocol):
    """A server that `with` starts and stops."""

    def __enter__(self) -> Loaded: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def contender(name: str, kind: str, directory: Path, next_hop: int | None) -> Startable:
    """Return anybody, set up for a kind of row and not yet started; `next_hop` is the sink's port where the kind has one.

    Raises LoadFailed when a peer can not be had here.
    """
    if name in BUILDERS:
        queued = next_hop if kinds.queues(kind) else None
        server = build(name, directory, queued, extra=kinds.files(kind, next_hop))
        for file, code in kinds.plugins(kind).items():
            (directory / "plugins" / file).write_text(code)
        return server
    return postfix(directory, next_hop) if name == POSTFIX else script(name, directory, next_hop)
