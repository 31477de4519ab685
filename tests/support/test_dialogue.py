"""The dialogue player can fail, and the dialogues leave nothing out."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.support.dialogue import DialogueError, matches, read, read_all, unescape
from tests.support.replies import BadReply, check_enhanced, check_line, split_replies
from tests.support.stage import PLACES, perform

# What Haraka's tables of hooks and replies name (and the RFCs of the extensions), and a session here can send.
REPLY_CODES = "214 220 221 235 250 252 334 354 421 450 451 452 458 459 500 501 502 503 504 521 535 538 550 552 553 554 555"
HOOKS = (
    "lookup_rdns connect helo ehlo unrecognized_command mail rcpt rcpt_ok data max_data_exceeded data_post queue "
    "queue_outbound vrfy noop"
)
CODES = "DENY DENYSOFT DENYDISCONNECT DENYSOFTDISCONNECT"


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "x.smtp").write_text(text)
    return tmp_path / "x.smtp"


@pytest.mark.parametrize("code", REPLY_CODES.split())
def test_every_reply_code_has_a_dialogue(code: str) -> None:
    assert any(step.kind == "S" and step.text.startswith(code) for d in read_all() for step in d.steps)


@pytest.mark.parametrize(("hook", "code"), list(itertools.product(HOOKS.split(), CODES.split())))
def test_every_answer_of_every_hook_has_a_dialogue(hook: str, code: str) -> None:
    wanted = f"denier {hook} {code}"
    assert any(plugin == wanted for dialogue in read_all() for plugin in dialogue.plugins)


def test_names_are_unique() -> None:
    names = [dialogue.name for dialogue in read_all()]
    assert len(names) == len(set(names)) > 300


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "text",
    [
        "--- another reply\nS: 221 *\n",
        "--- another code in several lines\nS: 220 *\nC: EHLO x\nS: ...\nS: 250 NOT THIS\n",
        "--- it does not hang up\nS: 220 *\nC: NOOP\nS: 250 *\nC: QUIT\nS: <closed>\n",
        "--- a reply too many\nS: 220 *\nC! NOOP\\r\\nNOOP\\r\\n\nS: 250 *\n",
        "--- no mail\n#! mails: 1\nS: 220 *\n",
        "--- other content\n#! kept: x\n@data\nC: .\nS: 250 *\n",
        "--- a line of the log that is not there\n#! log: earthquake\nS: 220 *\n",
        "--- trouble in the log\n#! plugins: failing quit\nS: 220 *\n",
    ],
    ids=lambda text: text[4:].partition("\n")[0],
)
def test_the_player_fails(place: str, text: str, tmp_path: Path) -> None:
    [dialogue] = read(written(tmp_path, text))
    with pytest.raises(AssertionError):
        perform(dialogue, place, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "S: 220 *\n",
        "--- a\nX: y\n",
        "--- a\n@nowhere\n",
        "--- a\n#! colour: red\nS: 220 *\n",
        "--- a\n",
        "S: x\n--- a\nS: y\n",
    ],
)
def test_a_file_that_is_wrong(text: str, tmp_path: Path) -> None:
    with pytest.raises(DialogueError):
        list(read(written(tmp_path, text)))


def test_unescape() -> None:
    assert unescape(r"a\r\n\0\xff\\b{xy*2}ü") == b"a\r\n\0\xff\\bxyxy" + "ü".encode()


@pytest.mark.parametrize(
    ("line", "pattern", "match"),
    [
        ("250 OK", "250 OK", True),
        ("250 OK", "250 O", False),
        ("250 a [x] (b?)", "250 * [x] (*?)", True),
        ("250 a", "250 [a]", False),
    ],
)
def test_matches(line: str, pattern: str, match: bool) -> None:
    assert matches(line, pattern) is match


@pytest.mark.parametrize(
    "line",
    [
        b"250 x\n",
        b"25 x\r\n",
        b"650 x\r\n",
        b"250 a\rb\r\n",
        b"250 \xff\r\n",
        b"250 " + b"x" * 510 + b"\r\n",
        b"",
    ],
)
def test_a_bad_reply_line(line: bytes) -> None:
    with pytest.raises(BadReply):
        check_line(line)


@pytest.mark.parametrize("stream", [b"250-a\r\n", b"250-a\r\n251 b\r\n", b"250 a\r\nx"])
def test_bad_replies(stream: bytes) -> None:
    with pytest.raises(BadReply):
        split_replies(stream)


@pytest.mark.parametrize("line", [b"250 OK\r\n", b"250 5.0.0 OK\r\n"])
def test_a_bad_enhanced_code(line: bytes) -> None:
    with pytest.raises(BadReply):
        check_enhanced(line)
