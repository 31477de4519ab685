"""What can go wrong with the spool."""

from __future__ import annotations

import os


class SpoolError(Exception):
    """The disk, or the queue directory, did not do what was asked; the text is one clear line."""


class CorruptEntry(SpoolError):
    """A queue file whose content cannot be an entry: quarantine it."""


class EntryGone(SpoolError):
    """The queue file is not there any more: somebody else removed it."""


def describe(error: OSError) -> str:
    """An OSError in words, without file names."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
