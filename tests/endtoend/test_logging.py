"""A server process with logging plugins: levels in log.ini, files and SIGHUP, several workers, a real syslog server."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support import server
from tests.support.client import RawClient
from tests.support.rsyslog import Rsyslog
from tests.support.server import eventually
from tests.support.sink import RecordingSink

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
PLUGIN = """
from mta.plugin import OK, Plugin

class Chatty(Plugin):
    def hook_mail(self, connection, mail_from, params):
        self.logdebug("debug", connection)
        self.lognotice("notice", connection)

    def hook_rcpt(self, connection, rcpt, params):
        return OK

    def hook_data(self, connection):
        return OK
"""


def send(relay: server.Server) -> None:
    with RawClient(relay.port) as client:
        assert client.send("a@example.org", "bob@example.com", MESSAGE).startswith("250")
        client.command("QUIT")


@pytest.mark.parametrize("nodes", ["0", "2"])
def test_files_are_opened_anew_at_sighup_by_every_process(tmp_path: Path, nodes: str) -> None:
    config = {
        "smtp.ini": "listen=127.0.0.1:{port}\nnodes=" + nodes + "\n",
        "plugins": "logging/file\nrelay\n",
        "logging_file.ini": "path=log/mail.log\nalways_ok=true\n",
    }
    log = tmp_path / "log/mail.log"
    with RecordingSink() as sink, server.relay(tmp_path, sink.port, config) as relay:
        send(relay)
        assert eventually(lambda: log.exists() and " delivered " in log.read_text())
        log.rename(tmp_path / "log/old.log")
        relay.signal(signal.SIGHUP)

        def moved() -> bool:
            send(relay)
            return log.exists() and " disconnect " in log.read_text()

        assert eventually(moved)
        assert " connect " not in relay.log
    assert re.search(r"\w{3} \w{3} \d\d [\d:]{8} \d{4} \S+\[\d+\]: \[NOTICE\] ", log.read_text())


def test_levels_by_plugin_and_hook_follow_the_file(tmp_path: Path) -> None:
    config = {
        "plugins": "chatty\nrelay\n",
        "log.ini": "[main]\nlevel=notice\n[plugins]\nchatty=debug\noutbound=error\n[hooks]\nrcpt=debug\n[relabel]\nrelay=-1\n",
    }
    with RecordingSink() as sink:
        relay = server.relay(tmp_path, sink.port, config, plugins={"chatty.py": PLUGIN})
        with relay:
            send(relay)
            assert eventually(lambda: " disconnect " in relay.log)
            assert "[chatty] debug" in relay.log and "[chatty] notice" in relay.log
            assert "[outbound]" not in relay.log and "[core] connect" in relay.log
            assert "hook=rcpt" in relay.log and "hook=data" not in relay.log
            (tmp_path / "config/log.ini").write_text("[main]\nlevel=notice\n[plugins]\nchatty=error\n")

            def changed() -> bool:
                before = len(relay.log)
                send(relay)
                return (
                    eventually(lambda: "disconnect" in relay.log[before:])
                    and "[chatty]" not in relay.log[before:]
                )

            assert eventually(changed)


def test_adaptive_in_a_server(tmp_path: Path) -> None:
    config = {
        "plugins": "logging/adaptive\nchatty\nrelay\n",
        "logging_adaptive.ini": "accept=error\nreject=debug\naccept_prefix=\nreject_prefix=!\n",
        "relay_acl_allow": "127.0.0.0/8\n",
    }
    with RecordingSink() as sink:
        with server.relay(tmp_path, sink.port, config, plugins={"chatty.py": PLUGIN}) as relay:
            send(relay)
            assert sink.wait_for(1)
            with RawClient(relay.port) as client:
                client.command("MAIL FROM:<a@example.org>")
                assert client.command("RCPT TO:<>").startswith("5")
                assert client.command("RCPT TO:<x@y>").startswith("250")
                client.command("DATA")
                client.write(b"Received: x\r\n" * 200 + b"\r\n.\r\n")
                assert client.read().startswith("5")
                client.command("QUIT")
            assert eventually(lambda: "! disconnect" in relay.log or "! message" in relay.log)
        log = relay.log
    assert log.count("[chatty] ! debug") == 1 and "[chatty] debug" not in log
    assert " delivered " in log  # what belongs to no session is written as ever


def test_syslog_in_a_server(tmp_path: Path) -> None:
    (tmp_path / "install").mkdir()
    with Rsyslog(tmp_path / "rsyslog") as rsyslog, RecordingSink() as sink:
        config = {
            "plugins": "logging/syslog\nlogging/devnull\nrelay\n",
            "syslog.ini": f"[general]\nserver={rsyslog.path}\nname=mx\nfacility=local1\nndelay=true\n",
        }
        with server.relay(tmp_path / "install", sink.port, config) as relay:
            send(relay)
            assert eventually(lambda: any(" delivered " in each["msg"] for each in rsyslog.messages))
            assert relay.log == ""
        assert eventually(lambda: any("SIGTERM received" in each["msg"] for each in rsyslog.messages))
    programs = {(each["program"], each["facility"]) for each in rsyslog.messages}
    assert programs == {("mx", "local1")}


def test_a_wrong_setting_keeps_the_server_from_starting(tmp_path: Path) -> None:
    config = {
        "plugins": "logging/syslog\nrelay\n",
        "log.ini": "[main]\n[relabel]\nkarma=louder\n",
    }
    status, output = server.relay(tmp_path, 9, config).run_to_end()
    assert status == 1 and "log.ini:3" in output and "+1 to +9, -1 to -9, or a level" in output
