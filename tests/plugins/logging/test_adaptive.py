"""logging/adaptive: what is written about accepted and about rejected mail, and what waiting may cost."""

from __future__ import annotations

import gc

from mta.logger import DEBUG, INFO
from mta.plugin import DENY, OK, Plugin
from tests.support.install import eventually
from tests.support.logged import Logged

INI = "accept=notice\nreject=debug\naccept_prefix=`\nreject_prefix=-\nimmediate=error\n"


class Says(Plugin):
    """Says something at some levels in each hook, and refuses what it is told to."""

    name = "says"
    refuse = ""

    def say(self, connection):
        self.logdebug("debug", connection)
        self.lognotice("notice", connection)

    def hook_mail(self, connection, mail_from, params):
        self.say(connection)
        return DENY if "mail" in str(mail_from) else None

    def hook_data_post(self, connection):
        self.say(connection)
        return DENY if "data" in str(connection.transaction.mail_from) else None


def adaptive(tmp_path, *extra, ini=INI, level=INFO):
    return Logged(
        tmp_path, ["logging/adaptive"], {"logging_adaptive.ini": ini}, *(extra or [Says()]), level=level
    )


def texts(logged, origin="says"):
    return [line.split(f"[{origin}] ")[1] for line in logged.lines if f"[{origin}]" in line]


def test_accepted_mail_says_little(tmp_path):
    with adaptive(tmp_path) as logged:
        logged.session("bob@example.com")
        assert logged.idle()
    assert texts(logged) == ["` notice", "` notice"]
    assert any("` message mid=<m@x>" in line for line in logged.lines)


def test_rejected_mail_says_much(tmp_path):
    with adaptive(tmp_path) as logged:
        logged.session("bob@example.com", sender="<data@example.org>")
        assert logged.idle()
    assert texts(logged) == ["- debug", "- notice", "- debug", "- notice"]
    assert any("- connect ip=" in line for line in logged.lines)


def test_mail_that_is_refused_at_its_sender_says_much(tmp_path):
    with adaptive(tmp_path) as logged:
        logged.session(sender="<mail@example.org>")
        assert logged.idle()
    assert texts(logged) == ["- debug", "- notice"]


def test_mail_that_no_recipient_takes_says_much(tmp_path):
    with adaptive(tmp_path) as logged:
        assert logged.session("bob@elsewhere.example")[0].startswith("550 ")
        assert logged.idle()
    assert texts(logged) == ["- debug", "- notice"]


def test_each_mail_of_a_session_has_its_own_fate(tmp_path):
    with adaptive(tmp_path) as logged:
        client = logged.inbound.client()
        client.ask("EHLO client.test")
        for sender in ("<a@example.org>", "<data@example.org>", "<b@example.org>"):
            client.ask(f"MAIL FROM:{sender}")
            client.ask("RCPT TO:<bob@example.com>")
            client.ask("DATA")
            client.send(b"Subject: x\r\n\r\n.\r\n")
            client.read()
        client.ask("QUIT")
        assert logged.idle()
    good, bad = ["` notice"] * 2, ["- debug", "- notice"] * 2
    assert texts(logged) == [*good, *bad, *good]


def test_a_pardon_leaves_no_stain(tmp_path):
    class Pardons(Plugin):
        name = "pardons"

        def hook_deny(self, connection, denial):
            return OK

    with adaptive(tmp_path, Says(), Pardons()) as logged:
        assert logged.session("bob@example.com", sender="<data@example.org>")[-1].startswith("250 ")
        assert logged.idle()
    assert texts(logged) == ["` notice", "` notice"]


def test_nothing_is_written_before_the_fate_is_known_but_errors_are(tmp_path):
    with adaptive(tmp_path) as logged:
        client = logged.inbound.client()
        client.ask("EHLO client.test")
        client.ask("MAIL FROM:<a@example.org>")
        assert logged.lines == []
        client.ask("RSET")
        assert eventually(lambda: texts(logged) == ["notice"])
        client.close()


