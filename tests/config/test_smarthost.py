from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.config.smarthost import parse_hosts


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("", ()),
        ("mx1.example.net:587, mx2.example.net:587", ("mx1.example.net:587", "mx2.example.net:587")),
        ("b:2,a:1", ("b:2", "a:1")),
        ("a", ("a:25",)),
        ("a b:26", ("a:25", "b:26")),
        ("127.0.0.1:2525", ("127.0.0.1:2525",)),
        ("[::1]:2525,[2001:DB8::1]", ("[::1]:2525", "[2001:db8::1]:25")),
        ("::1, b", ("[::1]:25", "b:25")),
        ("my_relay.internal.:25", ("my_relay.internal.:25",)),
    ],
)
def test_order_and_default_port(text: str, hosts: tuple[str, ...]) -> None:
    assert parse_hosts(text) == hosts


@pytest.mark.parametrize(
    "item",
    [
        "a:0",
        "a:65536",
        "a:b",
        ":25",
        "10.0.0.256",
        "::g",
        "[::g]:25",
        "[10.0.0.1]",
        "-a",
        "a..b",
        "a_-:25",
        "smtp://a",
    ],
)
def test_what_is_no_host_is_named(item: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_hosts(f"good:25, {item}")
    assert str(caught.value).startswith(item)


@given(st.text(max_size=40))
def test_anything_is_hosts_or_a_value_error(text: str) -> None:
    try:
        hosts = parse_hosts(text)
    except ValueError:
        return
    assert parse_hosts(",".join(hosts)) == hosts
