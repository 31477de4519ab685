"""A mail on its way out as plugins see it: its file, its header, its log lines."""

from __future__ import annotations

import pytest

from mta.connection import Connection, Endpoint
from mta.logger import DATA, Logger
from mta.outbound.hmail import HMail
from mta.outbound.hot import HotMessage
from mta.outbound.spool_errors import SpoolError
from tests.support.outbound import hmail_for, name_with, todo_for

MESSAGE = b"Subject: hi\r\nX-Folded: a\r\n b\r\n\r\n..dot\r\n...two\r\nend\r\n"
LEVELS = ("data", "protocol", "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg")


def cut(size: int, message: bytes = MESSAGE) -> HMail:
    """A mail whose message comes in pieces of that size."""
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    return HMail(name_with(), todo_for(["joe@b.test"]), HotMessage(pieces), Logger(write=lambda line: None))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_file_and_the_header_do_not_depend_on_the_pieces(size: int) -> None:
    hmail = cut(size)
    with hmail.data_stream() as file:
        assert file.read() == MESSAGE.replace(b"\r\n..", b"\r\n.")
    assert hmail.data_stream(stuffed=True).read() == MESSAGE
    assert hmail.data_stream().readline() == b"Subject: hi\r\n"
    assert hmail.header.get("subject") == "hi"
    assert hmail.header.get("X-Folded").split() == ["a", "b"]
    assert not hmail.header.has("end")


@pytest.mark.parametrize("message", [b"", b"\r\nbody\r\n", b"no header\r\n"])
def test_a_mail_without_a_header(message: bytes) -> None:
    hmail = cut(4, message)
    assert not hmail.header.has("Subject")
    assert hmail.data_stream().read() == message


def test_only_the_beginning_is_read_for_the_header() -> None:
    class Torn:
        size = 1 << 30

        def chunks(self):
            yield b"Subject: hi\r\n\r\n"
            raise SpoolError("the disk is gone")

    hmail = HMail(name_with(), todo_for(["joe@b.test"]), Torn(), Logger(write=lambda line: None))
    assert hmail.header.get("Subject") == "hi"
    with pytest.raises(SpoolError):
        hmail.data_stream().read()


@pytest.mark.parametrize("level", LEVELS)
def test_log_methods(level: str) -> None:
    lines: list[str] = []
    logger = Logger(DATA, write=lines.append)
    connection = Connection(logger, Endpoint(), Endpoint())
    connection.uuid = "UUID"
    getattr(hmail_for(["joe@b.test"], MESSAGE, logger=logger), f"log{level}")("so it is", {"k": 1})
    getattr(connection, f"log{level}")("so it is", {"k": 1})
    for line, start in zip(lines, ("[UUID.1.1] [outbound]", "[UUID] [core]"), strict=True):
        assert line.startswith(f"[{level.upper()}] {start} so it is") and "k=1" in line
