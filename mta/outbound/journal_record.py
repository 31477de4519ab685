"""Records of a journal segment: messages that came, and names of entries that are done with, as bytes. Pure functions.

    record  = marker kind length checksum head-checksum payload      ; big-endian, checksums are CRC-32
    message = count *(name-length todo-length) *(name todo) message  ; kind M
    end     = name *(LF name)                                        ; kind E

The marker belongs to one segment and nobody outside knows it, so no message can pass for a record, and what follows a
damaged record is found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

MESSAGE, END = b"M", b"E"
MARKER_LENGTH = 8

_HEAD = Struct(f">{MARKER_LENGTH}scII")
_CHECK = Struct(">I")
_COUNT = Struct(">I")
_LENGTHS = Struct(">HI")
_ONE_ENTRY = Struct(">IHI")  # both
HEAD_LENGTH = _HEAD.size + _CHECK.size


@dataclass(frozen=True, slots=True)
class Record:
    """A sound record: from `start` up to `end` in the segment."""

    start: int
    end: int
    kind: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record. unfinished: the segment ends before their record does, so nobody was promised it."""

    start: int
    end: int
    unfinished: bool


@dataclass(slots=True)
class JournalMail:
    """One message and its entries: names of queue files with their encoded todos."""

    entries: Sequence[tuple[str, bytes]]
    message: bytes

    def encode(self) -> bytes:
        """The payload of a record."""
        return self.head() + self.message

    def head(self) -> bytes:
        """What stands before the message in the payload."""
        if len(self.entries) == 1:  # as most have; what follows gives the same
            ((name, todo),) = self.entries
            encoded = name.encode(errors="surrogateescape")
            return b"".join((_ONE_ENTRY.pack(1, len(encoded), len(todo)), encoded, todo))
        lengths = [_COUNT.pack(len(self.entries))]
        parts: list[bytes] = []
        for name, todo in self.entries:
            encoded = name.encode(errors="surrogateescape")
            lengths.append(_LENGTHS.pack(len(encoded), len(todo)))
            parts += encoded, todo
        return b"".join(lengths + parts)

    @staticmethod
    def decode(payload: bytes) -> JournalMail:
        """The mail of a sound record's payload."""
        (count,) = _COUNT.unpack_from(payload)
        position = _COUNT.size + count * _LENGTHS.size
        entries = []
        for name_length, todo_length in _LENGTHS.iter_unpack(payload[_COUNT.size : position]):
            middle = position + name_length
            end = middle + todo_length
            name = payload[position:middle].decode(errors="surrogateescape")
            entries.append((name, payload[middle:end]))
            position = end
        return JournalMail(entries, payload[position:])


def record(marker: bytes, kind: bytes, payload: bytes) -> bytes:
    """A record as it is written."""
    head = _HEAD.pack(marker, kind, len(payload), crc32(payload))
    return head + _CHECK.pack(crc32(head)) + payload


def mail_record(marker: bytes, mail: JournalMail) -> tuple[bytes, bytes]:
    """The record of a mail in two pieces, of which the second is the message itself."""
    before = mail.head()
    checksum = crc32(mail.message, crc32(before))
    head = _HEAD.pack(marker, MESSAGE, len(before) + len(mail.message), checksum)
    return b"".join((head, _CHECK.pack(crc32(head)), before)), mail.message


def end_record(marker: bytes, names: Sequence[str]) -> bytes:
    """The record that these entries are done with, or lie in files of their own."""
    return record(marker, END, "\n".join(names).encode(errors="surrogateescape"))


def ended(payload: bytes) -> list[str]:
    """The names in an end record."""
    return payload.decode(errors="surrogateescape").split("\n")


def scan(marker: bytes, data: bytes) -> Iterator[Record | Damage]:
    """What a segment holds, in order; zeros between records are nothing."""
    sound = position = 0  # everything before `sound` has been told
    while (start := data.find(marker, position)) >= 0:
        found = record_at(marker, data, start)
        if found is None:
            position = start + 1
            continue
        yield from _damage(data, sound, start)
        yield found
        sound = position = found.end
    yield from _damage(data, sound, len(data))


def record_at(marker: bytes, data: bytes, start: int) -> Record | None:
    """The record that begins there, None when it is damaged."""
    head = _head(marker, data, start)
    if head is None:
        return None
    kind, length, checksum = head
    end = start + HEAD_LENGTH + length
    payload = data[start + HEAD_LENGTH : end]
    if len(payload) != length or crc32(payload) != checksum:
        return None
    return Record(start, end, kind, payload)


def _head(marker: bytes, data: bytes, start: int) -> tuple[bytes, int, int] | None:
    """Kind, length and checksum of a record's payload."""
    head = data[start : start + HEAD_LENGTH]
    if len(head) < HEAD_LENGTH or _CHECK.unpack_from(head, _HEAD.size) != (crc32(head[: _HEAD.size]),):
        return None
    found, kind, length, checksum = _HEAD.unpack_from(head)
    return (kind, length, checksum) if found == marker and kind in (MESSAGE, END) else None


def _damage(data: bytes, start: int, end: int) -> Iterator[Damage]:
    written = data[start:end].rstrip(b"\0")
    if end < len(data):
        if written:
            yield Damage(start, end, False)
    elif written:
        # What a segment was laid out with ahead, or the rest of a record that never came: no record ends in a zero.
        yield Damage(start, start + len(written), _is_cut_off(written))


def _is_cut_off(written: bytes) -> bool:
    """True when these last bytes of a segment are the beginning of a record whose write was never finished."""
    if len(written) < HEAD_LENGTH:
        return True
    length = _HEAD.unpack_from(written)[2]
    return _head(written[:MARKER_LENGTH], written, 0) is not None and len(written) < HEAD_LENGTH + length