def test_what_belongs_to_no_session_does_not_wait(tmp_path):
    with adaptive(tmp_path) as logged:
        logged.logger.info("of nobody")
        logged.logger.debug("nobody asked")
        assert logged.lines == ["[INFO] [-] [core] of nobody"]


def test_errors_do_not_wait_and_come_once(tmp_path):
    class Fails(Plugin):
        name = "says"

        def hook_mail(self, connection, mail_from, params):
            self.logerror("error", connection)

    with adaptive(tmp_path, Fails()) as logged:
        client = logged.inbound.client()
        client.ask("EHLO client.test")
        client.ask("MAIL FROM:<a@example.org>")
        assert texts(logged) == ["error"]
        client.ask("QUIT")
        client.close()
        assert logged.idle()
    assert texts(logged) == ["error"]


def test_other_loggers_see_everything_at_once(tmp_path):
    class Listens(Plugin):
        name = "listens"
        seen: list[str] = []

        def hook_log(self, record):
            self.seen.append(record.message)

    with adaptive(tmp_path, Listens()) as logged:
        client = logged.inbound.client()
        client.ask("EHLO client.test")
        assert "connect" in Listens.seen and logged.lines == []
        client.close()


class Floods(Plugin):
    name = "floods"
    lines = 3000

    def hook_mail(self, connection, mail_from, params):
        for number in range(self.lines):
            self.logdebug(f"line {number} {'x' * 1000}", connection)
        return DENY


def test_what_waits_for_one_connection_is_bounded(tmp_path):
    with adaptive(tmp_path, Floods(), ini=f"{INI}max_kb=100\n") as logged:
        plugin = logged.plugin("logging/adaptive")
        logged.session()
        assert logged.idle()
        assert plugin.shared.size == 0
    kept = texts(logged, "floods")
    assert 50 < len(kept) < 100 and kept[-1].startswith("- line 2999 ")
    (told,) = texts(logged, "logging/adaptive")
    assert told == f"{3000 - len(kept) + told_beside(logged)} log lines of one connection were not kept"


def told_beside(logged):
    """Lines of the server that the flood has pushed out: connect, at least."""
    return int(not any("connect ip=" in line and "disconnect" not in line for line in logged.lines))


def test_what_waits_in_all_is_bounded(tmp_path):
    with adaptive(tmp_path, Floods(), ini=f"{INI}max_kb=10000\nmax_total_kb=100\n") as logged:
        plugin = logged.plugin("logging/adaptive")
        logged.session()
        assert logged.idle()
        assert plugin.shared.size == 0
    kept = texts(logged, "floods")
    assert 50 < len(kept) < 100 and kept[0].startswith("- line 0 ")


def test_a_session_that_is_forgotten_leaves_nothing(tmp_path):
    from tests.support.plugins import connection_from

    with adaptive(tmp_path) as logged:
        plugin = logged.plugin("logging/adaptive")
        connection = connection_from()
        connection.logger = logged.logger
        connection.loginfo("m")
        assert plugin.shared.size > 0
        del connection
        gc.collect()
        assert plugin.shared.size == 0 and len(plugin.waiting) == 0


def test_form_and_fields_stay(tmp_path):
    import json

    class Fields(Plugin):
        name = "says"

        def hook_mail(self, connection, mail_from, params):
            self.lognotice("m", connection, {"n": 1, "who": mail_from})

    with adaptive(tmp_path, Fields()) as logged:
        logged.logger.configure(format="json")
        logged.session("bob@example.com")
        assert logged.idle()
    said = next(json.loads(line) for line in logged.lines if '"says"' in line)
    assert (said["message"], said["n"], said["who"]) == ("` m", 1, "<a@example.org>")


def test_the_level_is_what_the_two_need(tmp_path):
    with adaptive(tmp_path) as logged:
        assert logged.logger.level == DEBUG
