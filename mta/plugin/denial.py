"""What hook deny is told about a rejection that another plugin asks for."""

from __future__ import annotations

from typing import Any

from mta.plugin.verdict import Code
from mta.record import record


@record
class Denial:
    """One rejection: what was answered, by whom, and in which hook with which arguments."""

    code: Code
    """What the plugin answered: one of the DENY codes."""
    message: Any
    """The message with it; None when there was none."""
    plugin: str
    """Its name."""
    function: str
    """The name of its method."""
    hook: str
    """The hook at which it rejects."""
    params: tuple[Any, ...]
    """The arguments that followed the connection, for example `(rcpt, params)` in hook rcpt."""
