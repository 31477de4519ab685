"""The pages without a server: which file, which form of an answer, which route."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from mta.http.answer import HTML, JSON, TEXT, preferred
from mta.http.files import Files, content_type
from mta.http.site import HttpSite


@pytest.fixture
def root(tmp_path: Path) -> Path:
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    root = tmp_path / "html"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "index.html").write_text("<p>start")
    (root / "deep" / "index.html").write_text("<p>deep")
    (root / "app.js").write_text("1")
    (root / ".hidden").write_text("hidden")
    (root / "gr\u00fc\u00df.txt").write_text("hi")
    (root / "inside.html").symlink_to(root / "index.html")
    (root / "outside.txt").symlink_to(outside)
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return root


def get(app: Any, path: str, method: str = "GET", **headers: str) -> tuple[str, dict[str, str], bytes]:
    seen: list[Any] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), **headers}
    answer = app(environ, lambda status, fields, *_: seen.extend([status, dict(fields)]))
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return seen[0], seen[1], body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"<p>start"),
        ("", b"<p>start"),
        ("/index.html", b"<p>start"),
        ("//index.html", b"<p>start"),
        ("/deep/", b"<p>deep"),
        ("/app.js", b"1"),
        ("/inside.html", b"<p>start"),
        ("/gr\u00fc\u00df.txt", b"hi"),
    ],
)
def test_files(root: Path, path: str, body: bytes) -> None:
    if path == "":
        assert get(Files(root), path)[0].startswith("301")
        return
    status, headers, got = get(Files(root), path)
    assert (status, got, headers["Content-Length"]) == ("200 OK", body, str(len(body)))
    assert get(Files(root), path, "HEAD")[1:] == (headers, b"")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/../secret.txt",
            "/deep/../../secret.txt",
            "/..",
            "/.hidden",
            "/./index.html",
            "/outside.txt",
            "/up/secret.txt",
        ),
        *(
            "/up/",
            "/up",
            "/pipe",
            "/none",
            "/index.html/",
            "/deep/er/",
            "/index.html\0.js",
            "/" + "x" * 5000,
            "/a/b/c",
        ),
        *("/..%2f", "/\\..\\secret.txt"),
    ],
)
def test_nothing_else_is_shown(root: Path, path: str) -> None:
    status, _, body = get(Files(root), path)
    assert status == "404 Not Found" and b"secret" not in body


@pytest.mark.parametrize(
    ("path", "url"), [("/deep", "/deep/"), ("//deep", "/deep/"), ("/deep/er", "/deep/er/")]
)
def test_a_directory_ends_with_a_slash(root: Path, path: str, url: str) -> None:
    status, headers, _ = get(Files(root), path)
    assert (status, headers["Location"]) == ("301 Moved Permanently", url)


def test_what_has_not_changed_is_not_sent_again(root: Path) -> None:
    os.utime(root / "app.js", (1000000000, 1000000000))
    _, headers, _ = get(Files(root), "/app.js")
    assert headers["Last-Modified"] == formatdate(1000000000, usegmt=True)
    for since, code in ((1000000000, "304"), (1000000001, "304"), (999999999, "200")):
        status, again, body = get(
            Files(root), "/app.js", HTTP_IF_MODIFIED_SINCE=formatdate(since, usegmt=True)
        )
        assert status[:3] == code and bool(body) is (code == "200")
        assert ("Content-Length" in again) is (code == "200")
    for nonsense in ("", "yesterday", "Sat, 99 Xyz 99999999 00:00:00 GMT"):
        assert get(Files(root), "/app.js", HTTP_IF_MODIFIED_SINCE=nonsense)[0] == "200 OK"


def test_files_are_there_to_be_read(root: Path) -> None:
    status, headers, _ = get(Files(root), "/", "POST")
    assert (status, headers["Allow"]) == ("405 Method Not Allowed", "GET, HEAD")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.tar.gz", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_content_types(name: str, kind: str) -> None:
    assert content_type(name) == kind


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", HTML),
        ("*/*", HTML),
        ("text/html,application/xhtml+xml,*/*;q=0.8", HTML),
        ("application/json", JSON),
        ("application/json, text/html;q=0.5", JSON),
        ("text/html;q=0, */*", JSON),
        ("text/plain", TEXT),
        ("text/*;q=0.1, application/*;q=x", HTML),
        ("image/png", TEXT),
        (";q=;,,", TEXT),
    ],
)
def test_what_a_client_likes_best(accept: str, kind: str) -> None:
    assert preferred(accept) == kind


def test_404_in_three_forms(root: Path) -> None:
    assert b"<h1>Not found" in get(Files(root), "/x")[2]
    (root / "404.html").write_text("<p>lost")
    assert get(Files(root), "/x")[2] == b"<p>lost"
    status, headers, body = get(Files(root), "/x", HTTP_ACCEPT="application/json")
    assert (status, headers["Content-Type"], body) == ("404 Not Found", JSON, b'{"err": "Not found"}')
    assert get(Files(root), "/x", HTTP_ACCEPT="text/plain")[2] == b"Not found!"
    assert get(Files(root / "none"), "/x")[0] == "404 Not Found"


def shows(environ: dict[str, Any], start: Any) -> list[bytes]:
    start("200 OK", [])
    return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/watch", b"/watch|"),
        ("/watch/", b"/watch|/"),
        ("/watch/a/b", b"/watch|/a/b"),
        ("/watch/deep/a", b"/watch/deep|/a"),
        ("/watchdog", None),
    ],
)
def test_the_longest_route_decides(root: Path, path: str, seen: bytes | None) -> None:
    site = HttpSite(Files(root))
    site.route("/watch/", shows)
    site.route("/watch/deep", shows)
    status, _, body = get(site, path)
    assert status[:3] == ("404" if seen is None else "200") and (seen is None or body == seen)
    assert get(site, path, "HEAD")[2] == (b"" if seen else body)
    for bad in ("watch", "/watch", "/watch/"):
        with pytest.raises(ValueError, match="route"):
            site.route(bad, shows)
