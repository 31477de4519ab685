"""Submission: what is added to the header, what lies on disk before the reply, and what a full disk does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from mta.config.schema import OutboundSettings
from mta.connection import Connection
from mta.message.stream import MessageStream
from mta.outbound.hot import HotMessage
from mta.outbound.qfile import QueueFileName
from mta.outbound.submit import Submitter
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import (
    CONT,
    DELAY,
    DENY,
    DENYDISCONNECT,
    DENYSOFT,
    DENYSOFTDISCONNECT,
    OK,
    STOP,
)
from mta.smtp.address import NULL, Address
from mta.smtp.dsn import DSN
from mta.transaction import Transaction
from tests.support.outbound import opened, queue_files
from tests.support.plugins import runner_of

FULL = b"Message-Id: <x@a.test>\r\nDate: Sun, 22 Nov 2026 01:21:39 +0000\r\n\r\nbody\r\n.dot\r\n"


class Stamp(Plugin):
    """Adds a field at the last moment, and says what it is told to."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer

    def hook_pre_send_trans_email(self, connection):
        self.seen: Connection = connection
        connection.transaction.add_header("X-Stamp", "yes")
        return self.answer


class Pardon(Plugin):
    """Forgives whoever refuses."""

    def hook_deny(self, connection, denial):
        return OK


class Post:
    def __init__(self, directory: Path, *plugins: Plugin, **settings: object) -> None:
        runner, self.lines = runner_of(*plugins)
        self.directory = directory
        self.spool, self.disk = opened(directory, runner._logger)
        self.woken: list[tuple[list[str], list[list[str]], HotMessage | None]] = []
        self.submitter = Submitter(
            self.spool,
            runner,
            runner._logger,
            OutboundSettings(**settings),
            "relay.test",
            self.wake,
            keeps=lambda size: True,
        )

    def wake(self, names, todos, hot):
        # Whoever is woken must find the files: the mail is durable by now.
        assert {name.text for name in names} <= set(queue_files(self.directory))
        self.woken.append(
            ([name.text for name in names], [[r.address for r in todo.rcpt_to] for todo in todos], hot)
        )

    def submit(self, message: bytes, *rcpts: str, stream: MessageStream | None = None):
        transaction = Transaction(
            "UUID.1", Address.parse("sender@a.test"), stream or MessageStream.from_message(message)
        )
        transaction.rcpt_to = [Address.parse(rcpt) for rcpt in rcpts or ("joe@b.test",)]
        self.transaction = transaction
        return self.submitter.submit(transaction)

    def stored(self) -> bytes:
        """The message of the only entry, in SMTP form."""
        (text,) = queue_files(self.directory)
        data = (self.directory / text).read_bytes()
        return data[4 + int.from_bytes(data[:4], "big") :]


@pytest.fixture
def post(tmp_path: Path) -> Iterator:
    made: list[Post] = []

    def make(*plugins: Plugin, **settings: object) -> Post:
        made.append(Post(tmp_path / "queue", *plugins, **settings))
        return made[-1]

    yield make
    for each in made:
        each.spool.close()


def test_reply_and_entry(post) -> None:
    desk = post()
    reply = desk.submit(FULL)
    assert str(reply) == "250 2.0.0 Message Queued (UUID.1)"
    ((names, rcpts, hot),) = desk.woken
    assert rcpts == [["joe@b.test"]]
    arrival, due, attempts = names[0].split("_")[:3]
    assert (arrival, attempts) == (due, "0")
    assert b"".join(hot.chunks()) == desk.stored()
    assert hot.size == len(desk.stored())
    assert desk.transaction.results.has("outbound", "pass", "queued")


def test_received_is_added_in_front_and_the_rest_is_untouched(post) -> None:
    desk = post()
    desk.submit(FULL)
    assert re.fullmatch(
        rb"Received: \(Haraka outbound\); \w{3}, [^\r\n]+\r\n" + re.escape(FULL.replace(b"\r\n.", b"\r\n..")),
        desk.stored(),
    )


@pytest.mark.parametrize(
    ("value", "field"), [("Haraka outbound", True), ("my relay", True), ("disabled", False)]
)
def test_received_header_setting(value: str, field: bool, post) -> None:
    desk = post(received_header=value)
    desk.submit(FULL)
    assert (f"Received: ({value})".encode() in desk.stored()) is field


