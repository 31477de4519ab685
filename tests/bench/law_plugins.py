"""What plugins cost: those that do nothing, those that are asked and say nothing, and those that work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench.laws import Law, Point, Run
from tests.bench.load import run
from tests.bench.servers import OURS, build

EMPTY = (0, 10, 25, 50)
REAL = (0, 5, 10, 20)
MESSAGES = 3000
NOTHING = """\
from mta.plugin import Plugin

class Nothing(Plugin):
    pass
"""
NONE = """\
from mta.plugin import Plugin

class Asked(Plugin):
    def hook_connect(self, connection):
        return None

    def hook_mail(self, connection, mail_from, params):
        return None

    def hook_rcpt(self, connection, rcpt, params):
        return None

    def hook_data(self, connection):
        return None

    def hook_data_post(self, connection):
        return None
"""
# Bundled ones that have work with every message and ask nobody on the network. Each may be listed several times, by other names.
WORKING = ("relay", "block_me", "record_envelope_addresses", "data.signatures", "logging/apache")
SETTINGS = {
    "relay.ini": "[relay]\nacl=true\ndest_domains=true\n",
    "relay_acl_allow": "192.0.2.0/24\n",
    "relay_dest_domains.ini": '[domains]\nexample.com={"action":"continue"}\n',
    "block_me.recipient": "spam@example.com\n",
    "block_me.senders": "admin@example.com\n",
    "mail_from.blocklist": "somebody@else.example\n",
    "data.signatures": "a text that no message has\n",
}


def plugin_laws(stack: ExitStack, work: Path, long: bool) -> Sequence[Law]:
    """Receive 1 KB over ten kept connections, and throw it away."""
    nothing = [Point(n, copies(stack, work / f"nothing-{n}", NOTHING, n)) for n in EMPTY]
    asked = [Point(n, copies(stack, work / f"asked-{n}", NONE, n)) for n in EMPTY]
    real = [Point(n, with_plugins(stack, work / f"real-{n}", real_names(n), SETTINGS)) for n in REAL]
    return [
        Law(
            "plugins that register nothing",
            "plugins",
            "flat, for who waits at no hook is in no chain, and a chain is a tuple made at start",
            nothing,
        ),
        Law(
            "plugins that answer None",
            "plugins",
            "a straight line: each message asks each plugin at mail, rcpt, data and data_post, and a question that is answered "
            "with None costs a few microseconds",
            asked,
        ),
        Law(
            "plugins that work",
            "plugins",
            f"a straight line: {', '.join(WORKING)}, from 10 on several times, each do their work with every message; a body is "
            "searched, a line is written to a file",
            real,
        ),
    ]


def real_names(count: int) -> list[str]:
    """Return so many lines of config/plugins: the same few over and over, from the second time on by a name of their own."""
    first = list(WORKING[:count])
    return first + [
        f"{WORKING[n % len(WORKING)].replace('/', '_')}_{n}: {WORKING[n % len(WORKING)]}"
        for n in range(len(first), count)
    ]


def copies(stack: ExitStack, directory: Path, code: str, count: int) -> Run:
    """Return a load on a server with a plugin in so many files."""
    names = [f"empty{number}" for number in range(count)]
    return with_plugins(stack, directory, names, {}, dict.fromkeys(names, code))


def with_plugins(
    stack: ExitStack,
    directory: Path,
    names: Sequence[str],
    settings: Mapping[str, str],
    code: Mapping[str, str] | None = None,
) -> Run:
    """Return a load on a server with these lines in config/plugins before those that take and discard."""
    lines = "".join(f"{name}\n" for name in (*names, "rcpt_to.in_host_list", "queue/discard"))
    server = build(OURS, directory, None, extra={**settings, "plugins": lines})
    for name, text in (code or {}).items():
        (directory / "plugins" / f"{name}.py").write_text(text)
    stack.enter_context(server)
    load = partial(run, server, None, count=MESSAGES, size=1024, connections=10, kept=True)
    load()
    return load
