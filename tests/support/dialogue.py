"""Dialogue files: what a client sends and what it reads back, played against a session.

A file holds dialogues, each begun by `--- name`; what stands before the first belongs to all of them. A line is one of

    C: text         the client sends a line                    C: <tls>     it does a TLS handshake
    C! text         it sends exactly these bytes, with \\r \\n \\t \\0 \\xNN \\\\ and {text*N} for repetition
    C: <gone>       it hangs up, and the dialogue ends         C: <half>    it sends no more, but still reads
    S: pattern      one line of the reply; `*` stands for anything
    S: ...          any number of continuation lines, up to the one that the next pattern matches
    S: <closed>     the server hangs up without another word
    @name           the steps that bring a session to a place: see STAGES
    # text          a comment

and, for the server, `#! key: value` (`\\n` in a value is a line end):

    plugins: a; b   what to run instead of `local`: `local` (keeps mail for example.com), `relaying`, `denier HOOK CODE [message]`,
                    `failing HOOK`, `slow HOOK`, `asking VERB` (a dialogue), `knows VERB` or the name of a bundled plugin
    set: name=value settings by the names of their fields        file: NAME: content    a configuration file
    only: plain     where the dialogue is played: `plain`, `tls`, `socket`; everywhere unless told
    mails: N        how many messages must have been accepted    kept: bytes            the last of them, as stored
    log: text       a line of the log that must be there; without it no line at CRIT or above may be

A dialogue that does not end with `<closed>` or `<gone>` ends with QUIT: so that no reply can be left over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.replies import check_enhanced, check_line

ROOT = Path(__file__).resolve().parents[1] / "dialogues"

_HELLO = ["S: 220 *", "C: EHLO client.test", "S: ...", "S: 250 *"]
_MAIL = [*_HELLO, "C: MAIL FROM:<a@example.org>", "S: 250 2.1.0 sender <a@example.org> OK"]
_RCPT = [*_MAIL, "C: RCPT TO:<b@example.com>", "S: 250 2.1.5 recipient <b@example.com> OK"]
STAGES = {
    "hello": _HELLO,
    "mail": _MAIL,
    "rcpt": _RCPT,
    "data": [*_RCPT, "C: DATA", "S: 354 *"],
    "sent": ["C: Subject: x", "C: ", "C: body", "C: .", "S: 250 2.0.0 Message Queued (*)"],
}
GREETINGS = ("HELO", "EHLO")
QUIT = ["C: QUIT", "S: 221 *", "S: <closed>"]
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", "b": " "}


class DialogueError(ValueError):
    """A dialogue file that says something the player does not know."""


@dataclass(frozen=True)
class Step:
    """One line of a dialogue: `kind` is C, C! or S."""

    where: str
    kind: str
    text: str


@dataclass(frozen=True)
class Dialogue:
    """One dialogue and the server it needs."""

    name: str
    plugins: tuple[str, ...] = ("local",)
    settings: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    only: frozenset[str] = frozenset()
    mails: int | None = None
    kept: bytes | None = None
    log: tuple[str, ...] = ()
    steps: tuple[Step, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.name


def read_all(root: Path = ROOT) -> list[Dialogue]:
    """Every dialogue of every file. Raises DialogueError."""
    return [dialogue for path in sorted(root.glob("*.smtp")) for dialogue in read(path)]


def read(path: Path) -> Iterator[Dialogue]:
    """The dialogues of one file. Raises DialogueError."""
    common = current = Dialogue(path.stem)
    named = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("--- "):
            if named:
                yield _ended(current)
            elif current.steps:
                raise DialogueError(f"{path.name}:{number}: steps before the first `--- name`")
            else:
                common = current
            named = True
            current = replace(common, name=f"{path.stem}: {line[4:].strip()}")
        else:
            current = _with_line(current, line, f"{path.name}:{number}")
    if not named:
        raise DialogueError(f"{path.name}: no `--- name`")
    yield _ended(current)


def _ended(dialogue: Dialogue) -> Dialogue:
    if not dialogue.steps:
        raise DialogueError(f"{dialogue.name}: no steps")
    if dialogue.steps[-1].text in ("<closed>", "<gone>"):
        return dialogue
    where = dialogue.steps[-1].where + " and the QUIT after it"
    return replace(dialogue, steps=(*dialogue.steps, *(_step(line, where) for line in QUIT)))


def _with_line(dialogue: Dialogue, line: str, where: str) -> Dialogue:
    if line.startswith("#!"):
        key, colon, value = line[2:].strip().partition(":")
        if not colon:
            raise DialogueError(f"{where}: `#! key: value`, please")
        return _with_option(dialogue, key, value.strip(), where)
    if not line or line.startswith("#"):
        return dialogue
    if line.startswith("@"):
        if line[1:] not in STAGES:
            raise DialogueError(f"{where}: no stage {line}, there are {', '.join(STAGES)}")
        steps = tuple(_step(text, f"{where} {line}") for text in STAGES[line[1:]])
    else:
        steps = (_step(line, where),)
    return replace(dialogue, steps=dialogue.steps + steps)


def _step(line: str, where: str) -> Step:
    match = re.fullmatch(r"(C:|C!|S:)(?: (.*))?", line)
    if match is None:
        raise DialogueError(f"{where}: neither `C: `, `C! ` nor `S: `: {line!r}")
    return Step(where, match[1].rstrip(":"), match[2] or "")


def _with_option(dialogue: Dialogue, key: str, value: str, where: str) -> Dialogue:
    if key == "plugins":
        return replace(dialogue, plugins=tuple(name.strip() for name in value.split(";") if name.strip()))
    if key == "set":
        pairs = tuple((name, text) for name, _, text in (word.partition("=") for word in value.split()))
        return replace(dialogue, settings=dialogue.settings + pairs)
    if key == "file":
        name, _, content = value.partition(": ")
        return replace(dialogue, files=(*dialogue.files, (name, unescape(content).decode() + "\n")))
    if key == "only":
        return replace(dialogue, only=frozenset(value.split()))
    if key == "mails":
        return replace(dialogue, mails=int(value))
    if key == "kept":
        return replace(dialogue, kept=unescape(value))
    if key == "log":
        return replace(dialogue, log=(*dialogue.log, value))
    raise DialogueError(f"{where}: no option {key!r}")


def unescape(text: str) -> bytes:
    """The bytes that `C! ` and the like stand for. `{x*3}` is xxx."""
    text = re.sub(r"\{([^{}]+)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    parts = re.split(r"\\(x[0-9a-fA-F]{2}|.)", text)
    out = bytearray()
    for index, part in enumerate(parts):
        if index % 2 == 0:
            out += part.encode()
        elif part[0] == "x" and len(part) == 3:
            out.append(int(part[1:], 16))
        else:
            out += _ESCAPES[part].encode()
    return bytes(out)


def matches(line: str, pattern: str) -> bool:
    """True when the whole line is what the pattern says; `*` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), line, re.DOTALL) is not None


