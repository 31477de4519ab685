"""systemd, or whoever speaks its protocols: tell it how we are (sd_notify(3)), take sockets that it has opened (sd_listen_fds(3))."""

from __future__ import annotations

import _socket
import os
import time
from collections.abc import MutableMapping

from mta.net.endpoint import Bound, Endpoint

FIRST_FD = 3  # SD_LISTEN_FDS_START
PATIENCE = 1.0  # seconds; what is said once must arrive, what is said again and again need not
HTTP = "http"  # FileDescriptorName= of a socket for http.ini; every other one is for mail


class Notifier:
    """Sends states to the service manager, if there is one; never fails, and blocks for a second at most.

    Takes its variables out of the environment, so that no child speaks in our name.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(environ)
        self._beaten = 0.0
        self._status = ""

    @property
    def wanted(self) -> bool:
        """True when somebody listens."""
        return self._address[:1] in ("/", "@")

    def ready(self, status: str) -> None:
        """We serve; also the end of reloading()."""
        self._send("READY=1", f"STATUS={status}", patience=PATIENCE)

    def reloading(self) -> None:
        """New workers are on their way."""
        self._send(
            "RELOADING=1",
            f"MONOTONIC_USEC={time.monotonic_ns() // 1000}",
            "STATUS=Replacing the workers",
            patience=PATIENCE,
        )

    def stopping(self) -> None:
        """Nobody is served any more, what is under way finishes."""
        self._send("STOPPING=1", "STATUS=Finishing what is under way", patience=PATIENCE)

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        if status != self._status:
            self._status = status
            self._send(f"STATUS={status}")

    def beat(self) -> None:
        """We are alive: call it at least every `pause` seconds, more often does no harm."""
        now = time.monotonic()
        if self.watchdog and now - self._beaten >= self.watchdog / 4:
            self._beaten = now
            self._send("WATCHDOG=1")

    @property
    def pause(self) -> float | None:
        """The longest time between two beats in seconds; None when nobody waits for them."""
        return self.watchdog / 2 if self.watchdog else None

    def _send(self, *lines: str, patience: float = 0.0) -> None:
        if not self.wanted:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            sock.settimeout(patience)
            sock.sendto("\n".join(lines).encode(errors="backslashreplace"), name)
        except OSError:
            return  # it will find out by itself
        finally:
            sock.close()


def _watchdog(environ: MutableMapping[str, str]) -> float:
    """Seconds in which a sign of life is expected, 0: none is, or not from us."""
    usec, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    meant = not pid or pid == str(os.getpid())
    return int(usec) / 1_000_000 if meant and usec.isascii() and usec.isdecimal() else 0.0


def passed_sockets(environ: MutableMapping[str, str] = os.environ) -> tuple[list[Bound], list[Bound]]:
    """The listening sockets that we were started with, ours to close: those for mail, those for HTTP. Often there are none."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    smtp: list[Bound] = []
    http: list[Bound] = []
    if pid != str(os.getpid()) or not (count.isascii() and count.isdecimal()):
        return smtp, http
    for number in range(int(count)):
        is_http = number < len(names) and names[number] == HTTP
        (http if is_http else smtp).append(_passed(FIRST_FD + number))
    return smtp, http


def _passed(fd: int) -> Bound:
    os.set_inheritable(fd, False)
    sock = _socket.socket(fileno=fd)
    sock.setblocking(False)
    name = sock.getsockname()
    return (Endpoint(name[0], name[1]) if isinstance(name, tuple) else Endpoint(path=str(name))), sock
