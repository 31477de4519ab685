"""Reading `listen` entries, and listening."""

from __future__ import annotations

import _socket
import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mta.net.endpoint import Endpoint, EndpointError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25", Endpoint("::0", 25)),
        (" 2525 ", Endpoint("::0", 2525)),
        ("[::0]:25", Endpoint("::0", 25)),
        ("[::1]", Endpoint("::1", 587)),
        ("::1", Endpoint("::1", 587)),
        ("::1:2525", Endpoint("::1", 2525)),
        ("2001:db8::1", Endpoint("2001:db8::1", 587)),
        ("192.0.2.1", Endpoint("192.0.2.1", 587)),
        ("192.0.2.1:0", Endpoint("192.0.2.1", 0)),
        ("[192.0.2.1]:25", Endpoint("192.0.2.1", 25)),
        ("mail.example:25", Endpoint("mail.example", 25)),
        ("localhost", Endpoint("localhost", 587)),
        ("/run/lmtp.sock", Endpoint(path="/run/lmtp.sock")),
        ("/run/lmtp.sock:660", Endpoint(path="/run/lmtp.sock", mode=0o660)),
        ("/run/a:b/x.sock:600", Endpoint(path="/run/a:b/x.sock", mode=0o600)),
        ("/run/lmtp.sock:66", Endpoint(path="/run/lmtp.sock:66")),
    ],
)
def test_parse(text: str, expected: Endpoint) -> None:
    assert Endpoint.parse(text, default_port=587) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "70000",
        "host:70000",
        "host:",
        "host:port",
        "two words",
        "[::1",
        "[::1]x",
        "[::zz]:25",
        "[name]:25",
        ":25",
    ],
)
def test_what_is_no_endpoint_is_named_in_one_line(text: str) -> None:
    with pytest.raises(EndpointError) as error:
        Endpoint.parse(text)
    assert repr(text) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text", ["[::0]:25", "192.0.2.1:25", "mail.example:25", "/run/x.sock", "/run/x.sock:660"]
)
def test_str_is_what_parse_reads(text: str) -> None:
    assert str(Endpoint.parse(text)) == text


@contextmanager
def listening(endpoint: Endpoint) -> Iterator[_socket.socket]:
    listener = endpoint.bind()
    try:
        yield listener
    finally:
        listener.close()


def test_a_tcp_listener_is_bare_non_blocking_and_reusable() -> None:
    with listening(Endpoint("127.0.0.1", 0)) as listener:
        assert type(listener) is _socket.socket
        assert listener.gettimeout() == 0.0
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        socket.create_connection(listener.getsockname()).close()


def test_every_address_means_both_families() -> None:
    with listening(Endpoint("::0", 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=2).close()


def test_one_ipv6_address_means_that_one() -> None:
    with listening(Endpoint("::1", 0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("::1", port), timeout=2).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=2)


def test_a_name_is_resolved() -> None:
    with listening(Endpoint("localhost", 0)) as listener:
        socket.create_connection(listener.getsockname()[:2], timeout=2).close()


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_without_ipv6_every_address_is_that_of_ipv4(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = _socket.socket

    def without_ipv6(family: int, kind: int) -> _socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return real(family, kind)

    monkeypatch.setattr(_socket, "socket", without_ipv6)
    with listening(Endpoint("::0", 0)) as listener:
        assert listener.getsockname()[0] == "0.0.0.0"
    with pytest.raises(EndpointError):
        Endpoint("::1", 0).bind()


def test_a_port_in_use_is_one_clear_line() -> None:
    with listening(Endpoint("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(EndpointError) as error:
            Endpoint("127.0.0.1", port).bind()
    assert str(error.value) == f"cannot listen on 127.0.0.1:{port}: another process listens there already"


def test_an_address_of_another_machine_is_one_clear_line() -> None:
    with pytest.raises(EndpointError, match=r"cannot listen on 192\.0\.2\.77:25: "):
        Endpoint("192.0.2.77", 25).bind()


def test_a_unix_socket_has_the_mode_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "lmtp.sock"
    with listening(Endpoint.parse(f"{path}:660")) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert listener.gettimeout() == 0.0
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    endpoint = Endpoint(path=str(tmp_path / "lmtp.sock"))
    endpoint.bind().close()
    assert Path(endpoint.path).exists()
    with listening(endpoint), socket.socket(socket.AF_UNIX) as client:
        client.connect(endpoint.path)


def test_a_unix_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    endpoint = Endpoint(path=str(tmp_path / "lmtp.sock"))
    with listening(endpoint):
        with pytest.raises(EndpointError, match="another process listens there already"):
            endpoint.bind()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(endpoint.path)


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(EndpointError, match="not a socket"):
        Endpoint(path=str(path)).bind()
    assert path.read_text() == "data"


def test_a_folder_that_is_missing_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match=r"cannot listen on .*No such file or directory"):
        Endpoint(path=str(tmp_path / "missing" / "x.sock")).bind()
