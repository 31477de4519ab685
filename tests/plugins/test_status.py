"""STATUS: what it tells of a real queue, what it changes, and who may say it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mta.plugin import QueueError
from tests.support.bundled import Talker, inbound_with
from tests.support.client import RawClient
from tests.support.plugins import StandInServer, logger_and_lines, plugins_of
from tests.support.ports import free_port
from tests.support.server import RELAY_CONFIG, Server, eventually, outbound_ini
from tests.support.service import Client
from tests.support.sink import RecordingSink

MESSAGE = b"Subject: hi\r\n\r\nhello\r\n"


def config(nodes: int, next_hop: int, **more: str) -> dict[str, str]:
    return {
        **RELAY_CONFIG,
        "smtp.ini": RELAY_CONFIG["smtp.ini"] + f"nodes={nodes}\n",
        "plugins": "status\nrelay\n",
        "outbound.ini": outbound_ini(next_hop, "1h*3"),
        **more,
    }


@pytest.fixture(params=[0, 2], ids=["one process", "two workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Mail waits in it: nobody is at the next hop."""
    with Server(tmp_path, config(request.param, free_port())) as server:
        for _ in range(2):
            with RawClient(server.port) as client:
                for name in ("one", "two"):
                    assert client.send("ann@a.test", [f"{name}@b.test"], MESSAGE).startswith("250")
        assert eventually(lambda: len(server.waiting()) == 4 and server.deferred())
        yield server


def told(client: RawClient, what: str):
    reply = client.command(f"STATUS {what}")
    assert reply.startswith("211"), reply
    return json.loads(" ".join(line[4:] for line in reply.split("\n")))


def test_everything_about_a_queue(server: Server) -> None:
    with RawClient(server.port) as client:
        assert client.extensions.splitlines()[-1] == "250 STATUS"
        entries = told(client, "QUEUE LIST")
        assert sorted(entry["file"] for entry in entries) == server.waiting()
        assert {entry["domain"] for entry in entries} == {"b.test"}
        assert {entry["from"] for entry in entries} == {"<ann@a.test>"}
        assert sorted(entry["to"][0] for entry in entries) == ["<one@b.test>"] * 2 + ["<two@b.test>"] * 2
        assert all(entry["uuid"].endswith(".1") and entry["queue_time"] > 1e12 for entry in entries)
        assert len(told(client, "QUEUE LIST 1")) == 1
        assert eventually(lambda: told(client, "QUEUE STATS") == "0/0/4")
        inspected = told(client, "QUEUE INSPECT")
        assert inspected["delivery_queue"] == []
        assert sorted(each["id"] for each in inspected["temp_fail_queue"]) == server.waiting()
        assert all(each["fire_time"] > 1e12 for each in inspected["temp_fail_queue"])
        assert told(client, "POOL LIST") == {}


def test_discard_and_push(server: Server) -> None:
    with RawClient(server.port) as client:
        first, second, *_ = [entry["file"] for entry in told(client, "QUEUE LIST")]
        assert told(client, f"QUEUE DISCARD {first}") == "OK"
        assert first not in server.waiting() and len(server.waiting()) == 3
        assert told(client, f"queue push {second}") == "OK"
        assert eventually(lambda: second not in server.waiting() and len(server.waiting()) == 3)
        assert client.command(f"STATUS QUEUE DISCARD {first}") == f"500 5.5.1 {first}: gone"
    assert eventually(lambda: f"discarded by STATUS file={first}" in server.log)


def test_only_entries_can_be_discarded(server: Server) -> None:
    victim = server.directory / "config" / "me"
    with RawClient(server.port) as client:
        for name in ("../config/me", str(victim), ".", ""):
            assert client.command(f"STATUS QUEUE DISCARD {name}").startswith("500 5.5.1 ")
    assert victim.exists()


def test_connections_to_next_hops_are_counted(tmp_path):
    with (
        RecordingSink() as sink,
        Server(tmp_path, config(0, sink.port)) as server,
        RawClient(server.port) as client,
    ):
        client.send("ann@a.test", ["one@b.test"], MESSAGE)
        assert server.wait_until_idle()
        assert eventually(
            lambda: told(client, "POOL LIST") == {f"127.0.0.1:{sink.port}": {"inUse": 0, "size": 1}}
        )


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("", "unknown STATUS command"),
        ("SERVER", "unknown STATUS command"),
        ("QUEUE", "unknown QUEUE command"),
        ("QUEUE SHUFFLE", "unknown QUEUE command"),
        ("POOL DRAIN", "unknown POOL command"),
        ("QUEUE LIST many", "STATUS QUEUE LIST takes a number up to 100000"),
        ("QUEUE LIST 999999999999999", "STATUS QUEUE LIST takes a number up to 100000"),
        ("QUEUE PUSH", "the name of a queue file is missing"),
        ("QUEUE DISCARD x", "this server allows no changes by STATUS"),
    ],
)
def test_what_can_not_be_done(tmp_path, command, reply):
    files = {"status.ini": "[main]\nchanges=false\n"} if "changes" in reply else {}
    with inbound_with(tmp_path, ["status"], files) as inbound:
        client = Client(inbound.port)
        assert client.ask(f"STATUS {command}") == f"500 5.5.1 {reply}"
        client.close()


def test_a_server_that_does_not_answer(tmp_path):
    with inbound_with(tmp_path, ["status"]) as inbound:
        client = Client(inbound.port)
        assert client.ask("STATUS QUEUE STATS") == "450 4.3.0 the server is not running"
        client.close()


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.1 127.0.0.1 40001 25\r\n",
        b"PROXY TCP4 10.1.2.3 10.1.2.4 40001 25\r\n",
        b"PROXY UNKNOWN\r\n",
    ],
)
def test_nobody_else_may(tmp_path, header):
    with inbound_with(tmp_path, ["status"], haproxy_hosts=("127.0.0.1",)) as inbound:
        client = Talker(inbound.port, header)
        assert client.read().startswith("220 ")
        assert "250-STATUS" not in client.ask("EHLO x").replace("250 ", "250-").split("\n")
        assert client.ask("STATUS QUEUE LIST") == "500 5.5.1 STATUS not allowed remotely"
        client.close()


def test_a_long_answer_comes_in_lines_that_are_one_json_text(tmp_path):
    entries = [{"file": str(number), "to": [f'"a  {number}"@b.example']} for number in range(300)]
    server = StandInServer()
    server.outbound = type("Queue", (), {"entries": lambda self, limit: entries[:limit]})()
    with inbound_with(tmp_path, ["status"]) as inbound:
        inbound.service.hooks._plugins[0].server = server
        client = Client(inbound.port)
        reply = client.ask("STATUS QUEUE LIST").split("\n")
        client.close()
    assert len(reply) > 10 and all(len(line) <= 510 for line in reply)
    assert json.loads(" ".join(line[4:] for line in reply)) == entries


def test_before_the_start_there_is_no_queue(tmp_path):
    [plugin] = plugins_of(tmp_path, ["status"], {}, logger_and_lines()[0])
    for ask in (plugin.pool_list, plugin.queue_list, plugin.queue_stats, plugin.queue_inspect):
        with pytest.raises(QueueError):
            ask("")
