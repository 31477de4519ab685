"""Plays tests/dialogues/*.smtp against a real listener, once as written and once byte by byte.

`C: text` sends a line, `C!text` sends exactly these bytes (with \\r \\n \\0 \\xNN), `S: text` is one line of the reply, in which
`*` stands for anything, `S: <closed>` is the end of the connection, `#` a comment.
"""

import fnmatch
import re
import socket
from pathlib import Path

import pytest

from tests.support.service import Inbound, Local

DIALOGUES = sorted((Path(__file__).parent.parent / "dialogues").glob("*.smtp"))


def unescape(text: str) -> bytes:
    data = text.encode()
    data = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), data)
    return data.replace(b"\\r", b"\r").replace(b"\\n", b"\n").replace(b"\\0", b"\0")


def matches(line: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(line, pattern.replace("[", "[[]"))


def play(path: Path, port: int, one_by_one: bool) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        file = sock.makefile("rb")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path.name}:{number}"
            if line.startswith("S: <closed>"):
                assert file.read() == b"", where
            elif line.startswith("S: "):
                got = file.readline().decode().rstrip("\r\n")
                assert matches(got, line[3:]), f"{where}: expected {line[3:]!r}, got {got!r}"
            elif line.startswith("C"):
                data = unescape(line[2:]) if line[1] == "!" else line[3:].encode() + b"\r\n"
                for chunk in [data[i : i + 1] for i in range(len(data))] if one_by_one else [data]:
                    sock.sendall(chunk)
            else:
                assert not line or line.startswith("#"), where


@pytest.fixture(scope="module")
def inbound():
    with Inbound([Local()]) as running:
        yield running


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_dialogue(path: Path, inbound: Inbound) -> None:
    play(path, inbound.port, one_by_one=False)


# The server hangs up on too_long before its last byte is sent.
@pytest.mark.parametrize(
    "path", [path for path in DIALOGUES if path.stem != "too_long"], ids=lambda path: path.stem
)
def test_dialogue_byte_by_byte(path: Path, inbound: Inbound) -> None:
    play(path, inbound.port, one_by_one=True)
