"""The recording sink keeps octets as they came; without that the tests that lean on it would prove nothing."""

from __future__ import annotations

import pytest

from tests.support.client import RawClient, stuff
from tests.support.compare import assert_same_message
from tests.support.sink import RecordingSink

MESSAGES = [
    b"",
    b"\r\n",
    b".\r\n",
    b"..\r\n.\r\n",
    b"Subject: x\r\n\r\n\r\n.\r\n\xff\x00\r\n.",
    b"a\nb\r.\n.\r\n",
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_every_octet_is_kept(message: bytes) -> None:
    whole = message if not message or message.endswith(b"\r\n") else message + b"\r\n"
    with RecordingSink() as sink, RawClient(sink.port) as client:
        for cut in range(len(stuff(message)) + 3):
            wire = stuff(message) + b".\r\n"
            assert client.envelope("a@b.test", "c@d.test", "e@f.test").startswith("354")
            assert client.pieces([wire[:cut], wire[cut:]]).startswith("250")
        assert {got.data for got in sink.messages} == {whole}
        assert {got.wire for got in sink.messages} == {stuff(message)}
        assert sink.messages[0].rcpts == ("c@d.test", "e@f.test")


def test_the_script_decides_by_recipient_and_attempt() -> None:
    def script(stage: str, address: str, attempt: int) -> str | None:
        return "451 later" if (stage, address) == ("rcpt", "x@y.test") and attempt == 1 else None

    with RecordingSink(script) as sink, RawClient(sink.port) as client:
        client.command("MAIL FROM:<a@b.test>")
        assert client.command("RCPT TO:<x@y.test>") == "451 later"
        assert client.command("RCPT TO:<z@y.test>").startswith("250")
        assert client.command("RCPT TO:<x@y.test>").startswith("250")
        assert not sink.messages


@pytest.mark.parametrize(
    "got",
    [
        pytest.param(b"Received: r\r\n\tr\r\nA: b\r\nDate: d\r\n\r\nbody", id="shorter body"),
        pytest.param(b"A: b\r\n\r\nBody\r\n", id="changed body"),
        pytest.param(b"A:  b\r\n\r\nbody\r\n", id="changed field"),
        pytest.param(b"A: b\r\nB: c\r\n\r\nbody\r\n", id="unknown field"),
        pytest.param(b"A: b\r\n\r\n\r\nbody\r\n", id="another blank line"),
        pytest.param(b"A: b\r\nReceived: r\r\nx\r\n\r\nbody\r\n", id="broken field"),
    ],
)
def test_differences_are_found(got: bytes) -> None:
    sent = b"A: b\r\n\r\nbody\r\n"
    assert_same_message(
        sent, b"Received: r\r\n\tr\r\nMessage-Id: <x>\r\n" + sent.replace(b"\r\n\r\n", b"\r\nDate: d\r\n\r\n")
    )
    with pytest.raises(AssertionError):
        assert_same_message(sent, got)
