from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.config.smarthost import parse_hosts, prioritised


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
        ("a:587 10, b:587 010,backup 20", ("a:587 10", "b:587 10", "backup:25 20")),
        ("a 10 b:26, c 0", ("a:25 10", "b:26", "c:25 0")),
        (
            "smtp://a, smtps://b/, SMTPS://c:4650, lmtp://d",
            ("a:25", "smtps://b:465", "smtps://c:4650", "lmtp://d:24"),
        ),
        ("smtps://[2001:DB8::1] 5", ("smtps://[2001:db8::1]:465 5",)),
        ("/run/lmtp.sock 5, smtp:///run/smtp", ("lmtp:///run/lmtp.sock 5", "smtp:///run/smtp")),
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
        "http://a",
        "smtps:///run/sock",
        "lmtp://a?b",
        "lmtp:///a?b",
        "/",
        "smtp://a/b",
        "10",
        "65536",
    ],
)
def test_what_is_no_host_is_named(item: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_hosts(f"good:25, {item}")
    assert str(caught.value).startswith(item)


@pytest.mark.parametrize("text", ["a 10 20", "a, 10", "a 65536"])
def test_a_number_that_is_no_priority_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.split()[-1]):
        parse_hosts(text)


@pytest.mark.parametrize("text", ["smtp://joe:hunter2@a", "joe:hunter2@a:25", "lmtp://hunter2@a"])
def test_a_password_has_a_place_of_its_own_and_is_not_shown(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_hosts(text)
    assert "auth_pass" in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("hosts", "priorities"),
    [
        (("a:25", "b:25", "c:25"), [0, 1, 2]),
        (("a:25 10", "b:25 10", "c:25 20"), [10, 10, 20]),
        (("a:25 10", "b:25", "c:25 5"), [10, 11, 5]),
    ],
)
def test_a_host_without_a_number_comes_after_the_one_before_it(
    hosts: tuple[str, ...], priorities: list[int]
) -> None:
    assert [priority for _, priority in prioritised(hosts)] == priorities


@given(st.text(max_size=40))
def test_anything_is_hosts_or_a_value_error(text: str) -> None:
    try:
        hosts = parse_hosts(text)
    except ValueError:
        return
    assert parse_hosts(",".join(hosts)) == hosts
