"""The HTTP server over real sockets: pages, limits, its log, and what a plugin adds."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mta.http import server as http_server
from mta.http.requests import MAX_BODY, MAX_HEADER
from mta.http.server import HttpServer
from mta.http.tls import server_context
from mta.logger import INFO, Logger
from mta.net.endpoint import Endpoint
from mta.processes.errors import StartError
from mta.worker import Worker
from tests.support.install import Install
from tests.support.server import eventually
from tests.support.tls import Authority, trusting


def pages(environ: dict[str, Any], start: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise ValueError("deliberately")
    if path == "/fails-late":

        def late() -> Iterator[bytes]:
            start("200 OK", [])
            yield b"x"
            raise ValueError("late")

        return late()
    body = environ["wsgi.input"].read()
    if path == "/says":
        environ["wsgi.errors"].write("something\n")
    start("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode(), b" ", path.encode("latin-1"), b" ", str(len(body)).encode()]


class Site:
    """A running server; `lines` is its log."""

    def __init__(self, text: str = "127.0.0.1:0", context: ssl.SSLContext | None = None) -> None:
        self.lines: list[str] = []
        sock = Endpoint.parse(text).bind()
        self.address = sock.getsockname()
        self.server = HttpServer([(sock, context)], pages, Logger(INFO, write=self.lines.append), "mx.test")

    def __enter__(self) -> Site:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def client(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.address[1], timeout=10)

    def raw(self, data: bytes) -> bytes:
        """Everything that is answered to these bytes."""
        with socket.create_connection(self.address[:2], timeout=10) as sock:
            try:
                sock.sendall(data)
                return b"".join(iter(lambda: sock.recv(65536), b""))
            except ConnectionError:
                return b""

    def logged(self, *parts: str) -> list[str]:
        return [line for line in self.lines if all(part in line for part in parts)]


def ask(client: http.client.HTTPConnection, method: str, path: str, **more: Any) -> tuple[int, bytes]:
    client.request(method, path, **more)
    response = client.getresponse()
    return response.status, response.read()


def test_requests_over_one_connection_are_answered_and_logged() -> None:
    with Site() as site:
        client = site.client()
        assert ask(client, "GET", "/a?token=secret") == (200, b"GET /a 0")
        assert ask(client, "POST", "/b", body=b"x" * 1000) == (200, b"POST /b 1000")
        assert ask(client, "PUT", "/c", body=iter([b"ab", b"cd"]), encode_chunked=True) == (200, b"PUT /c 4")
        client.close()
        assert eventually(lambda: len(site.lines) == 3)
        assert site.lines[0].startswith(
            "[INFO] [-] [http] request ip=127.0.0.1 method=GET path=/a status=200 bytes="
        )
    assert "secret" not in "".join(site.lines)


def test_a_page_that_fails_is_500_and_one_line() -> None:
    with Site() as site:
        client = site.client()
        assert ask(client, "GET", "/fails?token=secret") == (500, b"Internal Server Error\n")
        assert ask(client, "GET", "/a")[0] == 200
        assert b"Internal" not in site.raw(b"GET /fails-late HTTP/1.1\r\n\r\n")
        client.close()
        assert eventually(lambda: len(site.logged("[INFO]")) == 3)
        failed = site.logged("[CRIT]")
        assert len(failed) == 2 and "The page /fails failed: ValueError: deliberately" in failed[0]
        assert "traceback=" in failed[0] and len(site.lines) == 5
    assert "secret" not in "".join(site.lines)


def test_what_a_page_writes_to_wsgi_errors_is_logged() -> None:
    with Site() as site:
        client = site.client()
        assert ask(client, "GET", "/says")[0] == 200
        client.close()
        assert site.logged("[ERROR] [-] [http] something")


GET = b"GET / HTTP/1.1\r\n"
POST = b"POST / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"GET /" + b"x" * 10000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (GET + b"X: " + b"x" * MAX_HEADER + b"\r\n\r\n", b"431"),
        (GET + b"X: y\r\n" * 4000 + b"\r\n", b"431"),
        (GET + b"X: y\r\n" * 500 + b"\r\n", b"400"),
        (POST + f"Content-Length: {MAX_BODY + 1}\r\n\r\n".encode(), b"413"),
        (
            POST
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + b"%x\r\n" % (MAX_BODY + 1)
            + b"x" * (MAX_BODY + 1)
            + b"\r\n",
            b"413",
        ),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", b"400"),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", b"400"),
        (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (POST + b"Content-Length: -1\r\n\r\n", b"400"),
        (POST + b"Content-Length: x\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"400"),
        (b"GET / HTTP/\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\r\n", b"400"),
        (b"EHLO client.test\r\n", b"400"),
        (GET + b"no colon\r\n\r\n", b""),
        (GET + b": nothing\r\n\r\n", b""),
    ],
    ids=lambda value: repr(value[:40]),
)
def test_what_a_client_may_not_send(sent: bytes, code: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with Site() as site:
        answer = site.raw(sent + b"GET /next HTTP/1.1\r\nConnection: close\r\n\r\n")
        if code:
            assert answer.split(b" ")[1:2] in ([code], []), answer  # [] when the kernel says it with a reset
            assert b"/next" not in answer, "where the next request begins is not known"
        client = site.client()
        assert ask(client, "GET", "/a")[0] == 200
        client.close()
        assert not site.logged("[CRIT]")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sent", [b"", GET, POST + b"Content-Length: 5\r\n\r\nab"])
def test_a_client_that_is_slow_is_cut(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_server, "REQUEST_SECONDS", 0.05)
    with Site() as site, socket.create_connection(site.address, timeout=10) as sock:
        sock.sendall(sent)
        said = b"".join(iter(lambda: sock.recv(65536), b""))
        assert said[:12] in (b"", b"HTTP/1.1 408", b"HTTP/1.1 400")


def test_so_many_are_served_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 2)
    with Site() as site:
        idle = [socket.create_connection(site.address, timeout=10) for _ in range(2)]
        third = site.client()
        third.request("GET", "/a")
        assert not eventually(lambda: site.lines, timeout=0.1)
        idle[0].close()
        assert third.getresponse().status == 200
        third.close()
        idle[1].close()


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with Site(f"{path}:600") as site, socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: sock.recv(65536), b"")).endswith(b"GET /a 0")
        assert path.stat().st_mode & 0o777 == 0o600
        assert eventually(lambda: site.logged("ip= method=GET") or site.logged('ip=""'))


def test_tls(tmp_path: Path) -> None:
    authority = Authority()
    install = Install(tmp_path)
    with pytest.raises(
        ValueError, match=r"tls_cert.pem and tls_key.pem of tls.ini cannot be used: No such file"
    ):
        server_context(install.config)
    key, chain = authority.pair("mail.test")
    install.write("tls_key.pem", key)
    install.write("tls_cert.pem", chain)
    with Site(context=server_context(install.config)) as site:
        sock = socket.create_connection(site.address, timeout=10)
        with trusting(authority).wrap_socket(sock, server_hostname="mail.test") as secured:
            secured.sendall(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert b"".join(iter(lambda: secured.recv(65536), b"")).endswith(b"GET /a 0")
        assert site.raw(GET + b"\r\n")[:4] != b"HTTP"


# ---- the whole server

PAGES = """
import json

