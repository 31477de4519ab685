"""The whole server in this process: settings that change while it runs, a start that fails leaves nothing behind."""

import os
import smtplib
import socket
from pathlib import Path

import gevent
import pytest

from mta.net.ip import is_local
from mta.outbound.tls_result import TlsResult
from mta.processes.errors import StartError
from mta.worker import Worker
from tests.support.fake_mx import FakeMx
from tests.support.install import eventually


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An installation that relays for this machine to nobody; `listen` is a free port."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "smtp.ini").write_text("listen=127.0.0.1:0\n")
    (config / "plugins").write_text("relay\n")
    (config / "relay_acl_allow").write_text("127.0.0.0/8\n")
    (config / "outbound.ini").write_text("disabled=true\n")
    (config / "log.ini").write_text("level=notice\n")
    (config / "outbound.bounce_rules").write_text("mine: code=550\n")
    (config / "me").write_text("mx.example.test\n")
    return tmp_path


@pytest.fixture
def log(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture
def worker(house: Path, log: Path):
    """A worker of the house; it is stopped in the end."""
    fd = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
    made = Worker(house, fd)
    yield made
    made.stop()
    os.close(fd)


def ehlo(port: int) -> bytes:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        return smtp.ehlo("client.test")[1]


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.sendmail("a@example.org", ["b@example.com"], "Subject: hi\r\n\r\nbody\r\n")


def test_mail_is_kept_while_delivery_is_disabled(worker: Worker, house: Path) -> None:
    worker.start()
    send(worker.addresses[0][1])
    assert len(list((house / "queue").iterdir())) == 1


def test_connection_ini_is_reloaded(worker: Worker, house: Path) -> None:
    worker.start()
    port = worker.addresses[0][1]
    assert b"SIZE 26214400" in ehlo(port)
    (house / "config" / "connection.ini").write_text("[max]\nbytes=1000\n")
    assert eventually(lambda: b"SIZE 1000" in ehlo(port))


def test_outbound_ini_is_reloaded(worker: Worker, house: Path) -> None:
    sink = socket.create_server(("127.0.0.1", 0))
    worker.start()
    send(worker.addresses[0][1])
    port = sink.getsockname()[1]
    (house / "config" / "outbound.ini").write_text(f"[smarthost]\nhost=127.0.0.1:{port}\n")
    sink.settimeout(5)
    client, _ = sink.accept()  # the engine was let loose, and goes to the new smarthost
    assert is_local(client.getpeername()[0])
    client.close()
    sink.close()


def test_a_broken_file_is_told_and_changes_nothing(worker: Worker, house: Path, log: Path) -> None:
    worker.start()
    (house / "config" / "connection.ini").write_text("[max]\nbytes=1000\n???\n")
    assert eventually(lambda: "connection.ini:3" in log.read_text())
    assert b"SIZE 26214400" in ehlo(worker.addresses[0][1])


def test_bounce_rules_are_reloaded_and_a_broken_one_changes_nothing(
    worker: Worker, house: Path, log: Path
) -> None:
    rules = house / "config" / "outbound.bounce_rules"
    worker.start()
    settler = worker.outbound._settler
    assert [rule.category for rule in settler.rules.all] == ["mine"]
    rules.write_text("yours: code=550\n")
    assert eventually(lambda: [rule.category for rule in settler.rules.all] == ["yours"])
    rules.write_text("; comment\n\nother: code=55\n")
    assert eventually(
        lambda: "outbound.bounce_rules:3: '55' is not a code; allowed: category:" in log.read_text()
    )
    assert eventually(lambda: "the bounce rules stay as they were" in log.read_text())
    assert [rule.category for rule in settler.rules.all] == ["yours"]


def test_queue_dir_says_where_mail_waits(worker: Worker, house: Path) -> None:
    (house / "config" / "queue_dir").write_text("spool/waiting\n")
    (house / "spool").mkdir()
    worker.start()
    send(worker.addresses[0][1])
    assert len(list((house / "spool" / "waiting").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("smtp.ini", "listen=127.0.0.1:99999\n", "99999"),
        ("smtp.ini", "listen=127.0.0.1:0\n!!\n", "smtp.ini:2"),
        ("plugins", "relay\nno_such_plugin\n", "no_such_plugin"),
        ("outbound.ini", "[smarthost]\nhost=a.test\nauth_pass=x\n", "auth_user"),
        ("outbound.bounce_rules", "mine: code=550\nbad\n", "outbound.bounce_rules:2"),
    ],
)
def test_a_start_that_fails_lets_go_of_everything(
    worker: Worker, house: Path, log: Path, name: str, text: str, complaint: str
) -> None:
    good = (house / "config" / name).read_text()
    (house / "config" / name).write_text(text)
    with pytest.raises(StartError) as caught:
        worker.start()
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    (house / "config" / name).write_text(good)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT, 0o600)
    again = Worker(house, fd)  # the port, the lock on the queue directory: all free again
    again.start()
    again.stop()
    os.close(fd)


