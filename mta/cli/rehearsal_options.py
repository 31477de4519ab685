"""The options that go with -t: who the client is, what it sends, what is shown."""

from __future__ import annotations

import argparse
from pathlib import Path

from mta.cli.errors import UsageError
from mta.record import record

_NAMES = ("ip", "helo", "ehlo", "envfrom", "envrcpt", "message")
_SWITCHES = ("dump_mime", "dump_stream", "skip_deny", "set_relay")


@record
class Visit:
    """One session with one mail, as -t plays it. message: the file with the mail, None for a small one of our own."""

    ip: str = "127.0.0.1"
    hello: str = "EHLO localhost"
    mail_from: str = "sender@example.org"
    rcpt_to: tuple[str, ...] = ("recipient@example.com",)
    message: Path | None = None
    dump_mime: bool = False
    dump_stream: bool = False
    skip_deny: bool = False
    set_relay: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a parser know the options; they are as Haraka's."""
    parser.add_argument("--ip")
    hello = parser.add_mutually_exclusive_group()
    hello.add_argument("--helo", metavar="HOST")
    hello.add_argument("--ehlo", metavar="HOST")
    parser.add_argument("--envfrom", metavar="FROM")
    parser.add_argument("--envrcpt", metavar="TO", action="append")
    parser.add_argument("--message", metavar="FILE", type=Path)
    for switch in _SWITCHES:
        parser.add_argument(f"--{switch.replace('_', '-')}", action="store_true")


def read_visit(given: argparse.Namespace) -> Visit:
    """What was asked for, with defaults for the rest. Raises UsageError."""
    usual = Visit()
    for name in ("helo", "ehlo", "envrcpt"):
        if getattr(given, name) == "":
            raise UsageError(f"--{name} is empty")
    hello = f"HELO {given.helo}" if given.helo else f"EHLO {given.ehlo}" if given.ehlo else usual.hello
    return Visit(
        ip=_ip(given.ip) if given.ip is not None else usual.ip,
        hello=hello,
        mail_from=usual.mail_from if given.envfrom is None else given.envfrom,
        rcpt_to=tuple(given.envrcpt or usual.rcpt_to),
        message=given.message,
        dump_mime=given.dump_mime,
        dump_stream=given.dump_stream,
        skip_deny=given.skip_deny,
        set_relay=given.set_relay,
    )


def refuse_strays(given: argparse.Namespace) -> None:
    """Raise UsageError for an option that says nothing without -t."""
    for name in (*_NAMES, *_SWITCHES):
        if getattr(given, name):
            raise UsageError(f"--{name.replace('_', '-')} only goes with -t PLUGIN")


def _ip(text: str) -> str:
    from mta.net.ip import is_ip  # not at the top: `haraka -v` does not load a mail server

    if not is_ip(text):
        raise UsageError(f"--ip: {text!r} is not an IP address")
    return text
