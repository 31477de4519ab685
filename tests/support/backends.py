"""What plugins wait for: real servers on loopback ports, each of which answers when the test says so and not before."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import dns.message
import dns.rrset

from tests.support import needs
from tests.support.server import eventually

SECONDS = 30.0  # that a server may take to start, on a machine that is busy


class Backend:
    """One server. `asked()` waits until a plugin waits for it, `release()` lets it answer."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory
        self.port = port

    def asked(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """End it."""


class Program(Backend):
    """A server that is a program of the machine."""

    process: subprocess.Popen[bytes] | None = None

    def run(self, command: Sequence[str | Path]) -> None:
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(
                list(map(str, command)), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        assert eventually(self._accepts, SECONDS), (self.directory / "output").read_text(errors="replace")

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def stop(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Redis(Program):
    """A list that is empty: BLPOP waits."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, port)
        import redis

        binary = needs.program("redis-server", "redis-server")
        self.run([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory])
        self._client = redis.Redis(port=port)

    def asked(self) -> None:
        assert eventually(lambda: any(each["cmd"] == "blpop" for each in self._client.client_list()))

    def release(self) -> None:
        self._client.rpush("answer", "from redis")


class Postgres(Program):
    """A lock that the test holds."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, port)
        import psycopg

        binaries = needs.postgres()
        # Not below the directory of the tests, which is closed to other users.
        self._data = data = Path(tempfile.mkdtemp(prefix="postgres-"))
        as_user: list[str] = []
        if os.geteuid() == 0:  # it does not run as root
            as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
            shutil.chown(data, "postgres", "postgres")
        init = [*as_user, str(binaries / "initdb"), "-D", str(data), "-U", "test", "-A", "trust", "--no-sync"]
        done = subprocess.run(init, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(data), "-F"]
        self.run([*as_user, str(binaries / "postgres"), "-D", str(data), *options])
        address = {"host": "127.0.0.1", "port": port, "user": "test", "dbname": "postgres"}
        assert eventually(lambda: self._connects(psycopg, address), SECONDS)
        self._client = psycopg.connect(**address, autocommit=True)
        self._client.execute("SELECT pg_advisory_lock(1)")

    @staticmethod
    def _connects(psycopg: Any, address: dict[str, Any]) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(**address).close()
            return True
        return False

    def asked(self) -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        assert eventually(lambda: self._client.execute(waiting).fetchone() != (0,))

    def release(self) -> None:
        self._client.execute("SELECT pg_advisory_unlock(1)")

    def stop(self) -> None:
        if hasattr(self, "_client"):
            self._client.close()
        super().stop()
        if hasattr(self, "_data"):
            shutil.rmtree(self._data, ignore_errors=True)


SLAPD = """
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "dc=example,dc=com"
rootdn "cn=admin,dc=example,dc=com"
rootpw secret
directory {directory}
"""


class Ldap(Program):
    """A directory behind a relay that holds back what it says."""

    def __init__(self, directory: Path, port: int) -> None:
        from tests.support.ports import free_port

        super().__init__(directory, free_port())
        binary = needs.program("slapd", "slapd")
        (directory / "slapd.conf").write_text(SLAPD.format(directory=directory))
        self.run([binary, "-f", directory / "slapd.conf", "-h", f"ldap://127.0.0.1:{self.port}", "-d", "0"])
        self._add()
        self._asked, self._released = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._relay, daemon=True).start()

    def _add(self) -> None:
        import ldap3

        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        with ldap3.Connection(server, "cn=admin,dc=example,dc=com", "secret", auto_bind=True) as client:
            client.add("dc=example,dc=com", ["dcObject", "organization"], {"dc": "example", "o": "from ldap"})

    def _relay(self) -> None:
        ours, _ = self._listener.accept()
        theirs = socket.create_connection(("127.0.0.1", self.port))
        threading.Thread(target=self._pass_on, args=(ours, theirs, self._asked.set), daemon=True).start()
        self._pass_on(theirs, ours, self._released.wait)

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, first: Any) -> None:
        while data := source.recv(65536):
            first()
            target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def asked(self) -> None:
        assert self._asked.wait(SECONDS)

    def release(self) -> None:
        self._released.set()

    def stop(self) -> None:
        if hasattr(self, "_listener"):
            self._released.set()
            self._listener.close()
        super().stop()


class Http(Backend):
    """A page that takes its time."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, port)
        self._asked, self._released = threading.Event(), threading.Event()
        backend = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                backend._asked.set()
                backend._released.wait(SECONDS)
                self.send_response(200)
                self.send_header("Content-Length", "9")
                self.end_headers()
                self.wfile.write(b"from http")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", port), Page)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def asked(self) -> None:
        assert self._asked.wait(SECONDS)

    def release(self) -> None:
        self._released.set()

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


class Dns(Backend):
    """A name server that takes its time."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, port)
        self._asked, self._released = threading.Event(), threading.Event()
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, peer = self._sock.recvfrom(4096)
                query = dns.message.from_wire(data)
                self._asked.set()
                self._released.wait(SECONDS)
                answer = dns.message.make_response(query)
                answer.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", '"from dns"')]
                self._sock.sendto(answer.to_wire(), peer)

    def asked(self) -> None:
        assert self._asked.wait(SECONDS)

    def release(self) -> None:
        self._released.set()

    def stop(self) -> None:
        self._released.set()
        self._sock.close()


class Fifo(Backend):
    """A named pipe, `directory / "fifo"`: who reads it waits until somebody writes."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(directory, port)
        self.path = directory / "fifo"
        os.mkfifo(self.path)
        self._writer: io.FileIO | None = None

    def asked(self) -> None:
        assert eventually(self._open, SECONDS)

    def _open(self) -> bool:
        with contextlib.suppress(OSError):  # ENXIO: nobody reads it yet
            self._writer = io.FileIO(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK), "w")
        return self._writer is not None

    def release(self) -> None:
        assert self._writer is not None
        self._writer.write(b"from a fifo")
        self.stop()

    def stop(self) -> None:
        if self._writer is not None:
            self._writer.close()


class File(Backend):
    """A file that is not there yet, `directory / "file"`; who looks for it says so in `looking`."""

    def asked(self) -> None:
        assert eventually((self.directory / "looking").exists, SECONDS)

    def release(self) -> None:
        (self.directory / "file").touch()


class Backends:
    """Starts what is asked for, ends all of them. `ports` and `directories` are known beforehand, by name."""

    def __init__(self, root: Path, kinds: dict[str, type[Backend]], ports: dict[str, int]) -> None:
        self._kinds, self._ports = kinds, ports
        self.directories = {name: root / name for name in kinds}
        for directory in self.directories.values():
            directory.mkdir()
        self._started: list[Backend] = []

    def start(self, name: str) -> Backend:
        backend = self._kinds[name].__new__(self._kinds[name])
        self._started.append(backend)  # one that fails half way is ended as well
        backend.__init__(self.directories[name], self._ports[name])  # type: ignore[misc]
        return backend

    def __enter__(self) -> Backends:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for backend in self._started:
            backend.stop()
