"""`haraka -i DIR`: make an installation."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from mta import paths
from mta.cli.errors import CommandError

DIRECTORIES = {
    "plugins": 0o755,
    "docs": 0o755,
    "config": 0o755,
    "queue": 0o750,
}  # the queue holds people's mail
COPIED = ("connection.ini", "smtp.ini", "log.ini", "plugins", "outbound.ini", "outbound.bounce_message")

README = """\
A mail server installation, started with

    haraka -c {directory}

config/   settings; a file or key that is not here has its default, `haraka -h CoreConfig` lists them all
plugins/  your own plugins, found before the bundled ones of the same name
docs/     your own pages for `haraka -h NAME -c {directory}`
queue/    mail that waits for its delivery; `haraka --qlist -c {directory}` lists it

config/me is the name of this server, config/host_list the domains it takes mail for, config/plugins the plugins that
run, in order.
"""


def install(directory: Path, *, force: bool) -> int:
    """Make an installation and say what was done. Raises CommandError."""
    make_installation(directory, force=force, tell=print)
    print(f"Start it with: haraka -c {directory}")
    return 0


def make_installation(directory: Path, *, force: bool, tell: Callable[[str], None]) -> None:
    """Make directories and files below `directory`; what is there stays, unless `force`. Raises CommandError."""
    try:
        for name, mode in DIRECTORIES.items():
            _make_directory(directory / name, mode)
        for name, text in _files(directory.resolve()).items():
            tell(write_file(directory / name, text, force=force))
    except OSError as error:
        raise CommandError(f"cannot make {error.filename or directory}: {error.strerror}") from None


def _files(directory: Path) -> dict[str, str]:
    """Content by name below the directory."""
    host = socket.gethostname()
    copied = {f"config/{name}": (paths.ETC / name).read_text(encoding="utf-8") for name in COPIED}
    return {
        **copied,
        "config/me": f"{host}\n",
        "config/host_list": f"; The domains that this server takes mail for, one a line.\n{host}\n",
        "README": README.format(directory=directory),
    }


def _make_directory(path: Path, mode: int) -> None:
    if not path.is_dir():
        path.mkdir(parents=True)
        path.chmod(mode)


def write_file(path: Path, text: str, *, force: bool) -> str:
    """Write a file unless it is there; what was done, in a line.

    Never follows a link that somebody put there: with `force` the name is replaced, not what it leads to.
    """
    if os.path.lexists(path):
        if not force:
            return f"kept    {path} (-f overwrites it)"
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o644)  # whatever the umask says
        file.write(text)
    return f"created {path}"
