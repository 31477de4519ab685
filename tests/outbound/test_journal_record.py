"""Records of the journal: what is written is read, and damage stays where it is."""

import pytest

from mta.outbound.journal_name import SegmentName
from mta.outbound.journal_record import (
    END,
    HEAD_LENGTH,
    MESSAGE,
    Damage,
    JournalMail,
    Record,
    end_record,
    ended,
    record,
    record_at,
    scan,
)
from mta.outbound.share import EVERYTHING, Share

MARKER = b"\x00\xffmarker"[:8]
MAIL = JournalMail(
    [("1_2_0_3_uniq_4_h", b"\n{}\n"), ("1_2_0_3_other_5_h\udcff", b"\n{ }\n")], b"Subject: x\r\n"
)
BEFORE = record(MARKER, MESSAGE, JournalMail([("before", b"todo")], b"first\r\n").encode())
MIDDLE = record(MARKER, MESSAGE, MAIL.encode())
AFTER = end_record(MARKER, ["before", "h\udcff"])
LAID_OUT = [b"", bytes(5000)]  # ahead of what is written


def sound(data: bytes) -> list[bytes]:
    return [found.payload for found in scan(MARKER, data) if isinstance(found, Record)]


def damaged(data: bytes) -> list[Damage]:
    return [found for found in scan(MARKER, data) if isinstance(found, Damage)]


@pytest.mark.parametrize(
    "mail",
    [
        MAIL,
        JournalMail([], b""),
        JournalMail([("n", b"")], b""),
        JournalMail(
            [(f"name{number}", bytes([number]) * number) for number in range(256)], bytes(range(256))
        ),
    ],
)
def test_a_mail_comes_back(mail: JournalMail) -> None:
    assert JournalMail.decode(mail.encode()) == mail


def test_records_follow_one_another() -> None:
    found = list(scan(MARKER, BEFORE + MIDDLE + AFTER))
    assert [(item.start, item.end, item.kind) for item in found if isinstance(item, Record)] == [
        (0, len(BEFORE), MESSAGE),
        (len(BEFORE), len(BEFORE + MIDDLE), MESSAGE),
        (len(BEFORE + MIDDLE), len(BEFORE + MIDDLE + AFTER), END),
    ]
    assert JournalMail.decode(found[1].payload) == MAIL
    assert ended(found[2].payload) == ["before", "h\udcff"]
    assert record_at(MARKER, MIDDLE, 0) == Record(0, len(MIDDLE), MESSAGE, MAIL.encode())


@pytest.mark.parametrize("data", [b"", b"\0" * 5000])
def test_nothing_and_zeros_are_nothing(data: bytes) -> None:
    assert list(scan(MARKER, data)) == []
    assert sound(BEFORE + data + AFTER) == sound(BEFORE + AFTER)
    assert damaged(BEFORE + data + AFTER + data) == []


@pytest.mark.parametrize("bit", [1, 0x80])
def test_any_byte_may_flip_and_only_its_record_is_lost(bit: int) -> None:
    around = sound(BEFORE + AFTER)
    for position in range(len(MIDDLE)):
        bad = bytearray(MIDDLE)
        bad[position] ^= bit
        data = BEFORE + bytes(bad) + AFTER
        assert sound(data) == around, position
        assert damaged(data) == [Damage(len(BEFORE), len(BEFORE + MIDDLE), False)], position


@pytest.mark.parametrize("laid_out", LAID_OUT)
def test_any_byte_may_flip_in_the_last_record_too(laid_out: bytes) -> None:
    for position in range(len(MIDDLE)):
        bad = bytearray(MIDDLE)
        bad[position] ^= 1
        data = BEFORE + bytes(bad) + laid_out
        assert sound(data) == sound(BEFORE)
        assert damaged(data) == [Damage(len(BEFORE), len(BEFORE + MIDDLE), False)], (
            "nobody may take a whole record that is damaged for one that was never finished"
        )


@pytest.mark.parametrize("laid_out", LAID_OUT)
def test_cut_off_anywhere_only_the_last_is_lost_and_known_to_be_unfinished(laid_out: bytes) -> None:
    for size in range(1, len(MIDDLE)):
        data = BEFORE + MIDDLE[:size] + laid_out
        end = len(data.rstrip(b"\0"))
        assert sound(data) == sound(BEFORE)
        assert damaged(data) == ([Damage(len(BEFORE), end, True)] if end > len(BEFORE) else [])
    data = BEFORE + MIDDLE[:HEAD_LENGTH] + laid_out
    assert damaged(data) == [Damage(len(BEFORE), len(BEFORE) + HEAD_LENGTH, True)]


def test_a_last_record_with_a_hole_is_set_aside() -> None:
    """Not all of its pages came to the disk, or one was lost: nobody knows, so a human may look."""
    for start in range(len(MIDDLE) - 4):
        data = BEFORE + MIDDLE[:start] + bytes(3) + MIDDLE[start + 3 :] + bytes(5000)
        if data != BEFORE + MIDDLE + bytes(5000):
            assert damaged(data) == [Damage(len(BEFORE), len(BEFORE + MIDDLE), False)], start


def test_cut_off_in_the_middle_what_follows_is_found() -> None:
    for size in range(len(MIDDLE)):
        assert sound(BEFORE + MIDDLE[:size] + AFTER) == sound(BEFORE + AFTER)


def test_a_message_cannot_pass_for_a_record() -> None:
    """Its author does not know the marker; and with it, the checksum of the record around it still holds."""
    trojan = record(MARKER, MESSAGE, JournalMail([("x", b"y")], MIDDLE + AFTER).encode())
    assert [JournalMail.decode(payload).entries for payload in sound(trojan)] == [[("x", b"y")]]


@pytest.mark.parametrize("kind", [b"X", b"\0"])
def test_a_record_of_another_kind_is_damage(kind: bytes) -> None:
    assert sound(record(MARKER, kind, b"payload")) == []


# -- names


def test_a_name_tells_whose_it_is() -> None:
    name = SegmentName.new(Share(2, 5))
    assert SegmentName.parse(name.text) == name
    assert (name.slot, name.slots, len(name.marker)) == (2, 5, 8)
    assert name.belongs_to(Share(2, 5)) and name.belongs_to(EVERYTHING)
    assert not name.belongs_to(Share(1, 5)) and not name.belongs_to(Share(2, 4))
    assert SegmentName.new(Share(2, 5)).marker != name.marker


@pytest.mark.parametrize(
    "text",
    [
        "",
        "journal",
        "journal.0.1.5",
        "journal.0.1.5.0123",
        "journal.0.1.5.0123456789ABCDEF",
        "journal.x.1.5.0123456789abcdef",
    ],
)
def test_what_is_no_name(text: str) -> None:
    assert SegmentName.parse(text) is None
