"""What each plugin was asked, what it answered, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from mta.plugin.verdict import Verdict, as_verdict
from mta.record import record

if TYPE_CHECKING:
    from mta.plugin.runner import HookRunner

_clock = time.perf_counter


@record
class Asked:
    """One call of one plugin's method.

    function: the name of the method. verdict: what it answered, None if it raised `error`. seconds: by the real clock.
    """

    hook: str
    plugin: str
    function: str
    verdict: Verdict | None
    error: BaseException | None
    seconds: float

    @property
    def answer(self) -> str:
        """The code's name, with the message if there is one, or what was raised."""
        if self.verdict is None:
            return (
                f"{type(self.error).__name__}: {self.error}" if str(self.error) else type(self.error).__name__
            )
        message = self.verdict.message
        return self.verdict.code.name if message is None else f"{self.verdict.code.name} {message}"


def trace(
    hooks: HookRunner,
    tell: Callable[[Asked], object],
    around: Callable[[], AbstractContextManager[None]],
    silent: Iterable[str] = (),
) -> None:
    """Have every call of a plugin's method told, and made within `around()`; those of the plugins in `silent` are not told."""
    quiet = frozenset(silent)
    for hook, chain in hooks.chains.items():
        for call in chain:
            if call.name not in quiet:
                call.method = _traced(call.method, hook, call.name, call.function, tell, around)


def _traced(
    method: Callable[..., Any],
    hook: str,
    plugin: str,
    function: str,
    tell: Callable[[Asked], object],
    around: Callable[[], AbstractContextManager[None]],
) -> Callable[..., Any]:
    def traced(*args: Any) -> Any:
        began = _clock()
        answer: Any = None
        error: BaseException | None = None
        try:
            with around():
                answer = method(*args)
            return answer
        except BaseException as raised:
            error = raised
            raise
        finally:
            verdict, error = _verdict(answer, plugin, error)
            tell(Asked(hook, plugin, function, verdict, error, _clock() - began))

    return traced


def _verdict(
    answer: object, plugin: str, error: BaseException | None
) -> tuple[Verdict | None, BaseException | None]:
    if error is not None:
        return None, error
    try:
        return as_verdict(answer, plugin), None
    except TypeError as wrong:
        return None, wrong