@pytest.mark.parametrize("header", [b"", b"Message-Id: <>\r\n"])
def test_missing_or_empty_message_id(header: bytes, post) -> None:
    desk = post()
    desk.submit(header + b"Subject: x\r\n\r\nbody\r\n")
    assert re.findall(rb"(?i)message-id: (.*)\r\n", desk.stored()) == [b"<UUID.1@relay.test>"]


def test_missing_date(post) -> None:
    desk = post()
    desk.submit(b"Subject: x\r\n\r\nbody\r\n")
    assert len(re.findall(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} ", desk.stored())) == 1


def test_present_fields_are_not_added(post) -> None:
    desk = post()
    desk.submit(FULL.replace(b"Message-Id", b"MESSAGE-ID").replace(b"Date", b"DATE"))
    assert desk.stored().lower().count(b"message-id:") == 1
    assert desk.stored().lower().count(b"date:") == 1


def test_one_entry_a_domain(post) -> None:
    desk = post()
    desk.submit(FULL, "a@b.test", "c@d.test", "e@b.test")
    assert desk.woken[0][1] == [["a@b.test", "e@b.test"], ["c@d.test"]]
    assert len(queue_files(desk.directory)) == 2


def test_always_split(post) -> None:
    desk = post(always_split=True)
    desk.submit(FULL, "a@b.test", "c@b.test")
    assert desk.woken[0][1] == [["a@b.test"], ["c@b.test"]]


def test_hook_sees_the_transaction(post) -> None:
    plugin = Stamp()
    desk = post(plugin)
    assert desk.submit(FULL).code == 250
    assert b"X-Stamp: yes\r\n" in desk.stored()
    assert plugin.seen.transaction is desk.transaction
    assert (plugin.seen.uuid, plugin.seen.relaying) == ("UUID.1", True)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (None, "250 2.0.0 Message Queued (UUID.1)"),
        (CONT, "250 2.0.0 Message Queued (UUID.1)"),
        (OK, "250 2.0.0 Message Queued (UUID.1)"),
        (STOP, "250 2.0.0 Message Queued (UUID.1)"),
        (DELAY, "250 2.0.0 Message Queued (UUID.1)"),
        (DENY, "550 5.7.1 Message denied"),
        (DENYDISCONNECT, "550 5.7.1 Message denied"),
        (DENYSOFT, "450 4.7.1 Message denied temporarily"),
        (DENYSOFTDISCONNECT, "450 4.7.1 Message denied temporarily"),
        ((DENY, "not signed"), "550 5.7.1 not signed"),
        ((DENY, "5.6.7 not signed"), "550 5.6.7 not signed"),
        ((DENYSOFT, ["try", "later"]), "450 4.7.1 try later"),
        ((DENY, DSN.sec_unauthorized("no", 554)), "554 5.7.1 no"),
    ],
)
def test_hook_may_refuse_and_then_nothing_is_queued(answer: object, reply: str, post) -> None:
    desk = post(Stamp(answer))
    said = desk.submit(FULL)
    assert str(said) == reply
    assert said.close is (answer in (DENYDISCONNECT, DENYSOFTDISCONNECT))
    kept = said.code == 250
    assert (len(queue_files(desk.directory)), len(desk.woken)) == ((1, 1) if kept else (0, 0))
    assert desk.transaction.results.has("outbound", "pass", "queued") is kept


def test_hook_may_be_pardoned(post) -> None:
    desk = post(Stamp(DENY), Pardon())
    assert desk.submit(FULL).code == 250


def test_message_in_a_file_is_not_hot(post, tmp_path: Path) -> None:
    stream = MessageStream(str(tmp_path), spool_after=0, name="big")
    stream.append(b"body\r\n" * 1000)
    desk = post()
    assert desk.submit(b"", stream=stream).code == 250
    assert desk.woken[0][2] is None
    assert desk.stored().endswith(b"\r\n\r\n" + b"body\r\n" * 1000)
    stream.discard()


@pytest.mark.parametrize("call", ["create", "sync", "rename"])
def test_disk_full_is_451_and_leaves_nothing(call: str, post) -> None:
    desk = post()
    desk.disk.failing = {call}
    reply = desk.submit(FULL, "a@b.test", "c@d.test")
    assert (reply.code, reply.enhanced) == (451, "4.3.0")
    assert (queue_files(desk.directory), desk.woken) == ([], [])
    assert any("[ERROR]" in line and "No space left" in line for line in desk.lines)
    desk.disk.failing = set()
    assert desk.submit(FULL).code == 250


