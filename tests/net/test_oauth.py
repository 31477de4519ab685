"""Access tokens from a provider that answers, refuses, stalls and talks nonsense."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import trustme

from mta.net import oauth_endpoint
from mta.net.oauth import CLIENT_CREDENTIALS, OAuthClient, TokenError, TokenSource
from mta.net.oauth_file import TokenFile
from tests.support.token_endpoint import TokenEndpoint

SECRET = "cl1ent-s3cret"


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    with TokenEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "refresh"
    path.write_text("refresh-0\n")
    path.chmod(0o600)
    return path


def refreshing(endpoint: TokenEndpoint, file: Path, **more: Any) -> TokenSource:
    client = OAuthClient(endpoint.url, "me", SECRET, scope="smtp offline", refresh_token_file=str(file))
    return TokenSource(client, **more)


def credentials(endpoint: TokenEndpoint, **more: Any) -> TokenSource:
    return TokenSource(OAuthClient(endpoint.url, "me", SECRET, CLIENT_CREDENTIALS), **more)


def test_the_grants_as_they_go_over_the_wire(endpoint: TokenEndpoint, file: Path) -> None:
    assert refreshing(endpoint, file).token() == "token-1"
    assert credentials(endpoint).token() == "token-2"
    assert endpoint.forms == [
        {
            "grant_type": "refresh_token",
            "client_id": "me",
            "client_secret": SECRET,
            "scope": "smtp offline",
            "refresh_token": "refresh-0",
        },
        {"grant_type": "client_credentials", "client_id": "me", "client_secret": SECRET},
    ]


def test_a_public_client_has_no_secret(endpoint: TokenEndpoint, file: Path) -> None:
    TokenSource(OAuthClient(endpoint.url, "me", refresh_token_file=str(file))).token()
    assert "client_secret" not in endpoint.forms[0]


@pytest.mark.parametrize("expires_in", [3600, "3600", None, "soon", [], 1e400, True])
def test_a_token_is_kept_while_it_is_good(expires_in: object) -> None:
    with TokenEndpoint(expires_in=expires_in) as endpoint:
        source = credentials(endpoint)
        assert [source.token() for _ in range(3)] == ["token-1"] * 3


@pytest.mark.parametrize("expires_in", [0, -5, "0"])
def test_a_token_that_has_ended_is_replaced(expires_in: object) -> None:
    with TokenEndpoint(expires_in=expires_in) as endpoint:
        source = credentials(endpoint)
        assert [source.token(), source.token()] == ["token-1", "token-2"]


def test_a_token_is_not_used_in_its_last_moments() -> None:
    with TokenEndpoint(expires_in=1000) as endpoint:
        source = credentials(endpoint)
        source.token()
        source._end -= 941  # the margin is 60 s, and 59 s are left
        assert source.token() == "token-2"


def test_many_who_need_a_token_make_one_request() -> None:
    with TokenEndpoint(slow=0.1) as endpoint:
        source = credentials(endpoint)
        jobs = [gevent.spawn(source.token) for _ in range(50)]
        gevent.joinall(jobs)
        assert ({job.value for job in jobs}, len(endpoint.forms)) == ({"token-1"}, 1)


def test_a_refused_token_is_replaced_once_if_it_is_new_and_again_if_it_had_worked(
    endpoint: TokenEndpoint,
) -> None:
    source = credentials(endpoint)
    source.refused(source.token())
    assert source.token() == "token-1"  # it has just been made: another one would be refused as well
    source.worked("token-1")
    source.refused("token-1")
    assert source.token() == "token-2"
    source.refused("token-1")  # somebody is late
    assert source.token() == "token-2"
    eager = credentials(endpoint, pause=0)
    eager.refused(eager.token())
    assert eager.token() == "token-4"


# -- a provider that rotates refresh tokens


def test_a_new_refresh_token_is_written_and_used_the_next_time(file: Path) -> None:
    with TokenEndpoint(expires_in=0, rotate=True) as endpoint:
        source = refreshing(endpoint, file)
        source.token()
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("refresh-1\n", 0o600)
        source.token()
        assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-0", "refresh-1"]
        assert os.listdir(file.parent) == ["refresh"]


def test_what_an_operator_writes_into_the_file_counts(file: Path) -> None:
    with TokenEndpoint(expires_in=0) as endpoint:
        source = refreshing(endpoint, file)
        source.token()
        file.write_text("refresh-new\n")
        source.token()
        assert endpoint.forms[1]["refresh_token"] == "refresh-new"


def test_a_new_refresh_token_that_can_not_be_written_is_used_and_complained_of(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(old: str, new: str) -> None:
        raise OSError(28, "No space left on device")

    with TokenEndpoint(expires_in=0, rotate=True) as endpoint:
        source = refreshing(endpoint, file)
        monkeypatch.setattr(os, "replace", full)
        source.token()
        assert "No space left on device" in source.complaint and "refresh-1" not in source.complaint
        assert (file.read_text(), os.listdir(file.parent)) == ("refresh-0\n", ["refresh"])
        monkeypatch.undo()
        source.token()
        assert (endpoint.forms[1]["refresh_token"], file.read_text(), source.complaint) == (
            "refresh-1",
            "refresh-2\n",
            "",
        )


def test_two_processes_do_not_use_one_refresh_token_at_once(file: Path) -> None:
    with TokenEndpoint(rotate=True, slow=0.1) as endpoint:
        jobs = [gevent.spawn(refreshing(endpoint, file).token) for _ in range(3)]  # each with its own lock
        gevent.joinall(jobs)
        assert [form["refresh_token"] for form in endpoint.forms] == ["refresh-0", "refresh-1", "refresh-2"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"x" * 20000, "too long"),
        (b"a\x00b\n", "no token"),
        (b"\xff\n", "no token"),
    ],
)
def test_a_file_without_a_token(file: Path, content: bytes, why: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=why):
        TokenFile(str(file)).read()


def test_no_file(endpoint: TokenEndpoint, tmp_path: Path) -> None:
    with pytest.raises(TokenError, match=rf"no refresh token in {tmp_path}/none: No such file"):
        refreshing(endpoint, tmp_path / "none").token()
    assert endpoint.forms == []


# -- a provider that gives none


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("invalid_grant", "; get a new refresh token and write it to "),
        ("invalid_client", "; check the client id, its secret"),
        ("invalid_scope", "; check the scope"),
        ("temporarily_unavailable", ""),
    ],
)
def test_a_refusal_says_what_to_do(endpoint: TokenEndpoint, file: Path, error: str, remedy: str) -> None:
    endpoint.fail(error, f"AADSTS70008: it is over,\r\n {SECRET} and refresh-0")
    with pytest.raises(TokenError) as failure:
        refreshing(endpoint, file).token()
    text = str(failure.value)
    assert f"{error} (AADSTS70008: it is over, *** and ***){remedy}" in text
    assert SECRET not in text and "refresh-0" not in text and text.isprintable()


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (503, b"<html>sorry</html>", "answered 503"),
        (302, b"", "answered 302"),
        (400, b'{"error": ["x"]}', "answered 400"),
        (400, b'{"error": "x\\r\\ny"}', "answered 400"),
        (200, b"", "without an access token"),
        (200, b"[]", "without an access token"),
        (200, b'{"access_token": 5}', "without an access token"),
        (200, b'{"access_token": "a\\r\\nRSET"}', "without an access token"),
        (200, b'{"access_token": ""}', "without an access token"),
        (200, b'{"access_token": "x", "token_type": "mac"}', "not Bearer"),
        (200, b'{"access_token": "x", "token_type": 5}', "not Bearer"),
        (200, b"[" * 60000, "without an access token"),
        (200, json.dumps({"access_token": "x", "more": "y" * 200_000}).encode(), "without an access token"),
    ],
)
def test_answers_without_a_token(endpoint: TokenEndpoint, status: int, body: bytes, why: str) -> None:
    endpoint.answers.append((status, body))
    with pytest.raises(TokenError, match=why) as failure:
        credentials(endpoint).token()
    assert str(failure.value).isprintable()


def test_a_provider_that_is_down_is_left_alone_for_a_while() -> None:
    endpoint = TokenEndpoint()
    endpoint.close()
    source = credentials(endpoint)
    with pytest.raises(TokenError, match=f"127.0.0.1:{endpoint.port} can not be asked: Connection refused"):
        source.token()
    with socket.create_server(("127.0.0.1", endpoint.port)) as listener:
        listener.settimeout(0.05)
        with pytest.raises(TokenError, match="Connection refused"):
            source.token()
        with pytest.raises(TimeoutError):
            listener.accept()


def test_a_provider_that_comes_back() -> None:
    with TokenEndpoint() as endpoint:
        endpoint.fail("server_error", status=500)
        source = credentials(endpoint, pause=0)
        with pytest.raises(TokenError, match="server_error"):
            source.token()
        assert source.token() == "token-2"


def test_a_provider_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth_endpoint, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = OAuthClient(
            f"http://localhost:{listener.getsockname()[1]}/", "me", SECRET, CLIENT_CREDENTIALS
        )
        with pytest.raises(TokenError, match="timed out"):
            TokenSource(client).token()


def test_a_provider_without_a_certificate_that_proves_its_name() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(listener.accept()[0], server_side=True)

        serving = gevent.spawn(serve)
        client = OAuthClient(
            f"https://localhost:{listener.getsockname()[1]}/", "me", SECRET, CLIENT_CREDENTIALS
        )
        with pytest.raises(TokenError, match="certificate verify failed"):
            TokenSource(client).token()
        serving.join()


def test_a_host_that_can_not_exist() -> None:
    client = OAuthClient(f"https://{'x' * 70}.test/", "me", SECRET, CLIENT_CREDENTIALS)
    with pytest.raises(TokenError, match="can not be asked"):
        TokenSource(client).token()


# -- what can not work


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"url": "http://login.example.com/token"}, "by https"),
        ({"url": "http://10.0.0.1/token"}, "by https"),
        ({"url": "ftp://x.test/"}, "by https"),
        ({"url": "login.example.com"}, "not the URL"),
        ({"url": "https://user:pw@x.test/"}, "not the URL of a token endpoint: 'x.test/'"),
        ({"url": "https://x.test/\r\nHost: y"}, "not the URL"),
        ({"url": "https://x.test/t\u00f6ken"}, "not the URL"),
        ({"url": "https://x.test:99999/"}, "ort"),
        ({"client_id": ""}, "client id"),
        ({"refresh_token_file": ""}, "absolute path"),
        ({"refresh_token_file": "relative"}, "absolute path"),
        ({"grant": CLIENT_CREDENTIALS, "client_secret": ""}, "client's secret"),
    ],
)
def test_a_client_that_can_not_work(given: dict[str, str], why: str) -> None:
    good = {"url": "https://x.test/", "client_id": "me", "refresh_token_file": "/x"}
    OAuthClient(**good)
    with pytest.raises(ValueError, match=why) as failure:
        OAuthClient(**{**good, **given})
    assert "pw" not in str(failure.value)


def test_no_secret_is_shown(endpoint: TokenEndpoint) -> None:
    assert SECRET not in repr(OAuthClient(endpoint.url, "me", SECRET, CLIENT_CREDENTIALS))