from mta.plugin import Plugin


class Pages(Plugin):
    def hook_init_http(self, server):
        server.http.route("/status", self.status)

    def status(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"path": environ["PATH_INFO"]}).encode()]
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    for name, text in {
        "config/smtp.ini": "listen=127.0.0.1:0\n",
        "config/http.ini": "listen=127.0.0.1:0, [::1]:0\n",
        "config/plugins": "pages\n",
        "config/outbound.ini": "disabled=true\n",
        "config/me": "mx.example.test\n",
        "plugins/pages.py": PAGES,
        "http/html/index.html": "<p>hello",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def worker(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    fd = os.open(tmp_path_factory.mktemp("log") / "log", os.O_WRONLY | os.O_CREAT, 0o600)
    made = Worker(house, fd)
    yield made
    made.stop()
    os.close(fd)


def test_files_and_pages_of_a_plugin(worker: Worker) -> None:
    worker.start()
    for host, port, *_ in worker.http_addresses:
        client = http.client.HTTPConnection(host, port, timeout=10)
        assert ask(client, "GET", "/") == (200, b"<p>hello")
        status, body = ask(client, "GET", "/status/queue")
        assert (status, json.loads(body)) == (200, {"path": "/queue"})
        assert ask(client, "GET", "/none", headers={"Accept": "application/json"}) == (
            404,
            b'{"err": "Not found"}',
        )
        client.close()
    worker.stop()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(*worker.http_addresses[0], timeout=10).connect()


@pytest.mark.parametrize(
    ("listen", "complaint"),
    [
        ("127.0.0.1:{taken}", "another process listens there already"),
        ("127.0.0.1:99999", "http.ini:1: [main] listen: port out of range"),
        ("!!", "http.ini:1"),
    ],
)
def test_a_port_that_cannot_be_had(worker: Worker, house: Path, listen: str, complaint: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        text = f"listen={listen.format(taken=other.getsockname()[1])}\n"
        (house / "config" / "http.ini").write_text(text)
        with pytest.raises(StartError) as caught:
            worker.start()
    assert complaint in str(caught.value) and "\n" not in str(caught.value)
