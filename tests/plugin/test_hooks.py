from __future__ import annotations

import inspect

import pytest

from mta.logger import WARN
from mta.plugin.hooks import HOOKS, Plugin
from mta.plugin.log_args import read_log_args, uuid_of
from tests.support.plugins import connection_from, hmail_to, logger_and_lines, with_mail

HARAKAS = """
    init_master init_child init_http init_wss connect_init lookup_rdns connect helo ehlo capabilities
    unrecognized_command mail rcpt rcpt_ok data max_data_exceeded data_post queue queue_outbound queue_ok
    reset_transaction deny vrfy noop rset quit disconnect log pre_send_trans_email send_email get_mx deferred
    bounce delivered
"""


def test_the_hooks_are_harakas():
    assert sorted(HOOKS) == sorted(HARAKAS.split())


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_and_says_nothing_by_default(hook):
    method = getattr(Plugin, f"hook_{hook}")
    assert method.__doc__
    arguments = [None] * (len(inspect.signature(method).parameters) - 1)
    assert getattr(Plugin(), f"hook_{hook}")(*arguments) is None


def test_a_plugin_can_be_made_and_asked_without_a_server():
    class Small(Plugin):
        def hook_noop(self, connection, argument):
            self.loginfo("nobody listens", connection)
            return

    assert Small().hook_noop(connection_from(), "") is None


def test_registrations_do_not_leak_between_plugins():
    one, two = Plugin(), Plugin()
    one.register_hook("quit", one.shutdown)
    assert len(list(one.registrations())) == 1
    assert list(two.registrations()) == []


def test_log_lines_take_their_arguments_in_any_order():
    connection = with_mail(connection_from())
    for args in (("a", {"k": 1}, connection), (connection, {"k": 1}, "a"), ({"k": 1}, connection, "a")):
        assert read_log_args(args) == ("a", {"k": 1}, f"{connection.uuid}.1", connection)
    assert read_log_args(("a", 1, None)) == ("a 1 None", None, "-", None)


def test_whose_uuid_it_is():
    connection = with_mail(connection_from())
    assert uuid_of(connection) == uuid_of(connection.transaction) == f"{connection.uuid}.1"
    assert uuid_of(hmail_to("example.org")) == "UUID.1.1"
    assert uuid_of("text") == uuid_of(None) == "-"


@pytest.mark.parametrize(
    "level", ["data", "protocol", "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]
)
def test_every_level_has_a_method(level):
    plugin = Plugin()
    plugin.name = "mine"
    plugin.logger, lines = logger_and_lines(9)
    getattr(plugin, f"log{level}")("text", {"key": "value"})
    assert lines == [f"[{level.upper()}] [-] [mine] text key=value"]


def test_below_the_level_the_arguments_are_not_even_looked_at():
    class Loud:
        def __str__(self):
            raise AssertionError("looked at")

    plugin = Plugin()
    plugin.logger, lines = logger_and_lines(WARN)
    plugin.loginfo(Loud())
    assert lines == []
