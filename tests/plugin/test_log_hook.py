"""Hook log: who is asked, what a record knows, and that nothing goes round in circles."""

from __future__ import annotations

import threading

import pytest

from mta.logger import DATA, DEBUG, ERROR, INFO, WARN
from mta.plugin import DENY, OK, Plugin
from mta.plugin.loader import load_plugins
from mta.plugin.runner import HookRunner
from tests.support.logged import Logged
from tests.support.plugins import (
    StandInServer,
    config_of,
    connection_from,
    logger_and_lines,
    runner_of,
    with_mail,
)


class Listens(Plugin):
    """Remembers every record that it is shown."""

    def __init__(self, name="listens", answer=None, level=None):
        self.name = name
        self.answer = answer
        self.log_level = level
        self.seen = []

    def hook_log(self, record):
        self.seen.append(record)
        return self.answer

    @property
    def messages(self):
        return [record.message for record in self.seen]


class Logs(Plugin):
    name = "logs"

    def hook_rcpt(self, connection, rcpt, params):
        self.loginfo("without a connection", {"rcpt": str(rcpt)})
        self.loginfo("with one", connection, {"n": 1}, 2)
        connection.loginfo("of the connection")
        self.loginfo("of the transaction", connection.transaction)
        self.offload(self.loginfo, "in a thread")
        return


def ready(*plugins):
    """A runner whose logger asks the plugins, that logger, and its lines."""
    runner, lines = runner_of(*plugins)
    for plugin in plugins:
        plugin.log_level = plugin.log_level
    logger = runner._logger
    logger.plugins_ready(runner.on_record)
    return runner, logger, lines


# ---- who is asked


def test_all_loggers_are_asked_whatever_one_answers():
    one, two, three = Listens("one", OK), Listens("two", DENY), Listens("three")
    _, logger, lines = ready(one, two, three)
    logger.info("m")
    assert one.messages == two.messages == three.messages == ["m"]
    assert lines == []


def test_a_line_is_written_when_all_agree():
    _, logger, lines = ready(Listens("one"), Listens("two"))
    logger.info("m")
    assert lines == ["[INFO] [-] [core] m"]


def test_a_logger_sees_what_is_printed_unless_it_says_otherwise():
    printed, errors, everything = Listens("p"), Listens("e", level=ERROR), Listens("d", level=DATA)
    _, logger, lines = ready(printed, errors, everything)
    logger.debug("debug")
    logger.info("info")
    logger.error("error")
    assert printed.messages == ["info", "error"]
    assert errors.messages == ["error"]
    assert everything.messages == ["debug", "info", "error"]
    assert [line.split()[-1] for line in lines] == ["info", "error"]


def test_what_nobody_wants_costs_one_comparison():
    _, logger, _ = ready(Listens(level=WARN))
    assert logger.level == INFO

    class Untouchable:
        def keys(self):
            raise AssertionError("looked at")

    logger.debug("m", Untouchable())
    logger.plugins_ready(None)
    assert logger.level == INFO


def test_a_class_may_say_what_it_wants_to_see(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "curious.py").write_text(
        "from mta.plugin import Plugin\n\n\nclass Curious(Plugin):\n    log_level = 9\n"
        "    seen = []\n\n    def hook_log(self, record):\n        self.seen.append(record.message)\n"
    )
    logger, _ = logger_and_lines()
    server = StandInServer()
    plugins = load_plugins(["curious"], config_of(tmp_path, {}), logger, server, [tmp_path / "plugins"])
    logger.plugins_ready(HookRunner(plugins, logger).on_record)
    assert logger.level == DATA and plugins[0].log_level == DATA
    logger.data("d")
    plugins[0].log_level = WARN
    logger.data("e")
    assert plugins[0].seen == ["d"] and logger.level == INFO


def test_the_level_follows_a_logger_that_changes_its_mind():
    listens = Listens(level=DATA)
    _, logger, _ = ready(listens)
    assert logger.level == DATA
    listens.log_level = None
    assert logger.level == INFO
    listens.log_level = DEBUG
    assert logger.level == DEBUG
    logger.plugins_ready(None)
    assert logger.level == INFO


def test_a_logger_sees_what_was_held_back_below_the_level():
    from mta.logger import Logger

    lines, seen = [], []
    logger = Logger(INFO, write=lines.append, hold=True)
    logger.want("x", DEBUG)
    logger.debug("early")
    logger.plugins_ready(lambda record: not seen.append((record.message, record.printed)))
    assert seen == [("early", False)] and lines == []


# ---- what a record knows


def test_a_record_knows_where_it_was_made():
    listens = Listens()
    runner, _, _ = ready(Logs(), listens)
    c = with_mail(connection_from())
    c.logger = runner._logger
    runner.run("rcpt", c, "<bob@example.com>", {})
    assert len(listens.seen) == 5
    for record in listens.seen:
        assert record.uuid == c.transaction.uuid
        assert record.connection is c and record.transaction is c.transaction
        assert record.hook == "rcpt"
    first, second, third, fourth, fifth = listens.seen
    assert (first.plugin, first.origin, first.level) == ("logs", "logs", INFO)
    assert first.fields == {"rcpt": "<bob@example.com>"}
    assert second.parts == ("with one", c, {"n": 1}, 2) and second.message == "with one 2"
    assert (third.plugin, third.origin, third.parts) == ("", "core", ("of the connection",))
    assert fourth.about is c.transaction
    assert fifth.message == "in a thread"


