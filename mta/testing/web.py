"""The pages that plugins add to the HTTP server, asked for without a port."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults

from mta.record import record

if TYPE_CHECKING:
    from mta.http.site import HttpSite


@record
class Page:
    """An HTTP answer: status such as 200, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(site: HttpSite, path: str, method: str, body: bytes, headers: Mapping[str, str]) -> Page:
    """Send a request to a site as PEP 3333 has it. path: with the query, if there is one."""
    place, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(place).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    setup_testing_defaults(environ)
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start(status: str, fields: list[tuple[str, str]], *_: object) -> Any:
        begun.append((status, fields))
        return written.append

    answer = site(environ, start)
    try:
        written.extend(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    status, fields = begun[-1]
    return Page(int(status.split()[0]), {name.lower(): value for name, value in fields}, b"".join(written))
