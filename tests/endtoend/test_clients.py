"""swaks, smtplib and smtp-source deliver through the relay to a recording sink and to Postfix's smtp-sink."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import server
from tests.support.compare import assert_same_message
from tests.support.needs import program
from tests.support.server import Server
from tests.support.sink import PostfixSink, RecordingSink

SENDER, RCPT = "sender@example.test", "rcpt@example.com"
MESSAGE = (
    b"From: <sender@example.test>\r\nTo: <rcpt@example.com>\r\nSubject: by %s\r\n"
    b"Date: Sun, 22 Nov 2026 01:21:39 +0000\r\nMessage-Id: <%s@client.test>\r\n\r\n"
    b"A line\r\n.\r\n..\r\n.dot\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\nlast line\r\n"
)


def swaks(port: int, message: Path) -> None:
    command = [
        program("swaks", "swaks"),
        "--server",
        "127.0.0.1",
        "--port",
        str(port),
        "--helo",
        "client.test",
    ]
    command += ["--from", SENDER, "--to", RCPT, "--data", f"@{message}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr


def smtp_lib(port: int, message: Path) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=30) as client:
        assert client.sendmail(SENDER, [RCPT], message.read_bytes().replace(b"\n", b"\r\n")) == {}


def smtp_source(port: int, message: Path) -> None:
    command = [
        program("smtp-source", "postfix"),
        "-M",
        "client.test",
        "-f",
        SENDER,
        "-t",
        RCPT,
        "-F",
        str(message),
    ]
    done = subprocess.run([*command, f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


CLIENTS = [swaks, smtp_lib, smtp_source]
Client = Callable[[int, Path], None]


def message_of(client: Client, tmp_path: Path) -> tuple[bytes, Path]:
    """Return what a client puts on the wire when it talks straight to a sink, and the file that it reads."""
    name = client.__name__.encode()
    path = tmp_path / "message"
    path.write_bytes((MESSAGE % (name, name)).replace(b"\r\n", b"\n"))
    with RecordingSink() as sink:
        client(sink.port, path)
        [sent] = sink.wait_for(1)
    assert sent.data.startswith(MESSAGE % (name, name))
    return sent.data, path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, RecordingSink]]:
    with RecordingSink() as sink, server.relay(tmp_path_factory.mktemp("relay"), sink.port) as relay:
        yield relay, sink


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, PostfixSink]]:
    with ExitStack() as stack:
        sink = stack.enter_context(PostfixSink(tmp_path_factory.mktemp("sink"), keep=True))
        yield stack.enter_context(server.relay(tmp_path_factory.mktemp("relay"), sink.port)), sink


@pytest.mark.parametrize("client", CLIENTS)
def test_to_the_recording_sink(
    client: Client, recording: tuple[Server, RecordingSink], tmp_path: Path
) -> None:
    relay, sink = recording
    sent, path = message_of(client, tmp_path)
    before = len(sink.messages)
    client(relay.port, path)
    got = sink.wait_for(before + 1)[-1]
    assert (got.mail_from, got.rcpts) == (SENDER, (RCPT,))
    assert_same_message(sent, got.data)


@pytest.mark.parametrize("client", CLIENTS)
def test_to_smtp_sink(client: Client, postfix: tuple[Server, PostfixSink], tmp_path: Path) -> None:
    relay, sink = postfix
    sent, path = message_of(client, tmp_path)
    before = sink.count
    client(relay.port, path)
    sink.wait_for(before + 1)
    subject = b"\nSubject: by " + client.__name__.encode()
    [got] = [message for message in sink.messages() if subject in message]
    assert_same_message(sent, got.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("kept", [True, False], ids=["kept connections", "one message each"])
def test_a_crowd_of_smtp_source_connections(kept: bool, tmp_path: Path) -> None:
    count = 400
    with PostfixSink(tmp_path / "sink") as sink, server.relay(tmp_path / "relay", sink.port) as relay:
        command = [program("smtp-source", "postfix"), "-s", "20", "-m", str(count), "-l", "2000", "-r", "3"]
        command += ["-C", "10", "-M", "client.test", "-f", SENDER, "-t", RCPT, *(["-d"] if kept else [])]
        done = subprocess.run(
            [*command, f"127.0.0.1:{relay.port}"], capture_output=True, text=True, timeout=50
        )
        assert done.returncode == 0, done.stderr
        sink.wait_for(count)
        assert relay.wait_until_idle(), relay.entries()
        assert sink.count == count
