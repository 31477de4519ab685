"""`haraka demo`: a relay and a mailbox in one process, and three messages through them by SMTP."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from mta.cli.demo_messages import Letter, letters, send
from mta.cli.demo_sink import HOST, Sink, Stored
from mta.cli.errors import CommandError
from mta.cli.install import make_installation
from mta.cli.options import Parser
from mta.logger_setup import open_logger
from mta.processes.errors import StartError
from mta.worker import Worker

PATIENCE = 30.0  # seconds in which the messages must arrive
_HEADINGS = ("Message", "Accepted", "Queued as", "Delivered", "Lies in Maildir/new")

TRY_IT = """\
Anybody may send, to anybody; what arrives is shown here. Ctrl-C ends it. Try

  swaks --server {host}:{port} --from you@example.com --to anybody@example.org

or, in Python,

  import smtplib
  with smtplib.SMTP("{host}", {port}) as smtp:
      smtp.sendmail("you@example.com", "anybody@example.org", "Subject: hello\\r\\n\\r\\nIt works.\\r\\n")
"""


def demo(argv: list[str]) -> int:
    """Run the demo; 0 when the messages arrived. Raises CommandError when they did not, or nothing could be started."""
    parser = Parser("haraka demo")
    parser.add_argument("--once", action="store_true")
    parser.add_argument("--port", type=int, default=2525)
    given = parser.parse_args(argv)
    with TemporaryDirectory(prefix="haraka-demo-") as directory, ExitStack() as running:
        _run(Path(directory), given.port, running, once=given.once)
    return 0


def _run(directory: Path, port: int, running: ExitStack, *, once: bool) -> None:
    log = os.open(directory / "demo.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    running.callback(os.close, log)
    sink = _start_sink(directory / "Maildir", log, running)
    worker = _start_relay(directory / "relay", port, sink.port, log, running)
    print(f"Relay on {HOST}:{port}, next hop on {HOST}:{sink.port}; log, queue and mailbox in {directory}\n")
    _show_the_way(letters(), port, sink)
    if not once:
        print(TRY_IT.format(host=HOST, port=port), flush=True)
        sink.mailbox.on_stored = _announce
        worker.serve()


def _start_sink(maildir: Path, log: int, running: ExitStack) -> Sink:
    logger, writer = open_logger(log)
    running.callback(writer.close)
    logger.plugins_ready(None)
    sink = Sink(maildir, logger)
    sink.start()
    running.callback(sink.stop)
    return sink


def _start_relay(house: Path, port: int, next_hop: int, log: int, running: ExitStack) -> Worker:
    make_installation(house, force=False, tell=lambda line: None)
    for name, text in _settings(port, next_hop).items():
        (house / "config" / name).write_text(text, encoding="utf-8")
    worker = Worker(house, log)
    try:
        worker.start()
    except StartError as error:
        raise CommandError(str(error)) from None
    running.callback(worker.stop)
    return worker


def _settings(port: int, next_hop: int) -> dict[str, str]:
    return {
        "me": "relay.example\n",
        "smtp.ini": f"listen={HOST}:{port}\n",
        "plugins": "relay\n",
        "relay_acl_allow": "127.0.0.0/8\n",
        "outbound.ini": f"[smarthost]\nhost={HOST}:{next_hop}\ntls=off\n",
        "log.ini": "level=notice\ntimestamps=true\n",
    }


def _show_the_way(sent: Sequence[Letter], port: int, sink: Sink) -> None:
    """Send, wait, print the table. Raises CommandError when something did not arrive."""
    for letter in sent:
        send(letter, HOST, port)
    arrived = _wait_for(sent, sink)
    print(_table(sent, arrived), flush=True)
    if missing := len(sent) - len(arrived):
        raise CommandError(f"{missing} of {len(sent)} messages did not arrive within {PATIENCE:g} s")


def _wait_for(sent: Sequence[Letter], sink: Sink) -> dict[str, Stored]:
    """What has arrived when all has, or when patience has run out; by Message-ID."""
    deadline = time.monotonic() + PATIENCE
    stored = sink.mailbox.stored
    while time.monotonic() < deadline and not all(letter.id in stored for letter in sent):
        time.sleep(0.01)
    return {letter.id: stored[letter.id] for letter in sent if letter.id in stored}


def _table(sent: Sequence[Letter], arrived: dict[str, Stored]) -> str:
    rows = [_HEADINGS, *(_row(letter, arrived.get(letter.id)) for letter in sent)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*(line.rstrip() for line in lines), ""])


def _row(letter: Letter, stored: Stored | None) -> tuple[str, ...]:
    if stored is None:
        return letter.what, letter.code, letter.uuid, "no", ""
    milliseconds = max(0.0, stored.time - letter.accepted) * 1000
    return letter.what, letter.code, letter.uuid, f"after {milliseconds:.0f} ms", stored.path.name


def _announce(stored: Stored) -> None:
    print(f"arrived: {stored.path}", flush=True)
