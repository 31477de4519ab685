"""What plugins answer: a code, perhaps with a message, and who said it."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, TypeAlias


class Code(IntEnum):
    """The answers a hook knows, each also a name of `mta.plugin`; the numbers are Haraka's."""

    CONT = 900
    """Nothing to say: ask the next plugin. None means the same."""
    STOP = 901
    """Ask no further, nothing else."""
    DENY = 902
    """Refused for good (5xx)."""
    DENYSOFT = 903
    """Refused for now (4xx)."""
    DENYDISCONNECT = 904
    """Refused for good, and hang up."""
    DISCONNECT = 905
    """Hang up."""
    OK = 906
    """Accepted: ask no further."""
    NEXT_HOOK = 907
    """At unrecognized_command, with the name of a hook: greet the client anew from that hook on."""
    DELAY = 908
    """At send_email, with seconds: try again then."""
    DENYSOFTDISCONNECT = 909
    """Refused for now, and hang up."""


CONT: Final = Code.CONT
STOP: Final = Code.STOP
DENY: Final = Code.DENY
DENYSOFT: Final = Code.DENYSOFT
DENYDISCONNECT: Final = Code.DENYDISCONNECT
DISCONNECT: Final = Code.DISCONNECT
OK: Final = Code.OK
NEXT_HOOK: Final = Code.NEXT_HOOK
DELAY: Final = Code.DELAY
DENYSOFTDISCONNECT: Final = Code.DENYSOFTDISCONNECT

REJECTIONS: Final = frozenset({DENY, DENYSOFT, DENYDISCONNECT, DENYSOFTDISCONNECT})

Answer: TypeAlias = Code | tuple[Code, object] | None
"""What a hook method returns: None (ask the next plugin), a code, or a code and a message.

The message is a str, a list of lines or a DSN; get_mx answers with next hops, deferred and send_email with seconds.
"""


class Verdict:
    """The outcome of a whole chain. `plugin` is the name of who decided, "" when nobody did."""

    __slots__ = ("code", "message", "plugin")

    def __init__(self, code: Code, message: Any = None, plugin: str = "") -> None:
        self.code = code
        self.message = message
        self.plugin = plugin

    def __repr__(self) -> str:
        return f"Verdict({self.code.name}, {self.message!r}, {self.plugin!r})"


CONTINUE: Final = Verdict(CONT)
"""Nobody had anything to say: shared by every empty chain, so never change it."""


def as_verdict(answer: object, plugin: str = "") -> Verdict:
    """Turn what a hook method returned into a Verdict. Raises TypeError for anything that is not an Answer."""
    if answer is None or answer is CONT:
        return CONTINUE
    if answer.__class__ is Code:
        return Verdict(answer, None, plugin)
    if isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[0], Code):
        return Verdict(answer[0], answer[1], plugin)
    raise TypeError(f"a hook must return None, a code or (code, message), not {answer!r}")
