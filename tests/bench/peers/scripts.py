"""The peers that are a small Python program here: aiosmtpd, slimta and the bare gevent responder."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from tests.bench.load import LoadFailed
from tests.bench.names import AIOSMTPD, BARE, SLIMTA
from tests.support.server import Server

HERE = Path(__file__).parent
SCRIPTS = {  # the program, and the package that it needs
    AIOSMTPD: ("aiosmtpd_sink.py", "aiosmtpd"),
    SLIMTA: ("slimta_sink.py", "slimta"),
    BARE: ("bare_gevent.py", "gevent"),
}


def script(name: str, directory: Path, next_hop: int | None) -> Server:
    """Return a peer, not yet started. It throws the mail away without a next hop. Raises LoadFailed when it is not installed."""
    program, package = SCRIPTS[name]
    if find_spec(package) is None:
        raise LoadFailed(f"{package} is not installed: pip install -e '.[bench]'")
    config = {"port": "{port}", "next_hop": str(next_hop or "")}
    return Server(directory, config, command=[sys.executable, str(HERE / program)])
