"""What the HTTP server writes into the log."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mta.logger import Logger

ORIGIN = "http"
LONGEST = 200  # characters of a path, or of what a page writes to wsgi.errors


class HttpLog:
    """Also what pages know as `wsgi.errors`: each line that is written there is one at ERROR."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    def request(self, ip: str, method: str, path: str, status: str, size: int, seconds: float) -> None:
        """One line at INFO. What follows a question mark stays out: it may be a password or a token."""
        fields = {
            "ip": ip,
            "method": method,
            "path": path.partition("?")[0][:LONGEST],
            "status": status,
            "bytes": size,
            "time": f"{seconds:.3f}",
        }
        self._logger.info("request", fields, origin=ORIGIN)

    def failed(self, path: str, error: BaseException, trace: TracebackType | None) -> None:
        """A page raised instead of answering: one line at CRIT."""
        text = "".join(traceback.format_exception(type(error), error, trace))
        where = path.partition("?")[0][:LONGEST]
        message = f"The page {where} failed: {type(error).__name__}: {error}"
        self._logger.crit(message, {"traceback": text}, origin=ORIGIN)

    def write(self, text: str) -> None:
        """A line, or some."""
        for line in text.splitlines():
            if line.strip():
                self._logger.error(line[:LONGEST], origin=ORIGIN)

    def writelines(self, lines: Iterable[str]) -> None:
        """Several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is held back here."""
