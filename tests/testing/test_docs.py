"""What docs/Testing.md shows works, and what it names is there."""

from __future__ import annotations

import re

import pytest

from mta import testing
from mta.paths import DOCS
from mta.plugin import DENYSOFT
from mta.testing import (
    Asked,
    Client,
    MailServer,
    QueuedMail,
    make_address,
    make_connection,
    make_hmail,
    make_plugin,
    make_transaction,
)

PAGE = (DOCS / "Testing.md").read_text(encoding="utf-8")
FIRST, ZONE, PLAIN, DELIVERIES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NAMES = {
    "DENYSOFT": DENYSOFT,
    "make_address": make_address,
    "make_connection": make_connection,
    "make_hmail": make_hmail,
    "make_plugin": make_plugin,
    "make_transaction": make_transaction,
}


def test_the_first_example():
    names = dict(NAMES)
    exec(FIRST, names)
    names["test_the_second_attempt_is_taken"]()


def test_the_example_without_a_server():
    names = dict(NAMES)
    exec(FIRST, names)
    exec(PLAIN, names)


def test_the_zone():
    names = {}
    exec(ZONE, names)
    with MailServer(dns=names["zone"]) as server:
        assert server.connect(ip="192.0.2.7").connection.remote.host == "mx.client.example"


def test_the_deliveries():
    with MailServer() as server:
        names = {**NAMES, "server": server}
        exec(DELIVERIES, names)
        assert names["verdict"].code.name == "CONT"


@pytest.mark.parametrize("name", [name for name in testing.__all__ if name.startswith("make_")])
def test_every_function_is_listed(name):
    assert f"`{name}(" in PAGE


@pytest.mark.parametrize(("kind", "heading"), [(MailServer, "The server"), (Client, "The client")])
def test_every_attribute_that_is_listed_is_there(kind, heading):
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section.split("| attribute")[-1] + section, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    with MailServer() as server:
        thing = server if kind is MailServer else server.connect()
        options = {"config", "search", "domains", "hostname", "level", "virtual_time", "transaction"}
        missing = [name for name in listed - options if not hasattr(thing, name)]
    assert not missing


def test_what_is_said_about_mails_and_calls():
    for kind, row in ((QueuedMail, "| `queued` |"), (Asked, "| `asked` |")):
        (line,) = [line for line in PAGE.splitlines() if line.startswith(row)]
        named = set(re.findall(r"`(\w+)`", line)) - {"queued", "asked"}
        assert named == {name for name in dir(kind) if not name.startswith("_")}
