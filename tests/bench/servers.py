"""The two servers, configured alike: one process, warnings logged, the same plugins, one fixed next hop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.support import haraka_js
from tests.support.server import Server

OURS, HARAKA = "ours", "Haraka"
LARGEST_MESSAGE = 200 * 1024 * 1024
SPOOL_AFTER = 1024 * 1024

OUTBOUND = "[main]\nconcurrency_max=100\nlocal_mx_ok=true\nenable_tls=false\n"
SMARTHOST = "\n[smarthost]\nhost=127.0.0.1:%d\ntls=off\n"
COMMON = {
    "smtp.ini": "listen=127.0.0.1:{port}\nnodes=0\n",
    "me": "relay.test\n",
    "log.ini": "[main]\nlevel=warn\n",
    "outbound.ini": OUTBOUND,
}
DISCARD = {"plugins": "rcpt_to.in_host_list\nqueue/discard\n", "host_list": "example.com\n"}
SUBMISSION = {  # and a message for example.com is thrown away
    **DISCARD,
    "plugins": f"tls\nauth/flat_file\n{DISCARD['plugins']}",
    "auth_flat_file.ini": "[core]\nmethods=PLAIN\n\n[users]\nanna=secret\n",
}
RELAYING_PLUGIN = """\
from mta.plugin import Plugin

class Relaying(Plugin):
    def hook_connect(self, connection):
        connection.relaying = True
"""


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
        return Server(directory, {**DISCARD, **files}, env={"YES_REALLY_DO_DISCARD": "1"})
    outbound = files["outbound.ini"] + SMARTHOST % next_hop
    return Server(
        directory,
        {**files, "plugins": "relaying\n", "outbound.ini": outbound},
        {"relaying.py": RELAYING_PLUGIN},
    )


def haraka(directory: Path, files: Mapping[str, str], next_hop: int | None) -> Server:
    """Return Haraka 3.1.6 doing the same."""
    if next_hop is None:
        return haraka_js.server(directory, {**DISCARD, **files}, env={"YES_REALLY_DO_DISCARD": "1"})
    return haraka_js.relay(directory, next_hop, files)


BUILDERS: dict[str, Callable[[Path, Mapping[str, str], int | None], Server]] = {HARAKA: haraka, OURS: ours}


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
    """Return a server in a new directory, not yet started.

    large: it takes 200 MB, with spool_after set. paused: nothing leaves the queue. tls: its key and certificate files, and
    it takes submissions of one user. extra: more configuration files.
    """
    files = {**COMMON, **(SUBMISSION if tls else {}), **(tls or {}), **(extra or {})}
    if large:
        files["connection.ini"] = _large_messages(directory)
    if paused:
        files["outbound.ini"] += "disabled=true\n"
    return BUILDERS[name](directory, files, next_hop)
