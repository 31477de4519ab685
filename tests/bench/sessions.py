"""Sessions over STARTTLS: how many a second, and what each costs the server. Every handshake is a full one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.bench.load import LoadFailed, Sample, settled_cpu
from tests.bench.rows import SessionRow
from tests.bench.servers import build
from tests.bench.throughput import Plan, Result, by_turns
from tests.support import proc
from tests.support.needs import find_program
from tests.support.server import ROOT, Server

CLIENTS = 6  # processes, each with one session at a time: more than one processor's work for either server
WARM_UP = 200
KEYS = {
    "rsa2048": ["-newkey", "rsa:2048"],
    "p256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
}


class Clients:
    """The processes that open sessions, started before anything is measured. Use it as a context manager."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.bench.tls_client"]
        self._processes = [
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(CLIENTS)
        ]

    def run(self, server: Server, count: int, kind: str) -> Sample:
        """Hold about `count` sessions with a server. Raises LoadFailed."""
        each = -(-count // CLIENTS)
        proc.forget_peak(server.pid)
        cpu, start = server.cpu_seconds, time.monotonic()
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{server.port} {each} {kind}\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout
            if process.stdout.readline() != "done\n":
                raise LoadFailed("a session ended early")
        seconds = time.monotonic() - start
        cpu = settled_cpu(server) - cpu
        return Sample(each * CLIENTS, seconds, cpu, proc.peak_rss_kib(server.pid) / 1024)

    def __enter__(self) -> Clients:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@dataclass(frozen=True)
class Contender:
    """One server, and the clients that load it."""

    name: str
    server: Server
    clients: Clients

    def run(self, row: SessionRow, count: int) -> Sample:
        return self.clients.run(self.server, count, row.kind)


def tls_files(directory: Path, key: str) -> dict[str, str]:
    """Return tls_key.pem, tls_cert.pem and dhparams.pem with a new key of this kind.

    Haraka begins with half a minute of work in the background to make its own Diffie-Hellman parameters unless it finds some.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pair = ["-keyout", "tls_key.pem", "-out", "tls_cert.pem"]
    for words in (
        ["req", "-x509", "-nodes", "-subj", "/CN=relay.test", *KEYS[key], *pair],
        ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048", "-out", "dhparams.pem"],
    ):
        subprocess.run([str(find_program("openssl")), *words], cwd=directory, check=True, capture_output=True)
    return {name: (directory / name).read_text() for name in ("tls_key.pem", "tls_cert.pem", "dhparams.pem")}


def measure(rows: Sequence[SessionRow], names: Sequence[str], work: Path, plan: Plan) -> Iterator[Result]:
    """Yield each row's result; all servers of a row have the same key."""
    for row in rows:
        directory = work / row.name.replace(" ", "-")
        files = tls_files(directory, row.key)
        with ExitStack() as stack:
            clients = stack.enter_context(Clients())
            contenders = [
                Contender(name, stack.enter_context(build(name, directory / name, None, tls=files)), clients)
                for name in names
            ]
            for contender in contenders:
                contender.run(row, WARM_UP)
            yield by_turns(row, contenders, plan)
