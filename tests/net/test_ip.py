"""Kinds and lists of addresses."""

from __future__ import annotations

import socket

import pytest

from mta.net.ip import address_literal, ip_in_list, is_ip, is_local, is_own_ip, is_private, parse_network


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("::ffff:192.0.2.1", True),
        ("fe80::1%lo", True),
        ("192.0.2", False),
        ("192.0.2.01", False),
        ("[::1]", False),
        ("host.test", False),
        ("", False),
    ],
)
def test_is_ip(text: str, expected: bool) -> None:
    assert is_ip(text) is expected


@pytest.mark.parametrize(
    ("ip", "private", "local"),
    [
        ("127.0.0.1", True, True),
        ("127.8.9.10", True, True),
        ("::1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("169.254.1.1", True, True),
        ("fe80::1", True, True),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("10.1.2.3", True, False),
        ("172.16.0.1", True, False),
        ("172.31.255.255", True, False),
        ("172.32.0.0", False, False),
        ("192.168.1.1", True, False),
        ("::ffff:192.168.1.1", True, False),
        ("fd00::1", True, False),
        ("192.0.2.1", False, False),
        ("2001:db8::1", False, False),
        ("nonsense", False, False),
    ],
)
def test_private_and_local(ip: str, private: bool, local: bool) -> None:
    assert (is_private(ip), is_local(ip)) == (private, local)


@pytest.mark.parametrize(
    ("ip", "entries", "expected"),
    [
        ("192.0.2.5", ["192.0.2.5"], True),
        ("192.0.2.5", ["192.0.2.0/24"], True),
        ("192.0.2.5", ["192.0.2.77/24"], True),
        ("192.0.2.5", [" 192.0.2.5 "], True),
        ("192.0.3.5", ["192.0.2.0/24"], False),
        ("::ffff:192.0.2.5", ["192.0.2.0/24"], True),
        ("2001:db8::5", ["2001:db8::/32"], True),
        ("2001:DB8::5", ["2001:db8:0:0::5"], True),
        ("2001:db9::5", ["2001:db8::/32"], False),
        ("192.0.2.5", ["::/0"], False),
        ("192.0.2.5", ["not a network", "192.0.2.5"], True),
        ("192.0.2.5", ["192.0.2.5/33"], False),
        ("192.0.2.5", [], False),
        ("Host.test", ["host.TEST"], True),
        ("host.test", ["192.0.2.0/24"], False),
    ],
)
def test_ip_in_list(ip: str, entries: list[str], expected: bool) -> None:
    assert ip_in_list(ip, entries) is expected


def test_a_network_that_is_none_can_be_told() -> None:
    assert parse_network("192.0.2.0/33") is None
    assert str(parse_network("192.0.2.9/24")) == "192.0.2.0/24"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[ipv6:::1]", "::1"),
        ("[host]", None),
        ("192.0.2.1", None),
        ("[192.0.2.1", None),
    ],
)
def test_address_literal(text: str, expected: str | None) -> None:
    assert address_literal(text) == expected


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("0.0.0.0", True),
        ("192.0.2.1", False),
        ("x", False),
    ],
)
def test_own_addresses(ip: str, expected: bool) -> None:
    assert is_own_ip(ip) is expected


def test_the_address_of_an_interface_is_ours() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("no interface but loopback")
        assert is_own_ip(probe.getsockname()[0])
