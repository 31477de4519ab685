"""A queue entry as files that other programs read: the message as it is mailed, the envelope as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

from mta.cli.queue_items import Item
from mta.message.dots import unstuff
from mta.outbound.status import read_message


def export(queue: Path, item: Item, directory: Path) -> Path:
    """Write ID.eml and ID.json (mode 0600) into the directory, which must exist; returns the path of the message.

    Raises OSError, also when they are there already, and SpoolError.
    """
    path = directory / f"{item.id}.eml"
    with _new(path) as file:
        for chunk in unstuff(read_message(queue, item.entry.name)):
            file.write(chunk)
    todo = item.entry.todo
    envelope = {
        **item.to_json(),
        "mail_params": dict(todo.mail_params),
        "rcpt_params": {rcpt.address: dict(todo.rcpt_params(rcpt)) for rcpt in todo.rcpt_to},
    }
    with _new(path.with_suffix(".json")) as file:
        file.write(json.dumps(envelope, indent=1, default=str).encode() + b"\n")
    return path


def _new(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
