"""A throw-away install directory and the server process that works in it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.support import proc
from tests.support.ports import free_port
from tests.support.queue_names import queue_names

ROOT = Path(__file__).resolve().parents[2]
OURS = (sys.executable, str(ROOT / "bin" / "haraka"), "-c")
START_SECONDS = 20.0
STOP_SECONDS = 15.0
TEMPORARY = "__tmp__."


class StartupFailed(Exception):
    """The server ended, or never greeted. `output` is what it printed, `status` its exit status if it ended."""

    def __init__(self, output: str, status: int | None) -> None:
        super().__init__(f"exit status {status}, output:\n{output}")
        self.output = output
        self.status = status


def eventually(happened: Callable[[], object], timeout: float = 10.0, interval: float = 0.02) -> bool:
    """Wait until `happened()` is true; False when `timeout` seconds went by first."""
    deadline = time.monotonic() + timeout
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def greets(port: int) -> bool:
    """Say whether a server on this machine has a banner and an answer to QUIT."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            banner = sock.recv(512)
            sock.sendall(b"QUIT\r\n")
            return banner.startswith(b"220") and bool(sock.recv(512))
    except OSError:
        return False


class Server:
    """One server in one install directory: written at once, started and stopped as often as a test wants.

    `config` and `plugins` map file names below config/ and plugins/ to contents; `{port}` in the text of a
    configuration file becomes the port. `command` is what starts the server, the directory is appended to it.
    """

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, str | bytes],
        plugins: Mapping[str, str] | None = None,
        *,
        command: Sequence[str] = OURS,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.directory = directory
        self.command = [*command, str(directory)]
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})}
        self.port = port or free_port()
        self.queue = directory / "queue"
        self.log_file = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._write("config", config)
        self._write("plugins", plugins or {})

    def _write(self, folder: str, files: Mapping[str, str | bytes]) -> None:
        (self.directory / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = self.directory / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                content = content.replace("{port}", str(self.port)).encode()
            path.write_bytes(content)

    def start(self) -> Server:
        """Start the process and wait for its banner. Raises StartupFailed."""
        self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while not self._greets():
            if self.returncode is not None or time.monotonic() > deadline:
                status = self.returncode
                self.kill()
                raise StartupFailed(self.log, status)
            time.sleep(0.02)
        return self

    def spawn(self) -> None:
        """Start the process without waiting for anything."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run_to_end(self, timeout: float = 8.0) -> tuple[int | None, str]:
        """Start a server that is expected to give up: its exit status (None: it still ran) and what it printed."""
        self.spawn()
        eventually(lambda: self.returncode is not None, timeout)
        status = self.returncode
        self.kill()
        return status, self.log

    def _greets(self) -> bool:
        return greets(self.port)

    @property
    def returncode(self) -> int | None:
        return None if self.process is None else self.process.poll()

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server was not started"
        return self.process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def rss_kib(self) -> int:
        return proc.rss_kib(self.pid)

    @property
    def cpu_seconds(self) -> float:
        return proc.cpu_seconds(self.pid)

    def entries(self) -> list[str]:
        """Return the names in the queue directory, temporary and set-aside files included, dot files not.

        Entries that are in the journal stand for its segments.
        """
        return queue_names(self.queue) if self.queue.is_dir() else []

    def waiting(self) -> list[str]:
        """Return the names of the entries that are to be delivered."""
        return [name for name in self.entries() if not name.startswith((TEMPORARY, "error."))]

    def wait_until_idle(self, timeout: float = 20.0) -> bool:
        """Wait until no entry is left to deliver; False when `timeout` seconds went by first."""
        return eventually(lambda: not self.waiting(), timeout)

    def deferred(self) -> bool:
        """Say whether entries wait, and each has been tried (name: arrival_nextattempt_attempts_...)."""
        waiting = self.waiting()
        return bool(waiting) and all(name.split("_")[2] != "0" for name in waiting)

    def flush(self) -> None:
        """Have everything that waits for its time delivered now, as Haraka's SIGHUP does."""
        self.signal(signal.SIGHUP)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self, timeout: float = STOP_SECONDS) -> int | None:
        """Send SIGTERM, after `timeout` seconds SIGKILL; the exit status (negative: ended by that signal)."""
        if self.returncode is None and self.process is not None:
            self.signal(signal.SIGTERM)
            eventually(lambda: self.returncode is not None, timeout)
        return self.kill()

    def kill(self) -> int | None:
        """Kill the process and its children at once, as a crash does."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


RELAY_CONFIG = {
    "smtp.ini": "listen=127.0.0.1:{port}\n",
    "me": "relay.test\n",
    "plugins": "relay\n",
    "relay.ini": "[relay]\nacl=true\n",
    "relay_acl_allow": "127.0.0.0/8\n",
    "log.ini": "[main]\nlevel=info\n",
}


def outbound_ini(next_hop: int, retries: str = "5s*3", intake: str = "journal") -> str:
    """Return an outbound.ini that hands all mail to a loopback port and retries soon."""
    return (
        f"[main]\ntemp_fail_intervals={retries}\n\n[smarthost]\nhost=127.0.0.1:{next_hop}\ntls=off\n"
        f"\n[spool]\nintake={intake}\n"
    )


def relay(
    directory: Path,
    next_hop: int,
    config: Mapping[str, str | bytes] | None = None,
    *,
    retries: str = "5s*3",
    intake: str = "journal",
    command: Sequence[str] = OURS,
    plugins: Mapping[str, str] | None = None,
) -> Server:
    """Return this server as a relay for loopback clients that hands all mail to one port; not yet started."""
    files = {**RELAY_CONFIG, "outbound.ini": outbound_ini(next_hop, retries, intake), **(config or {})}
    return Server(directory, files, plugins, command=command)
