"""logging/journald: what a journal reads from its socket, small records and large ones."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct

import pytest

from mta.logger import DEBUG, INFO
from mta.plugin import Plugin
from tests.support.install import eventually
from tests.support.logged import Logged

ALL_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def parse(data: bytes) -> dict[str, str]:
    """The fields of one record, read as systemd-journald does it."""
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (size,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + size], data[8 + size :]
            assert data[:1] == b"\n"
            data = data[1:]
        fields[name.decode()] = value.decode()
    return fields


class Journal:
    """A datagram socket that takes records, in datagrams or as descriptors."""

    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))
        self.sock.settimeout(10)
        self.seals = []

    def read(self):
        data, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 4)
        if not fds:
            return parse(data)
        assert data == b""
        (fd,) = fds
        self.seals.append(fcntl.fcntl(fd, fcntl.F_GET_SEALS))
        with open(fd, "rb") as file:
            file.seek(0)
            return parse(file.read())


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "socket")
    yield journal
    journal.sock.close()


def to(journal, tmp_path, ini="", *extra, level=INFO):
    files = {"logging_journald.ini": f"socket={journal.path}\n{ini}"}
    return Logged(tmp_path, ["logging/journald"], files, *extra, level=level)


def test_every_key_is_a_field(tmp_path, journal):
    with to(journal, tmp_path) as logged:
        logged.logger.notice("hello", {"ip": "::1", "n": 1, "x-y.z": "w"}, origin="x", uuid="U.1")
        record = journal.read()
    message = json.loads(record.pop("MESSAGE"))
    assert message == {
        "level": "NOTICE",
        "uuid": "U.1",
        "source": "x",
        "message": "hello",
        "ip": "::1",
        "n": 1,
        "x-y.z": "w",
    }
    assert record == {
        "PRIORITY": "5",
        "SYSLOG_IDENTIFIER": "haraka",
        "SYSLOG_FACILITY": "2",
        "SYSLOG_PID": str(os.getpid()),
        "HARAKA_LEVEL": "NOTICE",
        "HARAKA_UUID": "U.1",
        "HARAKA_SOURCE": "x",
        "HARAKA_IP": "::1",
        "HARAKA_N": "1",
        "HARAKA_X_Y_Z": "w",
    }


def test_the_message_as_text(tmp_path, journal):
    with to(journal, tmp_path, "message=text\nidentifier=mx\nfacility=local0\n") as logged:
        logged.logger.notice("hello", {"k": "v w"})
        record = journal.read()
    assert record["MESSAGE"] == 'hello k="v w"'
    assert (record["SYSLOG_IDENTIFIER"], record["SYSLOG_FACILITY"]) == ("mx", "16")


def test_hook_and_plugin(tmp_path, journal):
    class Says(Plugin):
        name = "says"

        def hook_rcpt(self, connection, rcpt, params):
            self.logdebug("text")

    with to(journal, tmp_path, "loglevel=debug\n", Says()) as logged:
        assert logged.logger.level == DEBUG
        logged.session("bob@example.com")
        record = {}
        while record.get("HARAKA_SOURCE") != "says":
            record = journal.read()
    assert (record["HARAKA_HOOK"], record["HARAKA_PLUGIN"], record["PRIORITY"]) == ("rcpt", "says", "7")


@pytest.mark.parametrize("evil", ["a\nPRIORITY=0", "\n", "a\x00b", "\udcff", "=", ""])
def test_no_value_becomes_another_field(tmp_path, journal, evil):
    with to(journal, tmp_path) as logged:
        logged.logger.info("m", {"helo": evil, "a\nb=c": 1})
        record = journal.read()
    assert record["PRIORITY"] == "6" and record["HARAKA_A_B_C"] == "1"
    assert record["HARAKA_HELO"] == evil.replace("\udcff", "\\udcff")
    assert json.loads(record["MESSAGE"])["helo"] == evil


def test_our_own_keys_can_not_be_replaced(tmp_path, journal):
    with to(journal, tmp_path) as logged:
        logged.logger.info("m", {"uuid": "forged", "level": "EMERG"}, uuid="U")
        record = journal.read()
    assert (record["HARAKA_UUID"], record["HARAKA_LEVEL"]) == ("U", "INFO")


def test_a_large_record_is_a_sealed_file(tmp_path, journal):
    size = 3_000_000
    with to(journal, tmp_path, "message=text\n") as logged:
        logged.logger.error("m", {"traceback": "line\n" * (size // 5)})
        record = journal.read()
        logged.logger.error("after")
        assert journal.read()["MESSAGE"] == "after"
    assert len(record["HARAKA_TRACEBACK"]) == size
    assert journal.seals == [ALL_SEALS]


def test_a_journal_that_is_not_there_is_found_later(tmp_path, journal):
    journal.sock.close()
    journal.path.unlink()
    with to(journal, tmp_path, "max_waiting=5\n") as logged:
        for number in range(20):
            logged.logger.info(f"m{number}")
        assert logged.session("bob@example.com")[-1].startswith("250 ")
        assert eventually(lambda: any("records wait" in line for line in logged.lines))
        again = Journal(journal.path)
        assert [json.loads(again.read()["MESSAGE"])["message"] for _ in range(5)] == [
            f"m{n}" for n in range(5)
        ]
        assert eventually(lambda: any("records were dropped" in line for line in logged.lines))
    again.sock.close()


def test_a_journal_that_reads_nothing_holds_up_no_session(tmp_path, journal):
    with to(journal, tmp_path, "max_waiting=100\n") as logged:
        for _ in range(2000):
            logged.logger.info("x" * 1000)
        assert logged.session("bob@example.com")[-1].startswith("250 ")
        assert logged.plugin("logging/journald").sender.dropped > 1000
        journal.sock.close()


def test_instead_of_standard_output(tmp_path, journal):
    with to(journal, tmp_path, "always_ok=true\n") as logged:
        logged.logger.info("m")
        assert journal.read()["HARAKA_SOURCE"] == "core"
    assert logged.lines == []


def test_its_other_name(tmp_path, journal):
    with Logged(tmp_path, ["logging/json"], {"logging_journald.ini": f"socket={journal.path}\n"}) as logged:
        logged.logger.info("m")
        assert json.loads(journal.read()["MESSAGE"])["message"] == "m"
