"""Haraka 3.1.6 from npm, which this server is measured against and shares its queue directory with.

`python -m tests.support.haraka_js` installs it; nothing else of the suite touches the network.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.server import Server

VERSION = "3.1.6"
WORK = Path(__file__).resolve().parents[1] / "bench" / ".work"
HOME = WORK / "haraka"
HARAKA = HOME / "node_modules" / "Haraka"
# libmime 5.3.6: the newest that runs on the versions of node that Haraka 3.1.6 supports.
PACKAGE = {"private": True, "dependencies": {"Haraka": VERSION}, "overrides": {"libmime": "5.3.6"}}

# Plugins that Haraka has in packages of their own.
PLUGINS = {
    "haraka-plugin-relay": "1.0.2",
    "haraka-plugin-headers": "1.2.0",
    "haraka-plugin-limit": "1.3.2",
    "haraka-plugin-aliases": "1.1.0",
}

RELAYING_PLUGIN = "exports.hook_connect = (next, connection) => { connection.relaying = true; next() }\n"
NEXT_HOP_PLUGIN = (
    "exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: %d })\n"
)


def installed() -> bool:
    """Say whether the right version is there."""
    package = HARAKA / "package.json"
    return package.is_file() and json.loads(package.read_text())["version"] == VERSION


def install() -> None:
    """Install Haraka with npm, once. Raises subprocess.CalledProcessError, OSError."""
    if not installed():
        _npm_install(PACKAGE)


def plugins_installed() -> bool:
    return all((HOME / "node_modules" / name).is_dir() for name in PLUGINS)


def install_plugins() -> None:
    """Install Haraka and PLUGINS with npm, once. Raises subprocess.CalledProcessError, OSError."""
    if not (installed() and plugins_installed()):
        _npm_install({**PACKAGE, "dependencies": {"Haraka": VERSION, **PLUGINS}})


def _npm_install(package: Mapping[str, object]) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    (HOME / "package.json").write_text(json.dumps(package, indent=2))
    options = ["--omit=optional", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(["npm", "install", *options], cwd=HOME, check=True)


def _shipped(name: str) -> bytes:
    return (HARAKA / "config" / name).read_bytes()


def server(
    directory: Path,
    config: Mapping[str, str | bytes],
    plugins: Mapping[str, str] | None = None,
    *,
    env: Mapping[str, str] | None = None,
) -> Server:
    """Return a Haraka with this configuration, not yet started. One process, warnings logged, as ours."""
    files: dict[str, str | bytes] = {
        "smtp.ini": "listen=127.0.0.1:{port}\nnodes=0\n",
        "connection.ini": _shipped("connection.ini"),
        "outbound.bounce_message": _shipped("outbound.bounce_message"),
        "log.ini": "[main]\nlevel=warn\ntimestamps=false\n",
        "me": "relay.test\n",
        **config,
    }
    command = ["node", str(HARAKA / "bin" / "haraka"), "-c"]
    return Server(directory, files, plugins, command=command, env=env)


def relay(
    directory: Path, next_hop: int, config: Mapping[str, str | bytes] | None = None, *, retries: str = "5s*3"
) -> Server:
    """Return a Haraka that relays for everybody and hands all mail to one loopback port."""
    outbound = (
        f"[main]\nlocal_mx_ok=true\nenable_tls=false\nconcurrency_max=100\ntemp_fail_intervals={retries}\n"
    )
    files = {"plugins": "relaying\nnext_hop\n", "outbound.ini": outbound, **(config or {})}
    return server(
        directory, files, {"relaying.js": RELAYING_PLUGIN, "next_hop.js": NEXT_HOP_PLUGIN % next_hop}
    )


def main() -> int:
    """Install from the command line; exit status 2 when a program is missing."""
    for program, package in (("node", "nodejs"), ("npm", "npm")):
        if shutil.which(program) is None:
            print(f"{program} is not here: apt-get install {package}", file=sys.stderr)
            return 2
    install_plugins()
    print(f"Haraka {VERSION} is in {HARAKA}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
