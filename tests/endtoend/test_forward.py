"""queue/smtp_forward in a whole server: connections to the next server, a reload and the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import RawClient
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

INI = "[main]\nhost=127.0.0.1\nport=%d\nconnection_idle=600\n"


@pytest.fixture
def sink() -> Iterator[RecordingSink]:
    with RecordingSink() as sink:
        yield sink


@pytest.fixture
def server(tmp_path: Path, sink: RecordingSink) -> Iterator[Server]:
    config = {
        "smtp.ini": "listen=127.0.0.1:{port}\n",
        "me": "mx.example.test\n",
        "plugins": "rcpt_to.in_host_list\nqueue/smtp_forward\n",
        "host_list": "example.com\n",
        "smtp_forward.ini": INI % sink.port,
    }
    with Server(tmp_path, config) as server:
        yield server


def send(client: RawClient) -> str:
    assert client.envelope("a@client.test", "bob@example.com").startswith("354")
    return client.command(b"Subject: x\r\n\r\nx\r\n.")


def quits(sink: RecordingSink) -> int:
    return sink.commands.count("QUIT")


def test_clients_after_one_another_share_a_connection(server: Server, sink: RecordingSink) -> None:
    for _ in range(3):
        client = RawClient(server.port)
        assert [send(client)[:3] for _ in range(2)] == ["250", "250"]
        client.command("QUIT")
    assert (sink.sessions, len(sink.messages), quits(sink)) == (1, 6, 0)


def test_a_changed_file_and_sigterm_end_what_is_kept(server: Server, sink: RecordingSink) -> None:
    client = RawClient(server.port)
    send(client)
    with RecordingSink() as other:
        (server.directory / "config" / "smtp_forward.ini").write_text(INI % other.port)
        assert eventually(lambda: quits(sink) == 1)
        assert send(client).startswith("250")
        assert (sink.sessions, other.sessions) == (1, 1)
        client.command("QUIT")
        assert server.stop() == 0
        assert quits(other) == 1
