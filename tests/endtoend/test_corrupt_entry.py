"""A queue file that cannot be understood is set aside and told once; all others are delivered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.endtoend.conftest import RelayTo, check_end
from tests.support.client import RawClient
from tests.support.ports import free_port
from tests.support.server import eventually
from tests.support.sink import RecordingSink

NAME = "1700000000000_1700000000000_0_1234_aBcDeF_%d_relay"


def with_todo(text: bytes) -> bytes:
    return len(text).to_bytes(4, "big") + text + b"Subject: x\r\n\r\nbody\r\n"


def todo(**changes: object) -> bytes:
    """Return a todo as Haraka writes it, with keys changed, or left out where None is given."""
    address = {
        "original": "<a@example.com>",
        "original_host": "example.com",
        "host": "example.com",
        "user": "a",
    }
    keys = {"queue_time": 1700000000000, "domain": "example.com", "rcpt_to": [address], "mail_from": address}
    keys.update(notes={}, uuid="00000000-0000-0000-0000-000000000000.1", force_tls=False, **changes)
    return json.dumps({key: value for key, value in keys.items() if value is not None}).encode()


CORRUPT = {
    "zero bytes": b"",
    "two bytes": b"\0\0",
    "shorter than declared": b"\0\1\0\0{}",
    "an enormous length": b"\xff\xff\xff\xff{}",
    "no JSON": with_todo(b"\n{not json}\n"),
    "no object": with_todo(b"[1, 2]"),
    "no UTF-8": with_todo(b'{"domain": "\xff\xfe"}'),
    "no recipients": with_todo(todo(rcpt_to=None)),
    "a recipient that is none": with_todo(todo(rcpt_to=["a@example.com"])),
    "no sender": with_todo(todo(mail_from=None)),
    "random octets": bytes(range(256)) * 4,
}


def test_corrupt_entries_are_set_aside(relay_to: RelayTo, sink: RecordingSink) -> None:
    relay = relay_to(free_port(), retries="1h")
    with RawClient(relay.port) as client:
        assert client.send(
            "sender@example.test", "good@example.com", b"Subject: good\r\n\r\nbody\r\n"
        ).startswith("250")
    assert eventually(relay.deferred)
    relay.stop()
    names = {what: NAME % number for number, what in enumerate(CORRUPT)}
    for what, name in names.items():
        (relay.queue / name).write_bytes(CORRUPT[what])
    (relay.directory / "config" / "outbound.ini").write_text(
        f"[smarthost]\nhost=127.0.0.1:{sink.port}\ntls=off\n"
    )
    relay.start()
    relay.flush()
    sink.wait_for_rcpt("good@example.com")
    assert eventually(lambda: relay.entries() == sorted(f"error.{name}" for name in names.values())), [
        what for what, name in names.items() if f"error.{name}" not in relay.entries()
    ]
    check_end(relay)  # its log is complete now
    for what, name in names.items():
        assert (relay.queue / f"error.{name}").read_bytes() == CORRUPT[what]
        told = [
            line
            for line in relay.log.splitlines()
            if name in line and ("[ERROR]" in line or "[CRIT]" in line)
        ]
        assert len(told) == 1, (what, told)
    assert len(sink.messages) == 1


@pytest.mark.parametrize("name", ["README", "a_b_c_d_e_f_g", "1_2_3", "error.1_2_3_4_5_6_7", "directory/"])
def test_strange_names_are_left_alone(
    relay_to: RelayTo, sink: RecordingSink, tmp_path: Path, name: str
) -> None:
    strange = tmp_path / "relay" / "queue" / name
    strange.parent.mkdir(parents=True)
    if name.endswith("/"):
        strange.mkdir()
    else:
        strange.write_bytes(b"\0\0\0\2{}")
    relay = relay_to(sink.port)
    with RawClient(relay.port) as client:
        assert client.send(
            "sender@example.test", "good@example.com", b"Subject: good\r\n\r\nbody\r\n"
        ).startswith("250")
    sink.wait_for_rcpt("good@example.com")
    assert strange.exists()
