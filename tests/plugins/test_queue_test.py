from __future__ import annotations

import stat

import pytest

from mta.message.header import Header
from mta.plugin import DENYSOFT, OK
from tests.support.plugins import connection_from, loaded, with_mail


@pytest.fixture
def connection(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    connection = with_mail(connection_from())
    stream = connection.transaction.message_stream
    stream.header = Header(b"Subject: hello\r\n")
    stream.separator = True
    stream.append(b"one\r\n..two\r\n")
    return connection


def test_the_message_is_written(tmp_path, connection):
    runner, lines = loaded("queue/test", tmp_path)
    assert runner.run("queue", connection).code is OK
    file = tmp_path / f"mail_{connection.transaction.uuid}.eml"
    assert file.read_bytes() == b"Subject: hello\r\n\r\none\r\n.two\r\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert any(str(file) in line for line in lines)


def test_a_file_of_somebody_else_is_left_alone(tmp_path, connection):
    runner, _ = loaded("queue/test", tmp_path)
    target = tmp_path / "precious"
    target.write_text("keep")
    (tmp_path / f"mail_{connection.transaction.uuid}.eml").symlink_to(target)
    assert runner.run("queue", connection).code is DENYSOFT
    assert target.read_text() == "keep"


def test_no_half_file_stays_behind(tmp_path, connection, monkeypatch):
    runner, lines = loaded("queue/test", tmp_path)

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", disk_full)
    assert runner.run("queue", connection).code is DENYSOFT
    assert list(tmp_path.glob("*.eml")) == []
    assert any("No space left on device" in line for line in lines)
