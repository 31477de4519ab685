from __future__ import annotations

import threading
import time

import gevent
import pytest

from mta.plugin.hooks import HOOKS, Plugin
from mta.plugin.runner import ASK_EVERYBODY, GUARDS, NEVER_DEFERS, NO_PARDON
from mta.plugin.verdict import CONT, CONTINUE, DELAY, DENY, DENYDISCONNECT, DENYSOFT, OK, STOP
from tests.support.plugins import connection_from, hmail_to, runner_of, with_mail


class Says(Plugin):
    """Gives the same answer at every hook a test registers, and keeps what it was asked."""

    def __init__(self, answer=None, *hooks, name="", priority=0, timeout=0.0):
        self.answer = answer
        self.asked = []
        self.name = name
        self.timeout = timeout
        for hook in hooks:
            self.register_hook(hook, self.say, priority)

    def say(self, subject, *args):
        self.asked.append((subject, *args))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Sleeps(Says):
    def say(self, subject, *args):
        time.sleep(5)


class Meets(Says):
    """Answers when two ask at the same time."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.both = threading.Barrier(2)

    def say(self, subject, *args):
        self.both.wait(10)
        return super().say(subject, *args)


def crits(lines):
    return [line for line in lines if line.startswith("[CRIT]")]


# ---- order


def test_an_empty_chain_costs_nothing_and_is_shared():
    runner, _ = runner_of()
    assert runner.run("mail", connection_from(), "sender", {}) is CONTINUE
    assert not runner.has("mail")


def test_every_hook_has_a_chain_and_a_misspelt_one_has_not():
    runner, _ = runner_of()
    assert tuple(runner.chains) == HOOKS
    with pytest.raises(KeyError):
        runner.run("rcpt_okay", connection_from())


def test_hook_methods_are_found_by_name_and_get_the_arguments():
    class Greets(Plugin):
        def hook_helo(self, connection, host):
            return DENY, f"{host} at {connection.remote.ip}"

    runner, _ = runner_of(Greets())
    verdict = runner.run("helo", connection_from("192.0.2.9"), "client.example")
    assert (verdict.code, verdict.message, verdict.plugin) == (DENY, "client.example at 192.0.2.9", "greets")


def test_a_hook_method_of_a_base_class_counts():
    class Base(Plugin):
        def hook_noop(self, connection, argument):
            return DENY

    class Derived(Base):
        pass

    runner, _ = runner_of(Derived())
    assert runner.run("noop", connection_from(), "").code is DENY


def test_cont_asks_the_next_and_anything_else_decides():
    first, second, third = Says(None, "data"), Says((OK, "fine"), "data", name="second"), Says(DENY, "data")
    runner, _ = runner_of(first, second, third)
    verdict = runner.run("data", connection_from())
    assert (verdict.code, verdict.message, verdict.plugin) == (OK, "fine", "second")
    assert len(first.asked) == 1 and third.asked == []


@pytest.mark.parametrize("answer", [STOP, DELAY])
def test_every_code_but_cont_stops(answer):
    last = Says(DENY, "data")
    runner, _ = runner_of(Says(answer, "data"), last)
    assert runner.run("data", connection_from()).code is answer
    assert last.asked == []


def test_priority_comes_before_the_order_of_the_plugins():
    order = []
    late, early = Says(None, "data", priority=50), Says(None, "data", priority=-50)
    middle, middle2 = Says(None, "data"), Says(None, "data")
    for name, plugin in (("late", late), ("early", early), ("middle", middle), ("middle2", middle2)):
        plugin.asked = Appends(order, name)
    runner_of(late, middle, middle2, early)[0].run("data", connection_from())
    assert order == ["early", "middle", "middle2", "late"]


class Appends:
    def __init__(self, to, name):
        self.to, self.name = to, name

    def append(self, _):
        self.to.append(self.name)


def test_one_plugin_may_listen_twice_at_one_hook():
    plugin = Says(None, "data", "data")
    runner_of(plugin)[0].run("data", connection_from())
    assert len(plugin.asked) == 2


def test_a_message_with_cont_is_handed_on_when_nobody_decides():
    runner, _ = runner_of(Says((CONT, "first"), "quit"), Says((CONT, "second"), "quit"), Says(None, "quit"))
    verdict = runner.run("quit", connection_from())
    assert (verdict.code, verdict.message) == (CONT, "second")


@pytest.mark.parametrize("hook", sorted(ASK_EVERYBODY))
def test_everybody_is_asked_at_connect_init_and_disconnect(hook):
    first, second = Says(DENYDISCONNECT, hook), Says(OK, hook)
    pardons = Says(OK, "deny")
    runner, _ = runner_of(first, second, pardons)
    assert runner.run(hook, connection_from()).code is CONT
    assert len(first.asked) == len(second.asked) == 1
    assert pardons.asked == []


def test_skip_plugins_is_honoured():
    skipped, other = Says(DENY, "data", name="clamd"), Says(None, "data", name="other")
    connection = with_mail(connection_from())
    connection.transaction.notes.skip_plugins.append("clamd")
    runner, _ = runner_of(skipped, other)
    assert runner.run("data", connection).code is CONT
    assert skipped.asked == [] and len(other.asked) == 1


# ---- pardon


def test_deny_learns_everything_about_a_rejection():
    pardons = Says(None, "deny")
    runner, _ = runner_of(Says((DENYSOFT, "later"), "rcpt", name="greylist"), pardons)
    connection = connection_from()
    assert runner.run("rcpt", connection, "bob", {"NOTIFY": None}).code is DENYSOFT
    asked, denial = pardons.asked[0]
    assert asked is connection
    assert (denial.code, denial.message, denial.plugin) == (DENYSOFT, "later", "greylist")
    assert (denial.hook, denial.function, denial.params) == ("rcpt", "say", ("bob", {"NOTIFY": None}))


def test_a_pardon_asks_the_remaining_plugins():
    after = Says((OK, "mine"), "rcpt")
    runner, _ = runner_of(Says(DENY, "rcpt"), after, Says(OK, "deny"))
    verdict = runner.run("rcpt", connection_from(), "bob", {})
    assert (verdict.code, verdict.message) == (OK, "mine")


def test_a_pardon_of_the_last_plugin_means_cont():
    runner, _ = runner_of(Says((DENY, "no"), "rcpt"), Says(OK, "deny"))
    verdict = runner.run("rcpt", connection_from(), "bob", {})
    assert (verdict.code, verdict.message) == (CONT, None)


@pytest.mark.parametrize("answer", [None, DENY, DENYSOFT])
def test_only_ok_pardons(answer):
    runner, _ = runner_of(Says((DENY, "no"), "rcpt"), Says(answer, "deny"))
    assert runner.run("rcpt", connection_from(), "bob", {}).code is DENY


@pytest.mark.parametrize("hook", sorted(NO_PARDON - {"deny"}))
def test_some_hooks_are_never_pardoned(hook):
    pardons = Says(OK, "deny")
    runner, _ = runner_of(Says(DENY, hook), pardons)
    assert runner.run(hook, object()).code is DENY
    assert pardons.asked == []


# ---- plugins that fail


@pytest.mark.parametrize("hook", [hook for hook in HOOKS if hook not in GUARDS])
def test_a_plugin_that_raises_counts_as_cont(hook):
    after = Says(None, hook)
    runner, lines = runner_of(Says(ValueError("broken\r\nfilter"), hook, name="filter"), after)
    assert runner.run(hook, connection_from()).code is CONT
    assert len(after.asked) == 1
    (line,) = crits(lines)
    assert "[filter]" in line and f"Plugin filter failed on hook {hook}: ValueError" in line
    assert "test_runner.py" in line and "\n" not in line


@pytest.mark.parametrize("hook", sorted(GUARDS))
def test_a_broken_filter_defers_mail(hook):
    after = Says(OK, hook)
    runner, lines = runner_of(Says(ZeroDivisionError(), hook), after)
    assert runner.run(hook, connection_from()).code is DENYSOFT
    assert after.asked == [] and len(crits(lines)) == 1


def test_the_failure_carries_the_uuid_of_the_session():
    connection = connection_from()
    runner, lines = runner_of(Says(ValueError(), "noop"))
    runner.run("noop", connection, "")
    assert f"[{connection.uuid}]" in crits(lines)[0]


@pytest.mark.parametrize(("hook", "code"), [("mail", CONT), ("rcpt", DENYSOFT)])
def test_an_answer_that_is_none_is_a_failure(hook, code):
    runner, lines = runner_of(Says("DENY", hook))
    assert runner.run(hook, connection_from()).code is code
    assert "TypeError" in crits(lines)[0]


# ---- plugins that hang


def test_a_plugin_that_hangs_defers():
    after = Says(OK, "rcpt")
    runner, lines = runner_of(Sleeps(None, "rcpt", name="slow", timeout=0.02), after)
    verdict = runner.run("rcpt", connection_from(), "bob", {})
    assert (verdict.code, verdict.message, verdict.plugin) == (DENYSOFT, "plugin timeout", "slow")
    assert "Plugin slow timed out on hook rcpt after 0.02 s" in crits(lines)[0]
    assert after.asked == []


def test_or_the_next_plugin_is_asked():
    after = Says((OK, "mine"), "rcpt")
    runner, lines = runner_of(Sleeps(None, "rcpt", timeout=0.02), after, timeout_action="continue")
    assert runner.run("rcpt", connection_from(), "bob", {}).message == "mine"
    assert len(crits(lines)) == 1


@pytest.mark.parametrize("hook", sorted(NEVER_DEFERS - {"log", "shutdown", "connect_init", "disconnect"}))
def test_where_denysoft_means_something_else_a_timeout_is_cont(hook):
    runner, lines = runner_of(Sleeps(None, hook, timeout=0.01))
    assert runner.run(hook, connection_from()).code is CONT
    assert len(crits(lines)) == 1


def test_a_plugin_can_not_swallow_its_timeout_by_mistake():
    class Swallows(Plugin):
        timeout = 0.02

        def hook_data(self, connection):
            try:
                time.sleep(5)
            except Exception:
                return OK

    assert runner_of(Swallows())[0].run("data", connection_from()).message == "plugin timeout"


def test_no_timeout_means_no_timer():
    class Counts(Plugin):
        def hook_data(self, connection):
            assert gevent.getcurrent() is greenlet
            time.sleep(0.05)
            return OK

    greenlet = gevent.getcurrent()
    assert runner_of(Counts())[0].run("data", connection_from()).code is OK


def test_a_timeout_of_the_plugins_own_is_a_failure_of_the_plugin():
    runner, lines = runner_of(Says(gevent.Timeout(3), "mail", timeout=5))
    assert runner.run("mail", connection_from(), "sender", {}).code is CONT
    assert "failed on hook mail" in crits(lines)[0]


def test_a_timer_does_not_fire_after_its_plugin_is_done():
    runner, lines = runner_of(Says(OK, "data", timeout=0.02))
    assert runner.run("data", connection_from()).code is OK
    time.sleep(0.05)
    assert crits(lines) == []


def test_two_sessions_wait_at_the_same_time():
    runner, _ = runner_of(Meets(OK, "data"))
    sessions = [gevent.spawn(runner.run, "data", connection_from()) for _ in range(2)]
    gevent.joinall(sessions)
    assert [session.value.code for session in sessions] == [OK, OK]


def test_a_session_that_is_killed_is_not_a_plugin_that_failed():
    runner, lines = runner_of(Sleeps(None, "data", timeout=5))
    session = gevent.spawn(runner.run, "data", connection_from())
    gevent.sleep(0.01)
    session.kill()
    assert isinstance(session.value, gevent.GreenletExit)
    assert crits(lines) == []


# ---- the log


def test_decisions_are_logged_at_info():
    connection = with_mail(connection_from())
    runner, lines = runner_of(Says((DENY, "go away"), "rcpt", name="access"))
    runner.run("rcpt", connection, "<bob@example.org>", {})
    (line,) = lines
    assert line.startswith(f"[INFO] [{connection.uuid}.1]")
    for part in (
        "hook=rcpt",
        "plugin=access",
        "function=say",
        "retval=DENY",
        'msg="go away"',
        "<bob@example.org>",
    ):
        assert part in line


@pytest.mark.parametrize(
    "answer",
    ["smtp://ann:hunter2@mx.test", {"exchange": "mx.test", "auth_pass": "hunter2"}, ["smtp://:hunter2@x"]],
)
def test_passwords_of_next_hops_stay_out_of_the_log(answer):
    runner, lines = runner_of(Says((OK, answer), "get_mx"))
    assert runner.run("get_mx", hmail_to("example.org"), "example.org").message is answer
    assert len(lines) == 1 and "retval=OK" in lines[0] and "hunter2" not in lines[0]


def test_passwords_stay_out_of_the_log():
    runner, lines = runner_of(Says((DENY, "no"), "unrecognized_command"), Says(OK, "deny"))
    runner.run("unrecognized_command", connection_from(), "AUTH", "PLAIN c2VjcmV0")
    assert len(lines) == 2 and not any("c2VjcmV0" in line for line in lines)


def test_the_log_hook_decides_what_is_written():
    class Quiet(Plugin):
        def hook_log(self, record):
            self.loginfo("seen", {"message": record.message})
            return DENY if "noise" in record.message else None

    runner, lines = runner_of(Quiet())
    logger = next(iter(runner.chains["log"])).method.__self__.logger
    logger.plugins_ready(runner.on_record)
    logger.info("noise")
    logger.info("signal")
    texts = [line.split("] ", 3)[-1] for line in lines]
    assert texts == ["seen message=noise", "seen message=signal", "signal"]


def test_a_log_hook_that_fails_loses_no_line():
    runner, lines = runner_of(Says(ValueError("x"), "log"))
    logger = runner._logger
    logger.plugins_ready(runner.on_record)
    logger.info("signal")
    assert any("signal" in line for line in lines) and len(crits(lines)) == 1


def test_the_log_hook_does_not_take_the_time_of_another_plugin():
    """The plugin that is late is the one that logs, not the one that is asked about the line."""

    class SlowLog(Plugin):
        def hook_log(self, record):
            if "about" in record.message:
                time.sleep(5)

    class Talks(Plugin):
        timeout = 0.03

        def hook_data(self, connection):
            self.loginfo("about to answer")
            return OK

    talks, slow = Talks(), SlowLog()
    runner, lines = runner_of(talks, slow)
    talks.logger.plugins_ready(runner.on_record)
    assert runner.run("data", connection_from()).plugin == "talks"
    assert "Plugin talks timed out" in crits(lines)[0]


# ---- the end


def test_shutdown_reaches_every_plugin():
    closed = []

    class Closes(Plugin):
        def shutdown(self):
            closed.append(self.name)
            raise OSError("already gone")

    class Hangs(Closes):
        timeout = 0.02

        def shutdown(self):
            time.sleep(5)

    runner, lines = runner_of(Closes(), Hangs(), Closes())
    runner.shutdown()
    assert closed == ["closes", "closes"]
    assert len(crits(lines)) == 3
