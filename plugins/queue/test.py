"""Write each message to a file in the temporary directory, to look at it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from mta.plugin import OK, Answer, Connection, Plugin, Transaction


class QueueTest(Plugin):
    """The file is mail_UUID.eml, for the server's user only, with dots unstuffed."""

    def hook_queue(self, connection: Connection) -> Answer:
        assert connection.transaction is not None  # there is one at hook queue
        path = Path(tempfile.gettempdir()) / f"mail_{connection.transaction.uuid}.eml"
        write_message(connection.transaction, path)
        self.loginfo("saved message", {"file": path}, connection)
        return OK


def write_message(transaction: Transaction, path: Path) -> None:
    """Write a new file with mode 0600, or none at all. Raises OSError, also when the name is taken."""
    # O_EXCL and O_NOFOLLOW: others may write to that directory as well.
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(target, "wb") as file, transaction.message_stream.open() as message:
            shutil.copyfileobj(message, file)
    except OSError:
        path.unlink()
        raise