def test_a_record_of_nobody_says_so():
    listens = Listens()
    _, logger, _ = ready(listens)
    logger.info("m")
    (record,) = listens.seen
    assert (record.connection, record.transaction, record.hook, record.plugin) == (None, None, "", "")


def test_the_transaction_is_that_of_the_moment(tmp_path):
    listens = Listens(level=DATA)
    with Logged(tmp_path, [], None, listens) as logged:
        assert logged.session("bob@example.com")[-1].startswith("250 ")
    where = {record.message: record for record in listens.seen}
    connect, message, disconnect = where["connect"], where["message"], where["disconnect"]
    assert connect.transaction is None and disconnect.transaction is None
    assert message.transaction.uuid == message.uuid
    assert connect.connection is message.connection is disconnect.connection
    assert connect.connection.uuid == connect.uuid


def test_hooks_end_with_what_they_ran(tmp_path):
    listens = Listens()
    runner, logger, _ = ready(Logs(), listens)
    runner.run("rcpt", with_mail(connection_from()), "<bob@example.com>", {})
    logger.info("afterwards")
    assert listens.seen[-1].hook == "" and listens.seen[-1].connection is None


def test_a_hook_may_have_a_level_of_its_own():
    runner, logger, lines = ready(Logs())
    logger.rule({}, {"rcpt": WARN}, {})
    runner.run("rcpt", with_mail(connection_from()), "<bob@example.com>", {})
    assert lines == []
    logger.rule({"logs": INFO}, {"rcpt": WARN}, {})
    runner.run("rcpt", with_mail(connection_from()), "<bob@example.com>", {})
    assert len(lines) == 4 and all("[logs]" in line for line in lines)


def test_what_a_plugin_decided_belongs_to_its_hook_and_its_connection():
    class Denies(Plugin):
        name = "denies"

        def hook_rcpt(self, connection, rcpt, params):
            return DENY

    class Broken(Plugin):
        name = "broken"

        def hook_data(self, connection):
            raise ValueError("x")

    listens = Listens()
    runner, _, _ = ready(Denies(), Broken(), listens)
    c = with_mail(connection_from())
    runner.run("rcpt", c, "<bob@example.com>", {})
    runner.run("data", c)
    decided, failed = listens.seen
    assert (decided.connection, decided.transaction, decided.hook) == (c, c.transaction, "rcpt")
    assert (failed.connection, failed.hook, failed.plugin, failed.level) == (c, "data", "broken", 2)


# ---- no circles


class Circles(Plugin):
    """Logs about every line, itself, through others, and from other greenlets and threads."""

    name = "circles"

    def __init__(self):
        self.count = 0

    def hook_log(self, record):
        self.count += 1
        assert self.count < 50
        self.loginfo("about", record.message)
        self.server_logger.info("of the server")
        thread = threading.Thread(target=self.loginfo, args=("from a greenlet",))
        thread.start()
        thread.join()
        self.offload(self.server_logger.info, "from a thread")


def test_what_a_logger_logs_is_written_and_shown_to_none():
    circles, listens = Circles(), Listens()
    _, logger, lines = ready(circles, listens)
    circles.server_logger = logger
    logger.info("m")
    assert circles.count == 1 and listens.messages == ["m"]
    assert [line.split("] ")[-1] for line in lines] == [
        *("about m", "of the server", "from a greenlet", "from a thread", "m"),
    ]


def test_a_logger_that_fails_stops_nobody_and_does_not_fill_the_log():
    class Fails(Plugin):
        name = "fails"

        def hook_log(self, record):
            raise ValueError("no disk")

    listens = Listens()
    _, logger, lines = ready(Fails(), listens)
    for number in range(100):
        logger.info(f"m{number}")
    assert len(listens.seen) == 100
    assert len([line for line in lines if "[CRIT]" in line and "no disk" in line]) == 1
    assert len(lines) == 101


@pytest.mark.parametrize(
    "key", ["password", "Password", "auth_pass", "token", "client_secret", "AUTHORIZATION"]
)
def test_fields_that_are_named_like_secrets_are_masked(key):
    listens = Listens()
    _, logger, lines = ready(listens)
    logger.info("m", {key: "geheim", "user": "bob"})
    assert "geheim" not in lines[0] and f"{key}=*** user=bob" in lines[0]
    assert listens.seen[0].fields == {key: "***", "user": "bob"}


def test_keys_may_be_anything():
    _, logger, lines = ready()
    logger.info("m", {1: 2, "UPPER": 3, "ß": 4, None: 5})
    assert lines == ["[INFO] [-] [core] m 1=2 UPPER=3 ß=4 None=5"]
