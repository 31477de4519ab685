"""Follows a page of documentation: writes the files it shows, runs its commands, and compares what they print."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

SECONDS = 120.0
SERVER = "haraka -c "
PORT = "2525"  # as the page has it; another one is used
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block. file: the last name in backticks that looks like a path, in the paragraph before it."""

    kind: str
    text: str
    file: str
    line: int


def blocks_of(page: str) -> Iterator[Block]:
    for match in _FENCE.finditer(page):
        paragraph = page[: match.start()].rstrip().rpartition("\n\n")[2]
        names = re.findall(r"`([\w./]+(?:/\w+|\.\w+))`", paragraph)
        yield Block(match[1], match[2], names[-1] if names else "", page.count("\n", 0, match.start()) + 1)


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block, with the output that follows it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def agrees(shown: str, printed: str) -> bool:
    """True when the output is what the page shows; `...` there stands for anything."""
    pattern = ".*".join(map(re.escape, shown.strip().split("...")))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


class Reader:
    """Does what the page says, in a directory of its own; a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = str(free_port())
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.env = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "TMPDIR": str(directory)}
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_server()

    def follow(self, block: Block) -> None:
        """Write the file, or run the commands. Raises AssertionError when they print something else."""
        if block.kind != "console":
            assert block.file, f"line {block.line}: no file is named for this listing"
            self.write(block.file, block.text)
            return
        for command, shown in commands_of(block):
            run = self.serve if command.startswith(SERVER) else self.run
            shown = shown.replace(PORT, self.port)
            printed = run(command, shown)
            assert agrees(shown, printed), f"line {block.line}: $ {command}\n{printed}\ninstead of\n{shown}"

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(PORT, self.port), encoding="utf-8")

    def run(self, command: str, shown: str) -> str:
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=self.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=SECONDS,
        )
        return result.stdout

    def serve(self, command: str, shown: str) -> str:
        """Start the server, in place of the one that runs; what it has printed as soon as it is what the page shows."""
        self.stop_server()
        log = self.directory / "server.output"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                command.split(), cwd=self.directory, env=self.env, stdout=output, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + SECONDS
        while not agrees(shown, log.read_text()) and self._server.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        return log.read_text()

    def stop_server(self) -> None:
        """What Ctrl-C does."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
            self._server = None
