"""The command line, taken apart."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from mta.cli.errors import UsageError
from mta.cli.rehearsal_options import Visit, add_arguments, read_visit, refuse_strays
from mta.record import record

USAGE = """\
Usage: haraka -c DIR              start the server with the installation in DIR
       haraka -i DIR [-f]         make an installation in DIR; -f overwrites files that are there
       haraka -v                  show the version
       haraka -h [NAME]           show this text, or the page of documentation called NAME
       haraka -l [-c DIR]         list the plugins that can be used
       haraka -o -c DIR           show which plugins run on which hook, in order
       haraka -p NAME -c DIR [-f] write a plugin to begin with: its code, configuration, page and test; -f overwrites files
       haraka -t PLUGIN... -c DIR [options]
                                  play a session with the plugins that are named, or `all` of config/plugins, and show each
                                  hook, its verdict and its time; fails when the mail is refused. The options:
                --ip IP           the client's address (127.0.0.1)
                --helo HOST, --ehlo HOST
                                  what it says first (EHLO localhost)
                --envfrom FROM    its MAIL, "" for the null sender (sender@example.org)
                --envrcpt TO      its RCPT, as often as wanted (recipient@example.com)
                --message FILE    the mail, - for the standard input
                --set-relay       the client may relay
                --skip-deny       go on when a plugin rejects
                --dump-mime       show the mail's MIME structure and texts as plugins leave them
                --dump-stream     show the whole mail as plugins leave it
       haraka check -c DIR [--strict] [--json]
                                  say what is wrong with the installation; --strict fails on warnings too
       haraka tls self-signed [-c DIR] [--host NAME]... [-f]
                                  make a key and a certificate to begin with, in DIR/config or here;
                                  -f replaces those that are there
       haraka status -c DIR [--json]
                                  say how the server is and what each of its processes does; fails unless it is well
       haraka --graceful -c DIR   replace the workers one by one: new plugin code and configuration, and no client
                                  notices
       haraka --qlist -c DIR      list the mail that waits in the queue
       haraka --qstat -c DIR      count the mail that waits in the queue
       haraka --qunstick [DOMAIN] -c DIR
                                  try the mail for a domain now, or all mail
       haraka --qempty -c DIR [-f]
                                  show what emptying the queue would delete; -f deletes it
       haraka queue list|find EXPRESSION|show ID|why ID|stats|flush|export ID -c DIR
                                  look into the queue
       haraka queue retry|hold|release|bounce|delete|reroute ID... | --match EXPRESSION [--yes] -c DIR
       haraka queue suspend|resume SCOPE [--for TIME] [--reason TEXT] -c DIR
                                  steer it while the server runs (haraka -h Queue-command)
       haraka trace ID [-c DIR] [--log FILE...] [--json]
                                  tell the life of a message: ID is a uuid of the log, its beginning, or a
                                  Message-Id; read are the events of log.ini, or FILEs, and the queue
       haraka demo [--once] [--port N]
                                  relay three messages to a mailbox on this machine and show their way;
                                  --once ends when they have arrived, N is the relay's port (2525)

Long names: --configs --install --force --version --help --list --order --plugin --test
"""


@record
class Options:
    """What was asked for. `action` is one of run install version help list order graceful qlist qstat
    qunstick qempty plugin test.

    name: of a page, a domain or a plugin. plugins, visit: what -t plays.
    """

    action: str
    directory: Path | None = None
    name: str = ""
    force: bool = False
    plugins: tuple[str, ...] = ()
    visit: Visit | None = None

    @property
    def installation(self) -> Path:
        """The directory of -c. Raises UsageError when it is not given or holds no installation."""
        if self.directory is None:
            raise UsageError(f"{_FLAGS[self.action]} needs -c DIR")
        if not (self.directory / "config").is_dir():
            problem = "has no directory config" if self.directory.is_dir() else "is not a directory"
            raise UsageError(f"{self.directory} {problem} (haraka -i {self.directory} makes an installation)")
        return self.directory


_FLAGS = {
    "run": "the server",
    "check": "check",
    "queue": "queue",
    "trace": "trace",
    "status": "status",
    "graceful": "--graceful",
    "order": "-o",
    "plugin": "-p",
    "test": "-t",
    "qlist": "--qlist",
    "qstat": "--qstat",
    "qunstick": "--qunstick",
    "qempty": "--qempty",
}
_SWITCHES = ("version", "list", "order", "graceful", "qlist", "qstat", "qempty")


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, and shows nothing by itself."""

    def __init__(self, name: str) -> None:
        super().__init__(name, add_help=False)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message."""
        raise UsageError(message)


def parse(argv: list[str]) -> Options:
    """The options in `argv` (without the program's name). Raises UsageError."""
    given = _parser().parse_args(argv)
    if given.force and given.install is None and given.plugin is None and not given.qempty:
        raise UsageError("-f only goes with -i DIR, -p NAME and --qempty")
    if given.test:
        return Options("test", given.configs, plugins=tuple(given.test), visit=read_visit(given))
    refuse_strays(given)
    if given.install is not None:
        return Options("install", given.install, force=given.force)
    if given.help is not None:
        return Options("help", given.configs, name=given.help)
    if given.plugin is not None:
        return Options("plugin", given.configs, name=given.plugin, force=given.force)
    if given.qunstick is not None:
        return Options("qunstick", given.configs, name=given.qunstick)
    for switch in _SWITCHES:
        if getattr(given, switch):
            return Options(switch, given.configs, force=given.force)
    if given.configs is None:
        raise UsageError("nothing to do")
    return Options("run", given.configs)


def _parser() -> Parser:
    parser = Parser("haraka")
    parser.add_argument("-c", "--configs", type=directory)
    parser.add_argument("-f", "--force", action="store_true")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("-i", "--install", type=directory)
    actions.add_argument("-h", "--help", nargs="?", const="")
    actions.add_argument("-v", "--version", action="store_true")
    actions.add_argument("-l", "--list", action="store_true")
    actions.add_argument("-o", "--order", action="store_true")
    actions.add_argument("-p", "--plugin", metavar="NAME")
    actions.add_argument("-t", "--test", metavar="PLUGIN", nargs="+", action="extend")
    actions.add_argument("--graceful", action="store_true")
    actions.add_argument("--qlist", action="store_true")
    actions.add_argument("--qstat", action="store_true")
    actions.add_argument("--qunstick", nargs="?", const="", metavar="DOMAIN")
    actions.add_argument("--qempty", action="store_true")
    add_arguments(parser)
    return parser


def directory(text: str) -> Path:
    """The value of -c: a path that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the directory is empty")
    return Path(text)
