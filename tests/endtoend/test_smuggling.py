"""SMTP smuggling (CVE-2023-51764 and its kin): every false end of data, through every way out, read as the most careless
next hop would read it. The table of all cells is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import server
from tests.support.client import RawClient
from tests.support.server import Server
from tests.support.sink import Received, RecordingSink
from tests.support.smtp_form import assert_sound

SENDER, RCPT, FENCE = "sender@example.test", "rcpt@example.com", "fence@example.com"
LINE_ENDS = {
    "LF": b"\n",
    "CR": b"\r",
    "CRLF": b"\r\n",
    "CRCRLF": b"\r\r\n",
    "LFCR": b"\n\r",
    "CRLFLF": b"\r\n\n",
    "CRLFCR": b"\r\n\r",
}
FALSE_ENDS = {
    f"{before} . {after}": one + b"." + other
    for before, one in LINE_ENDS.items()
    for after, other in LINE_ENDS.items()
    if not (one + b"." + other).endswith(b"\r\n.\r\n") and b"\r\n.\r\n" not in one + b"." + other
}
WITH_NUL = {
    "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n",
    "CRLF NUL . NUL CRLF": b"\r\n\0.\0\r\n",
    "CRLF . CR NUL LF": b"\r\n.\r\0\n",
    "CR NUL LF . CRLF": b"\r\0\n.\r\n",
    "LF NUL . LF": b"\n\0.\n",
}
HARMLESS = {
    "CRLF . blank CRLF": b"\r\n. \r\n",
    "CRLF . . CRLF": b"\r\n..\r\n",
    "CRLF .x CRLF": b"\r\n.x\r\n",
    "CRLF U+2028 . CRLF": "\r\n\u2028.\r\n".encode(),
    "VT . VT": b"\x0b.\x0b",
    "NEL . NEL": "\x85.\x85".encode(),
}
SMUGGLED = (
    b"MAIL FROM:<evil@example.test>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n"
)
WAYS = ("queue", "smtp_forward")
SETTINGS = ("reject", "repair")
VERBS = ("DATA", "BDAT")

# What somebody, somewhere, takes for the end of data.
_CARELESS = re.compile(rb"(?:\r\n|\r|\n)\.(?:\r|\n|\Z)")

FORWARD = {
    "plugins": "rcpt_to.in_host_list\nqueue/smtp_forward\n",
    "host_list": "example.com\n",
    "smtp_forward.ini": "[main]\nhost=127.0.0.1\nport=%d\n",
}


class Way:
    """A server that hands all mail on to a sink."""

    def __init__(self, stack: ExitStack, directory: Path, out: str, bare_newline: str) -> None:
        self.sink = stack.enter_context(RecordingSink())
        config = {"connection.ini": f"[main]\nbare_newline={bare_newline}\n"}
        if out == "smtp_forward":
            config |= {
                name: text % self.sink.port if "%d" in text else text for name, text in FORWARD.items()
            }
        self.server: Server = stack.enter_context(server.relay(directory, self.sink.port, config))

    def send(self, verb: str, content: bytes) -> tuple[str, list[Received]]:
        """Send one message with this content, and another one after it: the reply to the first, what of it arrived."""
        before = len(self.sink.messages)
        with RawClient(self.server.port) as client:
            if verb == "DATA":
                client.envelope(SENDER, RCPT)
                client.write(content + b".\r\n")
            else:
                client.command(f"MAIL FROM:<{SENDER}>")
                client.command(f"RCPT TO:<{RCPT}>")
                client.write(b"BDAT %d LAST\r\n" % len(content) + content)
            reply = client.read()
            assert client.command("NOOP").startswith("250"), "a reply too many"
            assert client.send(SENDER, FENCE, b"Subject: fence\r\n\r\nbody\r\n").startswith("250")
        self.sink.wait_for(before + 1)
        expected = before + 1 + reply.startswith("250")
        arrived = self.sink.wait_for(expected)[before:]
        assert [one.mail_from for one in arrived] == [SENDER] * len(arrived), arrived
        assert sum(one.rcpts == (FENCE,) for one in arrived) == 1
        return reply, [one for one in arrived if one.rcpts != (FENCE,)]


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Way]]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("ways")
        yield {
            (out, setting): Way(stack, directory / f"{out}-{setting}", out, setting)
            for out in WAYS
            for setting in SETTINGS
        }


def cell(way: Way, verb: str, false_end: bytes) -> str:
    """What becomes of one false end of data: `refused` or `one mail`. Raises AssertionError when it is not safe."""
    reply, arrived = way.send(verb, b"Subject: x\r\n\r\nbody" + false_end + SMUGGLED)
    if not arrived:
        assert reply.startswith("550 5."), reply
        return "refused"
    assert reply.startswith("250"), reply
    [mail] = arrived
    assert mail.rcpts == (RCPT,)
    assert_sound(mail.wire)
    # Some next hops drop NUL, some control characters: what is left must not end early either.
    for reading in (mail.wire, mail.wire.replace(b"\0", b"")):
        assert not _CARELESS.search(b"\r\n" + reading), f"splittable: {reading!r}"
    assert SMUGGLED in mail.wire, "what follows the false end is text of the message"
    return "one mail"


def offers(way: Way, verb: str) -> bool:
    with RawClient(way.server.port) as client:
        return verb == "DATA" or "CHUNKING" in client.extensions


@pytest.mark.parametrize("verb", VERBS)
def test_every_false_end_of_data(
    ways: dict[tuple[str, str], Way], verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert offers(ways["queue", "reject"], verb)
    ends = {**FALSE_ENDS, **WITH_NUL, **HARMLESS, **({"CRLF . CRLF": b"\r\n.\r\n"} if verb == "BDAT" else {})}
    rows, unsafe = [], []
    for name, end in ends.items():
        row = []
        for where, way in ways.items():
            try:
                row.append(cell(way, verb, end))
            except AssertionError as error:
                row.append("UNSAFE")
                unsafe.append(f"{name} in {verb} through {where}: {error}")
        rows.append(f"{name:20}" + "".join(f"{found:>22}" for found in row))
    with capsys.disabled():
        print(
            f"\nfalse ends of data in {verb}\n{'':20}" + "".join(f"{' '.join(where):>22}" for where in ways)
        )
        print("\n".join(rows))
    assert not unsafe, "\n".join(unsafe)


def test_what_is_bare_is_refused_and_repaired(ways: dict[tuple[str, str], Way]) -> None:
    """The table would be safe, too, if everything was refused."""
    for out in WAYS:
        assert cell(ways[out, "reject"], "DATA", b"\n.\n") == "refused"
        assert cell(ways[out, "repair"], "DATA", b"\n.\n") == "one mail"
        assert cell(ways[out, "reject"], "DATA", b"\r\n..\r\n") == "one mail"
