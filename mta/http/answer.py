"""Answers that are not a page: what went wrong, and in which form the client reads it; pure WSGI."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Body = Iterable[bytes]
Headers = list[tuple[str, str]]
App = Callable[["WSGIEnvironment", "StartResponse"], Body]

HTML, JSON, TEXT = "text/html", "application/json", "text/plain"
_PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_MOST_TYPES = 50


def respond(
    start: StartResponse, status: str, kind: str, body: bytes, more: Sequence[tuple[str, str]] = ()
) -> Body:
    """A whole answer; kind: its Content-Type."""
    start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *more])
    return [body]


def not_found(environ: WSGIEnvironment, start: StartResponse, page: bytes | None = None) -> Body:
    """404 as a page (`page`, or one of ours), as JSON or as text, whichever the client likes best."""
    kind = preferred(environ.get("HTTP_ACCEPT", ""))
    bodies = {
        HTML: page if page is not None else _PAGE.format("Not found").encode(),
        JSON: json.dumps({"err": "Not found"}).encode(),
        TEXT: b"Not found!",
    }
    return respond(start, "404 Not Found", _with_charset(kind), bodies[kind])


def not_allowed(start: StartResponse) -> Body:
    """405: files are there to be read."""
    body = b"Only GET and HEAD are possible here.\n"
    return respond(start, "405 Method Not Allowed", _with_charset(TEXT), body, [("Allow", "GET, HEAD")])


def preferred(accept: str) -> str:
    """Which of HTML, JSON and TEXT an Accept field (RFC 9110 12.5.1) likes best; HTML when it says nothing."""
    weights: dict[str, float] = {}
    for item in accept.split(",")[:_MOST_TYPES]:
        kind, *parameters = [part.strip().lower() for part in item.split(";")]
        weights[kind] = max(weights.get(kind, 0.0), _weight(parameters))
    if not accept.strip():
        return HTML
    best = max((HTML, JSON, TEXT), key=lambda kind: _likes(kind, weights))
    return best if _likes(best, weights) else TEXT


def _likes(kind: str, weights: dict[str, float]) -> float:
    for name in (kind, kind.partition("/")[0] + "/*", "*/*"):
        if name in weights:
            return weights[name]
    return 0.0


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _with_charset(kind: str) -> str:
    return kind if kind == JSON else f"{kind}; charset=utf-8"
