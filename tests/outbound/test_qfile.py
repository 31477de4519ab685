"""Names of queue files."""

import os
import time

import pytest

from mta.outbound.qfile import MAX_COUNTER, QueueFileName, QueueNamer, escape_host

HARAKA = "1784878079415_1784878143415_1_26128_Bzx2Cg_37_mail.example.com"


def test_seven_parts() -> None:
    name = QueueFileName.parse(HARAKA)
    assert (name.arrival, name.next_attempt, name.attempts) == (1784878079415, 1784878143415, 1)
    assert (name.pid, name.uniq, name.counter, name.host) == (26128, "Bzx2Cg", 37, "mail.example.com")
    assert str(name) == HARAKA


def test_four_parts_of_old() -> None:
    before = int(time.time() * 1000)
    name = QueueFileName.parse("1484878079415_2_12345_8888.mta1.example.com")
    assert (name.next_attempt, name.attempts, name.pid, name.host) == (
        1484878079415, 2, 12345, "mta1.example.com",
    )  # fmt: skip
    assert before <= name.arrival <= time.time() * 1000
    assert str(name) == "1484878079415_2_12345_8888.mta1.example.com"
    assert name == QueueFileName.parse(str(name))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "README",
        "1_2_3",
        "1_2_3_4",
        "1_2_3_4_5_6",
        "1_2_3_4_5_6_h_8",
        "x_2_3_4_u_6_h",
        "1_2_3_4_u_x_h",
        "1_2_3_4__6_h",
        "1_2_3_4_u_6_",
        "-1_2_3_4_u_6_h",
        "1_2_3_4_u_6_h\n",
        "1_2_3_4_u_6_a\x1bb",
        "1_2_3_4_u_6_../h",
        "\u0661_2_3_4_u_6_h",
        "9" * 16 + "_2_3_4_u_6_h",
        f"__tmp__.{HARAKA}",
        f"error.{HARAKA}",
        f".{HARAKA}",
    ],
)
def test_other_names(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a queue file"):
        QueueFileName.parse(text)


@pytest.mark.parametrize(
    ("hostname", "escaped"),
    [
        ("mx.example.com", "mx.example.com"),
        ("a_b", r"a\137b"),
        ("a:b", r"a\072b"),
        ("a\\b", r"a\057b"),
        ("a/b", r"a\057b"),
        ("", "localhost"),
    ],
)
def test_hosts(hostname: str, escaped: str) -> None:
    assert escape_host(hostname) == escaped
    name = QueueNamer(hostname).new(1, 2)
    assert QueueFileName.parse(str(name)) == name
    assert name.host == escaped


def test_new_names() -> None:
    namer = QueueNamer("h")
    names = [namer.new(10, 20) for _ in range(MAX_COUNTER + 2)]
    assert len({name.uniq for name in names}) > MAX_COUNTER - 100
    assert [name.counter for name in names[:2]] == [1, 2]
    assert [name.counter for name in names[-3:]] == [MAX_COUNTER, 0, 1]
    assert {(name.arrival, name.next_attempt, name.attempts, name.pid) for name in names} == {
        (10, 20, 0, os.getpid())
    }
    assert all(len(name.uniq) == 6 and name.uniq.isascii() and name.uniq.isalnum() for name in names)


@pytest.mark.parametrize("due", [10, 20])
def test_a_new_name_is_what_its_text_says(due: int) -> None:
    name = QueueNamer("h").new(10, due)
    assert tuple(QueueFileName.parse(name.text)) == tuple(name)


@pytest.mark.parametrize("old", [HARAKA, "1484878079415_2_12345_8888.mta1.example.com"])
def test_next_attempt(old: str) -> None:
    name = QueueFileName.parse(old)
    moved = QueueNamer("other").next(name, 4, 99)
    assert (moved.attempts, moved.next_attempt, moved.host) == (4, 99, "other")
    assert (moved.arrival, moved.pid, moved.uniq) == (name.arrival, name.pid, name.uniq)
    assert QueueFileName.parse(str(moved)) == moved


def test_names_are_keys() -> None:
    assert len({QueueFileName.parse(HARAKA), QueueFileName.parse(HARAKA)}) == 1
    assert QueueFileName.parse(HARAKA) != HARAKA
