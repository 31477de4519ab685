"""logging/warn, connection_id, transaction_id and devnull: whole sessions, and what comes out on file descriptor 2."""

from __future__ import annotations

import os
import re

import pytest

from mta.logger import INFO, NOTICE
from mta.plugin import Plugin
from tests.support.logged import Logged
from tests.support.plugins import loaded

UUID = r"[0-9A-F]{8}-[0-9A-F-]{27}"


class Says(Plugin):
    name = "says"

    def hook_rcpt(self, connection, rcpt, params):
        self.logwarn("odd recipient", {"rcpt": str(rcpt)})
        self.loginfo("only for the curious")

    def hook_disconnect(self, connection):
        self.logerror("bye")


def written(tmp_path, capfd, name, files=None, level=NOTICE):
    with Logged(tmp_path, [name], files, Says(), level=level) as logged:
        logged.logger.warn("of nobody")
        logged.session("bob@example.com")
        assert logged.idle()
        lines = list(logged.lines)
    return capfd.readouterr().err.splitlines(), lines


def test_warn_writes_the_process_the_hook_and_the_plugin(tmp_path, capfd):
    err, lines = written(tmp_path, capfd, "logging/warn")
    pid = os.getpid()
    assert err == [
        f"{pid} of nobody",
        f"{pid} (rcpt) says: odd recipient rcpt=<bob@example.com>",
        f"{pid} (disconnect) says: bye",
    ]
    assert sum("odd recipient" in line for line in lines) == 1


def test_warn_may_say_more_than_standard_output_and_instead_of_it(tmp_path, capfd):
    ini = {"logging_warn.ini": "loglevel=info\nalways_ok=true\n"}
    err, lines = written(tmp_path, capfd, "logging/warn", ini, level=NOTICE)
    assert any(line.endswith("(rcpt) says: only for the curious") for line in err)
    assert any(" connect ip=127.0.0.1" in line for line in err)
    assert lines == []


def test_the_uuid_of_the_connection_stands_in_front(tmp_path, capfd):
    ini = {"logging_connection_id.ini": "loglevel=notice\n"}
    err, _ = written(tmp_path, capfd, "logging/connection_id", ini)
    assert err[0] == "??? of nobody"
    ids = {re.fullmatch(rf"({UUID}) .*", line)[1] for line in err[1:]}
    assert len(ids) == 1 and len(err) > 5


def test_the_uuid_of_the_transaction_stands_in_front(tmp_path, capfd):
    ini = {"logging_transaction_id.ini": "loglevel=notice\n"}
    err, _ = written(tmp_path, capfd, "logging/transaction_id", ini)
    assert err[0] == "??? of nobody"
    assert next(line for line in err if "connect ip" in line).startswith("??? ")
    assert re.match(rf"{UUID}\.1 \(rcpt\) says: odd", next(line for line in err if "odd" in line))


def test_two_loggers_both_get_every_line(tmp_path, capfd):
    with Logged(tmp_path, ["logging/warn", "logging/connection_id"], None, level=INFO) as logged:
        logged.logger.error("m")
    assert sorted(capfd.readouterr().err.splitlines()) == sorted([f"{os.getpid()} m", "??? m"])


def test_devnull_keeps_everything_from_standard_output_and_from_nobody_else(tmp_path, capfd):
    err, lines = written(tmp_path, capfd, "logging/devnull")
    assert lines == [] and err == []
    err, lines = written(tmp_path, capfd, "logging/warn", {"plugins": ""})
    with Logged(tmp_path / "both", ["logging/devnull", "logging/warn"]) as logged:
        logged.logger.error("m")
    assert logged.lines == []
    assert capfd.readouterr().err == f"{os.getpid()} m\n"


@pytest.mark.parametrize("evil", ["a\nb", "\x1b[2J", "\u202e"])
def test_a_line_stays_one_line(tmp_path, capfd, evil):
    with Logged(tmp_path, ["logging/warn"]) as logged:
        logged.logger.error("m", {"helo": evil})
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and evil not in err


def test_a_level_that_there_is_not_is_refused(tmp_path):
    from tests.support.plugins import config_of

    problems: list[str] = []
    from mta.plugin import LoggingWarnSettings

    config_of(tmp_path, {"logging_warn.ini": "loglevel=loud\n"}, problems).settings(LoggingWarnSettings)
    assert len(problems) == 1 and "logging_warn.ini:1" in problems[0] and "protocol, debug" in problems[0]
    assert loaded("logging/warn", tmp_path)[0].has("log")
