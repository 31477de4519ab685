"""A policy host of MTA-STS: HTTPS on a loopback port, answering as a test tells it."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from types import TracebackType

import trustme

TEXT = "text/plain"


class PolicyHost:
    """Serves until close(). answers: host name to (status, content type, body); requests: what was asked, (host, path)."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.requests: list[tuple[str, str]] = []
        self.delay = 0.0
        self.drip = 0.0  # seconds between two bytes
        self.cut = ""  # end before the body does: "torn", or "closed" as if nothing were missing
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.headers.get("Host", "").partition(":")[0]
                host.requests.append((name, self.path))
                time.sleep(host.delay)
                status, kind, body = host.answers.get(name, (404, TEXT, b"nothing here"))
                self.send_response(status)
                if kind:
                    self.send_header("Content-Type", kind)
                if status // 100 == 3:
                    self.send_header("Location", "https://elsewhere.test/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if host.cut:
                    body = body[: len(body) // 2]
                for octet in body if host.drip else ():
                    time.sleep(host.drip)
                    self.wfile.write(bytes([octet]))
                if not host.drip:
                    self.wfile.write(body)
                if host.cut == "closed":
                    self.connection.unwrap()  # type: ignore[attr-defined]

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def publish(self, domain: str, policy: str, kind: str = TEXT, status: int = 200) -> None:
        """The policy of a domain from now on."""
        self.answers[f"mta-sts.{domain}"] = (status, kind, policy.encode())

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> PolicyHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
