"""Files with passwords and private keys that too many people may read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from mta.config import Config, Problem
from mta.config.ini import Entry
from mta.config.schema import SETTINGS
from mta.config.spec import Spec

TOO_WIDE = 0o027
"""Beyond 0640: the group may read, for a server that does not own its files, and that is all."""

MAX_KEY_FILE = 65536  # bytes; whatever is larger is a list, not a key
PRIVATE_KEY = b"PRIVATE KEY-----"
PASSWORD_FILES = ("_pass_file", "_secret_file", "_token_file")
ALWAYS_SECRET = ("internalcmd_key",)


def exposed_secrets(config: Config) -> Iterator[Problem]:
    """One problem for each secret that others can read; fatal for a file that is nothing but a password."""
    written = [pair for cls in SETTINGS for pair in config.written(cls)]
    passwords = _password_files(config, written)
    for path in sorted(passwords):
        yield from _exposed(path, "holds a password", fatal=True)
    for path in sorted(_secret_files(config, written) - passwords):
        yield from _exposed(path, "holds secrets", fatal=False)


def _exposed(path: Path, what: str, *, fatal: bool) -> Iterator[Problem]:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # whoever needs it says that it is not there
    if mode & TOO_WIDE:
        text = f"{what} and is open to other users (mode {mode:04o}): chmod 600 or 640"
        yield Problem(str(path), text, fatal=fatal)


def _password_files(config: Config, written: Iterable[tuple[Spec, Entry]]) -> set[Path]:
    """What keys such as auth_pass_file name."""
    return {
        config.directory / entry.text
        for spec, entry in written
        if spec.key.endswith(PASSWORD_FILES) and isinstance(entry.text, str) and entry.text
    }


def _secret_files(config: Config, written: Iterable[tuple[Spec, Entry]]) -> set[Path]:
    """Files of settings in which a password is written, private keys, and files that never hold anything else."""
    found = {config.directory / name for name in ALWAYS_SECRET}
    found |= {Path(entry.file) for spec, entry in written if spec.kind.secret and entry.text}
    return found | set(_key_files(config.directory))


def _key_files(directory: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            if _holds_key(path):
                yield path


def _holds_key(path: Path) -> bool:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_KEY_FILE:
            return False
        return PRIVATE_KEY in path.read_bytes()
    except OSError:
        return False
