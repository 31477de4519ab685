"""What a server tells of itself when it starts: once, however many workers it has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mta import memory
from mta.logger import NOTICE

if TYPE_CHECKING:
    from mta.logger import Logger
    from mta.privileges import Identity

ORIGIN = "server"
NO_CERTIFICATE = "no usable certificate, so no TLS; haraka tls self-signed -c {} makes one to begin with"


class WorkerAnnouncements:
    """Lines of the log. first: this is the worker that says what is the same for all; the others keep silent."""

    def __init__(self, logger: Logger, first: bool) -> None:
        self._logger = logger
        self._first = first

    def descriptors(self, files: int) -> None:
        """Warn when so many open files are few."""
        if self._first and files < memory.ENOUGH_DESCRIPTORS:
            self._logger.warn(
                f"only {files} files may be open (ulimit -n), so only so many clients can be served",
                origin=ORIGIN,
            )

    def user(self, to: Identity) -> None:
        """Name whose rights there are from now on."""
        if self._first:
            self._logger.notice(f"serving as user {to.user}", {"uid": to.uid, "gid": to.gid}, origin=ORIGIN)

    def listening(self, places: Iterable[object], what: str = "") -> None:
        """Name where clients are accepted; what: other than mail."""
        for place in places if self._first else ():
            self._logger.log(
                NOTICE, f"Listening on {place} for {what}" if what else f"Listening on {place}", origin=ORIGIN
            )

    def no_certificate(self, install_dir: Path) -> None:
        """Tell that somebody expects TLS, and how to come by a certificate."""
        if self._first:
            self._logger.error(NO_CERTIFICATE.format(install_dir), origin=ORIGIN)
