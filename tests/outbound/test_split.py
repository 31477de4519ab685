"""One message, one envelope for each destination."""

import time

import pytest

from mta.message.stream import MessageStream
from mta.outbound.split import split
from mta.smtp.address import NULL, Address
from mta.transaction import Transaction


def transaction(*rcpts: str) -> Transaction:
    made = Transaction("UUID.1", Address.parse("<alice@example.org>"), MessageStream())
    made.rcpt_to.extend(Address.parse(f"<{rcpt}>") for rcpt in rcpts)
    return made


@pytest.mark.parametrize(
    ("rcpts", "by_domain", "each"),
    [
        ([], [], []),
        (["a@x.com"], [["a@x.com"]], [["a@x.com"]]),
        (
            ["a@x.com", "b@y.com", "c@X.com"],
            [["a@x.com", "c@x.com"], ["b@y.com"]],
            [["a@x.com"], ["b@y.com"], ["c@x.com"]],
        ),
        (["a@x.com", "a@x.com", "A@x.com"], [["a@x.com", "A@x.com"]], [["a@x.com"], ["A@x.com"]]),
        (["a@x.com", "postmaster"], [["a@x.com"], ["postmaster"]], [["a@x.com"], ["postmaster"]]),
    ],
)
def test_groups(rcpts: list[str], by_domain: list[list[str]], each: list[list[str]]) -> None:
    for always_split, expected in ((False, by_domain), (True, each)):
        todos = split(transaction(*rcpts), always_split)
        assert [[rcpt.address for rcpt in todo.rcpt_to] for todo in todos] == expected
        assert [todo.domain for todo in todos] == [todo.rcpt_to[0].host for todo in todos]
        assert [todo.uuid for todo in todos] == [f"UUID.1.{n}" for n in range(1, len(todos) + 1)]


def test_what_an_envelope_takes_from_the_transaction() -> None:
    mail = transaction("a@x.com")
    mail.mail_from = NULL
    mail.notes["tag"] = "blue"
    (todo,) = split(mail, False, now_ms=1234)
    assert todo.mail_from.is_null
    assert todo.notes["tag"] == "blue"
    assert todo.queue_time == 1234
    assert not todo.force_tls


def test_the_time_is_now() -> None:
    before = int(time.time() * 1000)
    (todo,) = split(transaction("a@x.com"), False)
    assert before <= todo.queue_time <= time.time() * 1000
