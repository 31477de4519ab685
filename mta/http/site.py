"""What the HTTP server shows: the pages of plugins by the beginning of their path, and the files for all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.http.answer import App, Body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class HttpSite:
    """What plugins know as `server.http`. `files` answers what no route is for."""

    def __init__(self, files: App) -> None:
        self._files = files
        self._routes: dict[str, App] = {}

    def route(self, path: str, app: App) -> None:
        """Give `path`, and all below it, to a WSGI application (PEP 3333), which sees what follows as PATH_INFO.

        Of several routes the longest decides. Raises ValueError for a path that does not begin with a slash or is taken.
        """
        prefix = path.rstrip("/")
        if not path.startswith("/"):
            raise ValueError(f"the path of a route begins with a slash: {path!r}")
        if prefix in self._routes:
            raise ValueError(f"there is a route {path!r} already")
        self._routes[prefix] = app

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Body:
        """The whole site is a WSGI application."""
        path = environ.get("PATH_INFO", "")
        prefix = self._route_of(path)
        if prefix is None:
            return self._files(environ, start)
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path[len(prefix) :]
        answer = self._routes[prefix](environ, start)
        return answer if environ["REQUEST_METHOD"] != "HEAD" else _without_body(answer)

    def _route_of(self, path: str) -> str | None:
        fitting = [prefix for prefix in self._routes if path == prefix or path.startswith(f"{prefix}/")]
        return max(fitting, key=len, default=None)


def _without_body(answer: Body) -> Body:
    """RFC 9110 9.3.2: HEAD has none, and an application need not know."""
    try:
        for _ in answer:
            pass
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    return []
