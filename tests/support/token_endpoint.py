"""The token endpoint of an OAuth 2.0 provider on loopback, which answers as a test tells it to (RFC 6749)."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl


class TokenEndpoint:
    """Gives token-1, token-2 and so on, unless `answers` holds (status, body) to give first. Use as a context manager.

    forms: what was asked; expires_in, rotate: go into each answer; slow: seconds before it.
    """

    def __init__(self, *, expires_in: object = 3600, rotate: bool = False, slow: float = 0.0) -> None:
        self.forms: list[dict[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.expires_in = expires_in
        self.rotate = rotate
        self.slow = slow
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                status, answer = endpoint._answer(dict(parse_qsl(body)))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/oauth2/token"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def fail(self, error: str, description: str = "", status: int = 400) -> None:
        """Answer the next request with an error (RFC 6749 5.2)."""
        self.answers.append((status, json.dumps({"error": error, "error_description": description}).encode()))

    def _answer(self, form: dict[str, str]) -> tuple[int, bytes]:
        time.sleep(self.slow)
        self.forms.append(form)
        if self.answers:
            return self.answers.pop(0)
        number = len(self.forms)
        answer = {"access_token": f"token-{number}", "token_type": "Bearer"}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in  # type: ignore[assignment]  # whatever a test wants
        if self.rotate:
            answer["refresh_token"] = f"refresh-{number}"
        return 200, json.dumps(answer).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> TokenEndpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