class Side:
    """The client's end of a dialogue: a socket, or something that does as one."""

    def send(self, data: bytes) -> None:
        raise NotImplementedError

    def read_line(self) -> bytes:
        """The next line with its CRLF; b"" when the server has hung up."""
        raise NotImplementedError

    def start_tls(self) -> None:
        raise NotImplementedError

    def half_close(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def play(dialogue: Dialogue, side: Side) -> None:
    """Play one dialogue; every reply is held to its pattern and to the grammar. Raises AssertionError."""
    verb = ""
    steps = iter(dialogue.steps)
    for step in steps:
        if step.kind == "S":
            _expect(step, steps, side, verb)
        elif step.text == "<gone>":
            side.close()
        elif step.text == "<half>":
            side.half_close()
        elif step.text == "<tls>":
            side.start_tls()
        else:
            data = unescape(step.text) if step.kind == "C!" else step.text.encode() + b"\r\n"
            verb = _verb(data) or verb
            side.send(data)


def _verb(data: bytes) -> str:
    """The verb of a command; that of a greeting when one is in the group, since its replies need no enhanced code."""
    verbs = [match.decode().upper() for match in re.findall(rb"(?:^|\n)([A-Za-z]+)", data)]
    return next((verb for verb in verbs if verb in GREETINGS), verbs[0] if verbs else "")


def _expect(step: Step, steps: Iterator[Step], side: Side, verb: str) -> None:
    if step.text == "<closed>":
        line = side.read_line()
        assert line == b"", f"{step.where}: expected the end, got {line!r}"
        return
    skip = step.text == "..."
    if skip:
        step = next(steps)
    while True:
        line = side.read_line()
        assert line, f"{step.where}: expected {step.text!r}, the server hung up"
        code, last = check_line(line)
        if code not in (220, 334, 354) and verb not in ("", *GREETINGS):
            check_enhanced(line)
        got = line.decode().rstrip("\r\n")
        if matches(got, step.text):
            return
        assert skip and not last, f"{step.where}: expected {step.text!r}, got {got!r}"
