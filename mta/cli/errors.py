"""What ends a command early: always one clear line, never a traceback."""

from __future__ import annotations


class UsageError(Exception):
    """The command line makes no sense; the process exits with 2."""


class CommandError(Exception):
    """The command could not do its work; the process exits with 1."""