PICKY = """
from mta.plugin import DENY, OK, Plugin


class Picky(Plugin):
    def hook_init_master(self, server):
        return DENY, "the moon is full"
"""


def test_a_plugin_can_refuse_the_start(worker: Worker, house: Path) -> None:
    (house / "plugins").mkdir()
    (house / "plugins" / "picky.py").write_text(PICKY)
    (house / "config" / "plugins").write_text("relay\npicky\n")
    with pytest.raises(StartError, match="plugin picky does not let the server start: the moon is full"):
        worker.start()


def test_two_servers_in_one_process(worker: Worker, house: Path, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "config").mkdir()
    for file in (house / "config").iterdir():
        (other / "config" / file.name).write_text(file.read_text())
    (other / "config" / "me").write_text("other.example.test\n")
    worker.start()
    fd = os.open(os.devnull, os.O_WRONLY)
    second = Worker(other, fd)
    second.start()
    assert ehlo(worker.addresses[0][1]).startswith(b"mx.example.test")
    assert ehlo(second.addresses[0][1]).startswith(b"other.example.test")
    second.stop()
    os.close(fd)
    gevent.sleep(0)
    assert ehlo(worker.addresses[0][1]).startswith(b"mx.example.test")


def test_one_queue_directory_has_one_server(worker: Worker, house: Path) -> None:
    worker.start()
    fd = os.open(os.devnull, os.O_WRONLY)
    with pytest.raises(StartError, match=str(os.getpid())):
        Worker(house, fd).start()
    os.close(fd)


def test_stop_may_be_called_twice(worker: Worker) -> None:
    worker.start()
    worker.stop()
    worker.stop()


def test_routes_and_pools_are_followed_while_it_runs(worker: Worker, house: Path, log: Path) -> None:
    config = house / "config"
    with FakeMx() as smart, FakeMx() as far:
        (config / "outbound.ini").write_text(f"[smarthost]\nhost={smart.smarthost}\ntls=off\n")
        worker.start()
        send(worker.addresses[0][1])
        assert eventually(lambda: smart.messages)
        route = f"[far]\nrecipients=*.com\nhost={far.smarthost}\ntls=off\npool=p\n"
        (config / "outbound_pools.ini").write_text("[p]\nsource[]=127.0.0.7 1 seven.test\n")
        (config / "outbound_routes.ini").write_text(route)
        assert eventually(lambda: len(list(worker.outbound._router.rules)))
        send(worker.addresses[0][1])
        assert eventually(lambda: far.messages)
        assert far.peers == ["127.0.0.7"] and far.commands[0] == "EHLO seven.test"
        (config / "outbound_routes.ini").write_text(route.replace("pool=p", "pool=q"))
        assert eventually(lambda: "there is no [q] in outbound_pools.ini" in log.read_text())
        send(worker.addresses[0][1])
        assert eventually(lambda: len(far.messages) == 2)
        assert len(smart.messages) == 1


def test_what_comes_of_tls_is_kept_for_the_daily_report(worker: Worker, house: Path) -> None:
    (house / "config" / "outbound.ini").write_text("disabled=true\n[tls_rpt]\nreport=true\n")
    worker.start()
    collect = worker.outbound._router.tls.on_tls_result
    assert collect is not None
    collect(
        TlsResult(
            "b.test",
            "no-policy-found",
            (),
            "b.test",
            (),
            "starttls-not-supported",
            "mx.b.test",
            "192.0.2.1",
            "",
        )
    )
    worker.stop()
    (day,) = (house / "queue.state" / "tls-rpt" / "0").iterdir()
    assert "starttls-not-supported" in day.read_text()
