"""Each peer takes one real message, and passes it on where it relays; the next hop refuses and times as it says."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.bench import latency_load, servers
from tests.bench.hop import Hop
from tests.bench.load import LoadFailed
from tests.bench.names import AIOSMTPD, BARE, EVERYBODY, HARAKA, POSTFIX, SLIMTA, does
from tests.support import haraka_js, needs, proc
from tests.support.server import eventually

SENDER = "sender@example.test"
MESSAGE = "Subject: one\r\n\r\n" + 40 * "twenty octets a line\r\n" + "..\r\n"
LONG = MESSAGE + 5000 * "twenty octets a line\r\n"
PACKAGES = {AIOSMTPD: "aiosmtpd", SLIMTA: "slimta"}


def need(name: str) -> None:
    """End the test where a contender can not be had."""
    if name == POSTFIX:
        needs.program("postfix", "postfix")
        needs.root()
    if HARAKA in name:
        needs.npm_haraka()
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        needs.missing(PACKAGES[name], "make .venv/.ready-bench")


@pytest.fixture
def hop(tmp_path: Path):
    with Hop(tmp_path / "hop") as made:
        yield made


def send(port: int, *messages: str, rcpt: str = "rcpt@example.com") -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        for message in messages:
            assert client.sendmail(SENDER, [rcpt], message) == {}


@pytest.mark.parametrize("name", EVERYBODY)
def test_discards_two_messages_of_a_connection(name: str, tmp_path: Path) -> None:
    need(name)
    with servers.contender(name, "discard", tmp_path / "server", None) as server:
        send(server.port, MESSAGE, LONG)
        assert proc.rss_kib(server.pid) > 0  # it is the right process


@pytest.mark.parametrize("name", [name for name in EVERYBODY if does(name, "relay")])
def test_relays_two_messages_of_a_connection(name: str, tmp_path: Path, hop: Hop) -> None:
    need(name)
    with servers.contender(name, "relay", tmp_path / "server", hop.port) as server:
        send(server.port, MESSAGE, LONG)
        assert eventually(lambda: hop.count == 2, 20), hop.count


@pytest.mark.parametrize("name", ["Haraka", "ours", "Postfix"])
def test_twenty_recipients_are_settled_when_one_was_bounced_and_two_are_deferred(
    name: str, tmp_path: Path, hop: Hop
) -> None:
    need(name)
    with servers.contender(name, "relay-mixed", tmp_path / "server", hop.port) as server:
        for number in range(20):
            send(server.port, MESSAGE, rcpt=f"{number}rcpt@example.com")
        assert eventually(lambda: hop.count == 20, 30), hop.count
        assert not eventually(lambda: hop.count > 20, 1.5)  # nobody tries again


@pytest.mark.parametrize("name", ["Haraka", "ours"])
def test_forwards_while_the_client_waits(name: str, tmp_path: Path, hop: Hop) -> None:
    need(name)
    with servers.contender(name, "forward", tmp_path / "server", hop.port) as server:
        send(server.port, MESSAGE)
        assert hop.count == 1


@pytest.mark.parametrize("name", ["Haraka", "ours"])
def test_a_chain_of_filters_lets_mail_pass(name: str, tmp_path: Path) -> None:
    need(name)
    if name == HARAKA and not haraka_js.plugins_installed():
        needs.missing("Haraka's plugins from npm", "python -m tests.support.haraka_js installs them")
    with servers.contender(name, "chain", tmp_path / "server", None) as server:
        # As many as a kept connection carries, and more than a limit that is in use would let pass.
        send(server.port, *[MESSAGE] * 120)


@pytest.mark.parametrize("name", ["Haraka", "ours"])
def test_a_filter_computes_for_each_message(name: str, tmp_path: Path) -> None:
    need(name)
    with servers.contender(name, "compute", tmp_path / "server", None) as server:
        send(server.port, MESSAGE)
        begun = server.cpu_seconds
        send(server.port, *[MESSAGE] * 50)
        assert server.cpu_seconds - begun > 50 * 0.002


def test_a_peer_that_is_not_installed_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.peers.scripts.find_spec", lambda _: None)
    with pytest.raises(LoadFailed, match="aiosmtpd is not installed"):
        servers.contender(AIOSMTPD, "discard", tmp_path, None)


def test_the_next_hop_refuses_by_number(hop: Hop) -> None:
    codes = {}
    for number in range(20, 40):
        try:
            send(hop.port, MESSAGE, rcpt=f"{number}rcpt@example.com")
        except smtplib.SMTPRecipientsRefused as refused:
            codes[number % 20] = next(iter(refused.recipients.values()))[0]
        except smtplib.SMTPDataError as refused:
            codes[number % 20] = -refused.smtp_code
    assert codes == {3: 550, 8: 450, 13: -451}
    assert hop.count == 19  # all but what awaits its bounce


def test_the_next_hop_times_what_has_a_stamp(hop: Hop) -> None:
    send(hop.port, MESSAGE)
    assert (hop.count, hop.timed) == (1, 0)
    words = [sys.executable, latency_load.__file__, str(hop.port), "3", "7", "1000"]
    done = subprocess.run(words, input="go\n", capture_output=True, text=True, timeout=30, env=os.environ)
    assert (done.stdout, done.returncode) == ("ready\ndone\n", 0)
    assert (hop.count, hop.timed) == (8, 7)
    assert len(hop.times(2)) == 5 and all(time > 0 for time in hop.times(0))


def test_bare_gevent_finds_the_end_of_data_across_chunks(tmp_path: Path) -> None:
    with (
        servers.contender(BARE, "discard", tmp_path / "server", None) as server,
        smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client,
    ):
        client.ehlo()
        client.mail(SENDER)
        client.rcpt("rcpt@example.com")
        assert client.docmd("DATA")[0] == 354
        for octets in (b"Subject: one\r\n\r\n..\r\nx\r", b"\n.", b"\r"):
            client.sock.sendall(octets)
            time.sleep(0.05)  # so that they come in chunks of their own
        client.sock.sendall(b"\nQUIT\r\n")
        assert [client.getreply()[0], client.getreply()[0]] == [250, 221]
