"""The command line: Haraka's options, and sub-commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from mta.cli.errors import CommandError, UsageError
from mta.cli.options import Options, parse


def main(argv: list[str]) -> int:
    """Run one command; `argv` is without the program's name. Returns the exit status: 0, 1 (failed) or 2 (usage)."""
    try:
        status = _dispatch(argv)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _say(f"{error}; haraka -h shows the usage", 2)
    except BrokenPipeError:  # `haraka -l | head`: nobody wants the rest, not even Python's flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CommandError, OSError) as error:
        return _say(str(error), 1)
    except KeyboardInterrupt:
        return 130  # what a shell makes of SIGINT


def _say(message: str, status: int) -> int:
    line = " ".join(message.split("\n"))
    print(f"haraka: {line}", file=sys.stderr)
    return status


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        options = parse(argv)
        return ACTIONS[options.action](options)
    name, *rest = argv
    if name not in SUBCOMMANDS:
        raise UsageError(f"there is no command {name!r}")
    return SUBCOMMANDS[name](rest)


# Each command imports what it needs when it is chosen, so that `haraka -v` does not load a mail server.


def _run(options: Options) -> int:
    directory = options.installation
    from mta.cli.run import serve

    return serve(directory)


def _install(options: Options) -> int:
    from mta.cli.install import install

    assert options.directory is not None  # -i takes one
    return install(options.directory, force=options.force)


def _version(options: Options) -> int:
    from mta.cli.version import show_version

    return show_version()


def _help(options: Options) -> int:
    from mta.cli.help import show_help

    return show_help(options.name, options.directory)


def _list(options: Options) -> int:
    from mta.cli.listing import show_plugins

    return show_plugins(options.installation if options.directory else None)


def _order(options: Options) -> int:
    directory = options.installation
    from mta.cli.order import show_order

    return show_order(directory)


def _plugin(options: Options) -> int:
    directory = options.installation
    from mta.cli.new_plugin import make_plugin

    return make_plugin(directory, options.name, force=options.force)


def _test(options: Options) -> int:
    directory = options.installation
    from mta.cli.rehearsal import rehearse

    assert options.visit is not None  # -t has read it
    return rehearse(directory, options.plugins, options.visit)


def _qlist(options: Options) -> int:
    directory = options.installation
    from mta.cli.queue_report import show_queue

    return show_queue(directory)


def _qstat(options: Options) -> int:
    directory = options.installation
    from mta.cli.queue_report import show_counts

    return show_counts(directory)


def _demo(argv: list[str]) -> int:
    from mta.cli.demo import demo

    return demo(argv)


def _check(argv: list[str]) -> int:
    from mta.cli.check import check

    return check(argv)


def _qunstick(options: Options) -> int:
    directory = options.installation
    from mta.cli.queue import queue

    rest = ["--match", f"domain={options.name}", "--yes"] if options.name else []
    return queue(["retry" if rest else "flush", "-c", str(directory), *rest])


def _qempty(options: Options) -> int:
    directory = options.installation
    from mta.cli.queue import queue

    return queue(["delete", "-c", str(directory), "--match", "", *(["--yes"] if options.force else [])])


def _queue(argv: list[str]) -> int:
    from mta.cli.queue import queue

    return queue(argv)


def _tls(argv: list[str]) -> int:
    from mta.cli.tls import tls

    return tls(argv)


ACTIONS: dict[str, Callable[[Options], int]] = {
    "run": _run,
    "install": _install,
    "version": _version,
    "help": _help,
    "list": _list,
    "order": _order,
    "plugin": _plugin,
    "test": _test,
    "qlist": _qlist,
    "qstat": _qstat,
    "qunstick": _qunstick,
    "qempty": _qempty,
}
SUBCOMMANDS: dict[str, Callable[[list[str]], int]] = {
    "check": _check,
    "demo": _demo,
    "queue": _queue,
    "tls": _tls,
}
