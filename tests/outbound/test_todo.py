"""The envelope in a queue file."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mta.notes import Notes
from mta.outbound.spool_errors import CorruptEntry
from mta.outbound.todo import Todo
from mta.smtp.address import NULL, Address
from tests.support.entries import NOW, todo

# As Haraka 3.1.6 writes it for mail from a bounce and for mail from a user.
HARAKA = """
{
\t"queue_time": 1784878079415,
\t"domain": "example.com",
\t"rcpt_to": [
\t\t{
\t\t\t"original": "<Bob@Example.com>",
\t\t\t"original_host": "Example.com",
\t\t\t"host": "example.com",
\t\t\t"user": "Bob"
\t\t}
\t],
\t"mail_from": %s,
\t"notes": {
\t\t"skip_plugins": [],
\t\t"authentication_results": [
\t\t\t"iprev=pass"
\t\t]
\t},
\t"uuid": "36B2D3F1-9D7A-4C0B-A7A1-5B2A4C2F0A11.1.1",
\t"force_tls": false
}
"""
ALICE = """{
\t\t"original": "<alice@example.org>",
\t\t"original_host": "example.org",
\t\t"host": "example.org",
\t\t"user": "alice"
\t}"""
NOBODY = """{
\t\t"original": "<>",
\t\t"user": null,
\t\t"host": null
\t}"""


@pytest.mark.parametrize(("record", "sender"), [(ALICE, Address("alice", "example.org")), (NOBODY, NULL)])
def test_what_haraka_wrote(record: str, sender: Address) -> None:
    data = (HARAKA % record).encode()
    envelope = Todo.decode(data)
    assert envelope == Todo(
        queue_time=NOW,
        domain="example.com",
        rcpt_to=[Address("Bob", "example.com")],
        mail_from=sender,
        notes=Notes(skip_plugins=[], authentication_results=["iprev=pass"]),
        uuid="36B2D3F1-9D7A-4C0B-A7A1-5B2A4C2F0A11.1.1",
    )
    assert envelope.rcpt_to[0].original == "Bob@Example.com"
    # The same keys in the same order; only the white space is ours.
    assert envelope.encode().decode() == f"\n{json.dumps(json.loads(data))}\n"


def test_unknown_keys_stay() -> None:
    record = {**json.loads(todo().encode()), "dsn": {"ret": "HDRS"}, "force_tls": True}
    envelope = Todo.decode(json.dumps(record).encode())
    assert envelope.force_tls
    assert json.loads(envelope.encode()) == record
    assert json.loads(envelope.with_recipients(envelope.rcpt_to).encode()) == record


def test_utf8() -> None:
    envelope = todo()
    envelope.rcpt_to = [Address.parse("<jürgen@müller.example>")]
    envelope.notes["greeting"] = "日本"
    data = envelope.encode()
    assert "jürgen".encode() in data and "日本".encode() in data
    again = Todo.decode(data)
    assert again == envelope
    assert again.rcpt_to[0].is_utf8


def test_with_recipients() -> None:
    one = todo(rcpts=3)
    two = one.with_recipients(one.rcpt_to[1:])
    assert [len(one.rcpt_to), len(two.rcpt_to)] == [3, 2]
    assert (two.uuid, two.domain, two.queue_time) == (one.uuid, one.domain, one.queue_time)


def test_notes_without_a_json_form() -> None:
    envelope = todo()
    ring: list[Any] = []
    ring.append(ring)
    envelope.notes.update(
        kept={"a": [1, 2.5, True, None, "x"]}, socket=object(), nan=float("nan"), pair=(1, object()),
        surrogate="\ud800", none=None, ring=ring, keys={(1, 2): 3, "b": 4},
    )  # fmt: skip
    notes = Todo.decode(envelope.encode()).notes
    assert notes["kept"] == {"a": [1, 2.5, True, None, "x"]}
    assert "socket" not in notes and "nan" not in notes
    assert notes["pair"] == [1, None]
    assert notes["surrogate"] == "\ud800"
    assert notes["none"] is None
    assert notes["keys"] == {"b": 4}


def without(key: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(todo().encode())
    del record[key]
    return record


def with_(**changes: Any) -> dict[str, Any]:
    return {**json.loads(todo().encode()), **changes}


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([], "not a JSON object but an empty list"),
        ("x", "not a JSON object but str"),
        (without("rcpt_to"), "rcpt_to is not a list of addresses but missing"),
        (without("mail_from"), "mail_from is not an address but missing"),
        (without("domain"), "domain is not text"),
        (without("uuid"), "uuid is not text"),
        (without("queue_time"), "queue_time is not a time"),
        (with_(queue_time="now"), "queue_time is not a time"),
        (with_(queue_time=True), "queue_time is not a time"),
        (with_(queue_time=-1), "queue_time is not a time"),
        (with_(queue_time=10**400), "queue_time is not a time"),
        (with_(rcpt_to=[]), "rcpt_to is not a list of addresses but an empty list"),
        (with_(rcpt_to={}), "rcpt_to is not a list of addresses"),
        (with_(rcpt_to=["bob@example.com"]), "rcpt_to is not an address but str"),
        (with_(rcpt_to=[{"original": "<>", "user": None, "host": None}]), "rcpt_to has the null address"),
        (with_(rcpt_to=[{"user": "a\r\nRSET", "host": "b"}]), "rcpt_to: "),
        (with_(rcpt_to=[{"user": 1, "host": "b"}]), "rcpt_to: "),
        (with_(mail_from=None), "mail_from is not an address"),
        (with_(mail_from={"user": "a", "host": "b c"}), "mail_from: "),
        (with_(domain="a\r\nb"), "not a domain"),
        (with_(domain=5), "domain is not text but int"),
        (with_(notes=[1]), "notes are not an object but list"),
        (with_(uuid=None), "uuid is not text"),
    ],
)
def test_json_of_the_wrong_shape(record: object, why: str) -> None:
    with pytest.raises(CorruptEntry, match=why):
        Todo.decode(json.dumps(record).encode())


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\n{", b"{}{}", b"\xff\xfe", b"[" * 100_000, b'{"queue_time": NaN}', b"\0\0\0\0"]
)
def test_no_json(data: bytes) -> None:
    with pytest.raises(CorruptEntry, match="the todo is not JSON"):
        Todo.decode(data)


def test_missing_notes_are_none() -> None:
    assert Todo.decode(json.dumps(without("notes")).encode()).notes == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(list(json.loads(todo().encode()))), JSON))
def test_whatever_a_file_holds(changes: dict[str, Any]) -> None:
    try:
        envelope = Todo.decode(json.dumps(with_(**changes)).encode())
    except CorruptEntry:
        return
    assert Todo.decode(envelope.encode()) == envelope
