"""The files below one directory, as pages; nothing outside of it, whatever is asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from functools import cache
from mimetypes import MimeTypes
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from mta.http.answer import Body, not_allowed, not_found, respond

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

INDEX = b"index.html"
ERROR_PAGE = "404.html"
CHUNK = 65536
LARGEST_ERROR_PAGE = 65536

_TEXTS = ("application/javascript", "application/json", "application/xml", "image/svg+xml")


class Files:
    """Serves GET and HEAD for the files below `root`, which need not exist. Names that begin with a dot are hidden."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(os.fsencode(root))

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Body:
        """The page for PATH_INFO."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return not_allowed(start)
        path = environ.get("PATH_INFO", "").encode("latin-1")
        found = self._find(path)
        if found is None:
            return not_found(environ, start, self._error_page())
        name, directory = found
        if directory and not path.endswith(b"/"):
            # Or the links of the page would lead astray. Made of what was found: `//elsewhere` is no other host.
            return _moved(start, self._url(name) + "/")
        try:
            return self._send(environ, start, os.path.join(name, INDEX) if directory else name)
        except OSError:
            return not_found(environ, start, self._error_page())

    def _find(self, path: bytes) -> tuple[bytes, bool] | None:
        """The file or directory for a path, and which it is; None when there is none, or none that may be seen."""
        parts = [part for part in path.split(b"/") if part]
        if b"\0" in path or any(part.startswith(b".") for part in parts):
            return None
        name = os.path.join(self._root, *parts)
        try:
            mode = os.stat(name).st_mode
        except (OSError, ValueError):
            return None
        if not self._holds(name) or (stat.S_ISREG(mode) and path.endswith(b"/")):
            return None
        return name, stat.S_ISDIR(mode)

    def _holds(self, name: bytes) -> bool:
        """True when a name, with all symbolic links followed, is below the root."""
        real = os.path.realpath(name)
        return real == self._root or real.startswith(os.path.join(self._root, b""))

    def _url(self, name: bytes) -> str:
        return "/" + quote_from_bytes(os.path.relpath(name, self._root))

    def _send(self, environ: WSGIEnvironment, start: StartResponse, name: bytes) -> Body:
        """Raises OSError."""
        file = self._open(name)
        status = os.fstat(file)
        modified = int(status.st_mtime)
        headers = [
            ("Last-Modified", formatdate(modified, usegmt=True)),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if _is_unchanged(environ, modified):
            os.close(file)
            start("304 Not Modified", headers)
            return []
        headers += [
            ("Content-Type", content_type(os.fsdecode(name))),
            ("Content-Length", str(status.st_size)),
        ]
        start("200 OK", headers)
        if environ["REQUEST_METHOD"] == "HEAD":
            os.close(file)
            return []
        return Contents(file, status.st_size)

    def _open(self, name: bytes) -> int:
        """A descriptor of a regular file below the root; raises OSError. A pipe must not make anybody wait."""
        real = os.path.realpath(name)
        if not self._holds(real):
            raise FileNotFoundError(name)
        file = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise FileNotFoundError(name)
        return file

    def _error_page(self) -> bytes | None:
        try:
            file = self._open(os.path.join(self._root, os.fsencode(ERROR_PAGE)))
        except OSError:
            return None
        with os.fdopen(file, "rb") as page:
            return page.read(LARGEST_ERROR_PAGE)


class Contents:
    """What is in a file, in chunks, and not more than was promised; WSGI closes it."""

    def __init__(self, file: int, size: int) -> None:
        self._file = os.fdopen(file, "rb", buffering=0)
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        while self._left and (chunk := self._file.read(min(CHUNK, self._left))):
            self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@cache
def _types() -> MimeTypes:
    """What Python knows; the files of the system would make every machine another one. Made when the first file is asked for."""
    return MimeTypes()


def content_type(name: str) -> str:
    """What the name of a file says about its contents."""
    kind, encoding = _types().guess_type(name)
    if kind is None or encoding is not None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in _TEXTS else kind


def _is_unchanged(environ: WSGIEnvironment, modified: int) -> bool:
    """RFC 9110 13.1.3: a date that is none is passed over."""
    try:
        since = parsedate_to_datetime(environ.get("HTTP_IF_MODIFIED_SINCE", ""))
        return modified <= since.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return False


def _moved(start: StartResponse, url: str) -> Body:
    return respond(start, "301 Moved Permanently", "text/plain", b"", [("Location", url)])
