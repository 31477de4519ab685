"""Serves a WSGI application on listening sockets with gevent's own HTTP server, within limits."""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gevent import GreenletExit, Timeout, pywsgi
from gevent import socket as gevent_socket
from gevent.pool import Pool

from mta.http.log import HttpLog
from mta.http.requests import MAX_BODY, REFUSALS, TooMuch, header_block

if TYPE_CHECKING:
    import _socket

    from mta.http.answer import App
    from mta.logger import Logger

MAX_CONNECTIONS = 100
REQUEST_SECONDS = 60.0  # for a whole request to arrive, the wait for it included
FAILED = b"Internal Server Error\n"
WRITE_SECONDS = 30.0  # for a client to take a piece of the answer


class HttpServer:
    """One server for several sockets, each with the TLS settings that go with it, or None."""

    def __init__(
        self,
        sockets: Sequence[tuple[_socket.socket, ssl.SSLContext | None]],
        app: App,
        logger: Logger,
        me: str,
    ) -> None:
        log = HttpLog(logger)
        pool = Pool(MAX_CONNECTIONS)
        environ = {"SERVER_NAME": me, "SERVER_SOFTWARE": "Haraka", "wsgi.multithread": True}
        self._servers = [
            _Server(
                gevent_socket.socket(sock.family, sock.type, sock.proto, fileno=sock.detach()),
                app,
                spawn=pool,
                log=log,
                error_log=log,
                handler_class=_Handler,
                environ=dict(environ),
                **_tls(context),
            )
            for sock, context in sockets
        ]

    def start(self) -> None:
        """Begin to accept."""
        for server in self._servers:
            server.start()

    def stop(self, seconds: float = 0.0) -> None:
        """Accept no more, let pages that are on their way go on for so long, cut the rest."""
        for server in self._servers:
            server.close()
        for server in self._servers:
            server.stop(timeout=seconds)


def _tls(context: ssl.SSLContext | None) -> dict[str, Any]:
    """The handshake comes with the first read, and so within the time for a request."""
    return {"ssl_context": context, "do_handshake_on_connect": False} if context else {}


# gevent's types leave out what its documentation gives to derived classes.
_Server: Any = pywsgi.WSGIServer
_BaseHandler: Any = pywsgi.WSGIHandler
_message: Any = vars(pywsgi)["headers_factory"]


class _Handler(_BaseHandler):  # type: ignore[misc]
    """One connection: gevent's handler, with limits on what a client may send and how long it may take."""

    _timer: Timeout | None = None
    _orig_status: str | None = None

    def handle(self) -> None:
        self.socket.settimeout(WRITE_SECONDS)
        try:
            super().handle()
        except (OSError, Timeout):
            pass  # the client is gone, or takes nothing
        finally:
            self._stop_timer()

    # -- reading a request, within REQUEST_SECONDS ---------------------------------------------------------------------

    def read_requestline(self) -> str:
        self._stop_timer()
        self.command = self.path = self.requestline = ""
        self._orig_status = None
        self._timer = Timeout.start_new(REQUEST_SECONDS, TimeoutError("the request did not come in time"))
        line: str = super().read_requestline()
        return line

    def MessageClass(self, rfile: Any, *_: Any) -> Any:
        return _message(io.BytesIO(header_block(rfile)))

    def handle_one_response(self) -> None:
        """The request is there but for its body: take that, and hand all to the application."""
        try:
            if self.environ["wsgi.input_terminated"]:  # no web socket
                self._read_body()
        except TooMuch:
            self._refuse("413")
            return
        except OSError:
            self._refuse("400")
            return
        finally:
            self._stop_timer()
        super().handle_one_response()

    def _read_body(self) -> None:
        """Before the application is asked: a client that sends slowly must not hold it. Raises TooMuch, OSError."""
        if self.headers.get("transfer-encoding", "chunked").lower() != "chunked" or (
            len(self.headers.get_all("content-length", [])) > 1
        ):
            raise OSError("where the body ends is not clear")  # RFC 9112 6.3
        if (self.content_length or 0) > MAX_BODY:
            raise TooMuch
        body = self.wsgi_input.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise TooMuch
        self.environ["wsgi.input"] = io.BytesIO(body)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def _refuse(self, code: str) -> None:
        """End the connection with one of REFUSALS: where its next request begins is not known."""
        self.close_connection = True
        self._orig_status = self.status = code
        self.socket.sendall(REFUSALS[code])
        self.log_request()

    def _handle_client_error(self, ex: Exception) -> tuple[str, bytes]:
        code = "431" if isinstance(ex, TooMuch) else "408" if isinstance(ex, OSError) else "400"
        self._orig_status = code
        self._stop_timer()
        return code, REFUSALS[code]

    def handle_error(self, t: type[BaseException], v: BaseException, tb: TracebackType | None) -> None:
        gone = isinstance(v, GreenletExit) or (self.code or 0) < 0
        self.close_connection = gone or self.headers_sent
        if gone:
            return  # the server stops; or the client is gone, of which gevent makes a code below 0
        self.server.log.failed(self.path, v, tb)
        if not self.headers_sent:
            length = str(len(FAILED))
            self.start_response(
                "500 Internal Server Error", [("Content-Type", "text/plain"), ("Content-Length", length)]
            )
            self.write(FAILED)

    def log_error(self, msg: str, *args: Any) -> None:
        """What a client does wrong is in the line of its request."""

    def log_request(self) -> None:
        address = self.client_address
        self.server.log.request(
            str(address[0]) if isinstance(address, tuple) else "",
            self.command or "-",
            self.path or "-",
            str(self._orig_status or self.code or "-").split(" ", 1)[0],
            self.response_length,
            max(time.time() - self.time_start, 0.0),
        )


__all__ = ["HttpServer"]
