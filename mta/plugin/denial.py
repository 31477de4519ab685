"""What hook deny is told about a rejection that another plugin asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mta.plugin.verdict import Code


@dataclass(frozen=True, slots=True)
class Denial:
    """One rejection: what was answered, by whom, and in which hook with which arguments.

    `params` are the arguments that followed the connection, for example `(rcpt, params)` in hook rcpt.
    """

    code: Code
    message: Any
    plugin: str
    function: str
    hook: str
    params: tuple[Any, ...]