def test_no_recipients(post) -> None:
    desk = post()
    desk.submit(FULL)
    desk.transaction.rcpt_to = []
    assert str(desk.submitter.submit(desk.transaction)) == "550 5.1.3 No recipients for email"


# -- mail of our own


@pytest.mark.parametrize(
    "contents", [b"Subject: x\n\n.dot\nend", b"Subject: x\r\n\r\n.dot\r\nend\r\n", b"Subject: x\r\r.dot\rend"]
)
def test_send_normalises_lines_and_stuffs_dots(contents: bytes, post) -> None:
    desk = post(received_header="disabled")
    reply = desk.submitter.send(NULL, [Address.parse("joe@b.test"), Address.parse("joe@b.test")], contents)
    assert reply.code == 250
    assert desk.stored().startswith(b"Subject: x\r\nMessage-Id: <")
    assert desk.stored().endswith(b"\r\n\r\n..dot\r\nend\r\n")
    assert desk.woken[0][1] == [["joe@b.test"]]


def test_send_uses_a_fresh_uuid(post) -> None:
    desk = post()
    first, second = (desk.submitter.send(NULL, [Address.parse("joe@b.test")], b"") for _ in range(2))
    assert re.fullmatch(r"Message Queued \([0-9A-F]{8}-[0-9A-F-]{27}\)", first.text)
    assert first.text != second.text


@pytest.mark.parametrize(
    ("mail_from", "rcpts"),
    [
        ("me@a.test", "joe@b.test"),
        ("<me@a.test>", ["<joe@b.test>", Address.parse("joe@b.test")]),
        (Address.parse("me@a.test"), Address.parse("joe@b.test")),
        ("me@a.test", iter(("joe@b.test",))),
    ],
)
def test_send_takes_addresses_in_any_form(mail_from: object, rcpts: object, post) -> None:
    desk = post()
    assert desk.submitter.send(mail_from, rcpts, "Subject: x\n\nhi").code == 250
    assert desk.woken[0][1] == [["joe@b.test"]]
    (entry,) = queue_files(desk.directory)
    todo, _ = desk.spool.load(QueueFileName.parse(entry))
    assert todo.mail_from == Address.parse("me@a.test")


def test_send_keeps_notes_and_replaces_fields(post) -> None:
    desk = post(received_header="disabled")
    contents = "Message-Id: <theirs@a.test>\nDate: then\nSubject: x\n\nhi\n"
    reply = desk.submitter.send(
        "me@a.test", "joe@b.test", contents, notes={"why": "test"}, remove_msgid=True, remove_date=True
    )
    assert reply.code == 250
    assert b"theirs@a.test" not in desk.stored() and b"Date: then" not in desk.stored()
    assert re.findall(rb"(?m)^(Message-Id|Date): ", desk.stored()) == [b"Message-Id", b"Date"]
    (entry,) = queue_files(desk.directory)
    assert desk.spool.load(QueueFileName.parse(entry))[0].notes == {"skip_plugins": [], "why": "test"}


def test_send_refuses_what_is_no_mail_and_says_why(post) -> None:
    desk = post()
    reply = desk.submitter.send("me@", "joe@b.test", "")
    assert (reply.code, reply.enhanced) == (550, "5.1.7")
    assert (queue_files(desk.directory), desk.woken) == ([], [])
    assert any("cannot send email: 550 5.1.7 Malformed from: " in line for line in desk.lines)


def test_send_survives_a_full_disk(post) -> None:
    desk = post()
    desk.disk.failing = {"sync"}
    assert desk.submitter.send(NULL, "joe@b.test", "x").code == 451


@pytest.mark.parametrize(
    ("origin", "shown"),
    [("my plugin", "my plugin"), (SimpleNamespace(uuid="ABC.1"), "ABC.1"), (Stamp(), "stamp"), (7, "7")],
)
def test_the_log_names_the_reason(origin: object, shown: str, post) -> None:
    if isinstance(origin, Plugin):
        origin.name = "stamp"
    desk = post()
    desk.submitter.send(NULL, "joe@b.test", "x", origin=origin)
    desk.submitter.send(NULL, "joe@", "x", origin=origin)
    assert sum(f"origin={shown}" in line or f'origin="{shown}"' in line for line in desk.lines) == 2
