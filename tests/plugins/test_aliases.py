"""aliases: mail for some recipients goes to others, or nowhere."""

from __future__ import annotations

import json
import smtplib

import pytest

from mta.plugin import DENY, OK, Plugin, PluginError
from mta.testing import MailServer, make_plugin
from tests.support.server import Server

ALIASES = {
    "sales@ours.example": {"action": "alias", "to": ["alice@ours.example", "Bob"]},
    "Test": {"action": "alias", "to": "tested"},
    "test-special": {"action": "alias", "to": "special@ours.example"},
    "test@ours.example": {"action": "ALIAS", "to": "full"},
    "info": {"action": "alias", "to": "carl@elsewhere.example"},
    "both@ours.example": {"action": "alias", "to": ["alice", "carl@elsewhere.example"]},
    "noreply": {"action": "drop"},
    "@dropped.example": {"action": "drop"},
    "@Old.example": {"action": "alias", "to": "office@ours.example"},
    "bücher@bücher.example": {"action": "alias", "to": "books@ours.example"},
}


def serving(aliases=ALIASES, *after, name="aliases.json", **config) -> MailServer:
    text = aliases if isinstance(aliases, str) else json.dumps(aliases)
    files = {name: text, "host_list": "ours.example\n", **config}
    return MailServer("aliases", *after, config=files, domains=("ours.example", "also.example"))


def sent(server, *rcpts, **client):
    """Where the mail that a client sent went to."""
    before = len(server.queued)
    assert server.connect(**client).send_mail(rcpt_to=rcpts).code == 250
    return [rcpt for mail in server.queued[before:] for rcpt in mail.recipients]


@pytest.mark.parametrize(
    ("rcpt", "to"),
    [
        ("sales@ours.example", ["alice@ours.example", "Bob@ours.example"]),
        ("SALES@Ours.Example", ["alice@ours.example", "Bob@ours.example"]),
        ("sales@also.example", ["sales@also.example"]),
        ("test@ours.example", ["full@ours.example"]),
        ("test+shop@ours.example", ["full@ours.example"]),
        ("test@also.example", ["tested@also.example"]),
        ("TEST-shop@also.example", ["tested@also.example"]),
        ("test-special@also.example", ["special@ours.example"]),
        ("test-special-offer@also.example", ["special@ours.example"]),
        ("testing@ours.example", ["testing@ours.example"]),
        ("-test@ours.example", ["-test@ours.example"]),
        ("anybody+at@old.example", ["office@ours.example"]),
        ("other@ours.example", ["other@ours.example"]),
    ],
)
def test_who_gets_the_mail(rcpt, to):
    with serving() as server:
        assert sent(server, rcpt) == to


def test_the_rest_goes_to_one():
    with serving({"*": {"action": "alias", "to": "all@ours.example"}, "bob": {"action": "drop"}}) as server:
        assert sent(server, "x@ours.example", "y@also.example", "bob@ours.example") == ["all@ours.example"]


def test_each_gets_it_once():
    with serving() as server:
        assert sent(server, "alice@ours.example", "sales@ours.example") == [
            "alice@ours.example",
            "Bob@ours.example",
        ]


def test_an_alias_does_not_open_other_domains():
    with serving({**ALIASES, "*": {"action": "alias", "to": "all@ours.example"}}) as server:
        client = server.connect()
        client.mail()
        rcpts = (
            "test@foreign.example",
            "info@foreign.example",
            "noreply@foreign.example",
            "x@foreign.example",
        )
        assert [client.rcpt(rcpt).code for rcpt in rcpts] == [550] * 4
        assert client.rcpt("x@old.example").code == 250  # the file names the domain


def test_an_alias_that_was_refused_leaves_nothing_behind():
    class Full(Plugin):
        def hook_rcpt(self, connection, rcpt, params):
            return (DENY, "mailbox full") if rcpt.user == "info" else None

    with serving(ALIASES, Full) as server:
        client = server.connect()
        client.mail()
        assert [client.rcpt(f"{user}@ours.example").code for user in ("info", "zoe")] == [550, 250]
        assert client.data().code == 250
        assert server.queued[0].recipients == ["zoe@ours.example"] and not server.queued[0].outgoing


# ---- other domains


def test_mail_for_elsewhere_goes_into_the_queue():
    class Ours(Plugin):
        """Would take all mail that is for us."""

        def hook_queue(self, connection):
            return OK

    with serving(ALIASES, Ours) as server:
        assert sent(server, "info@ours.example") == ["carl@elsewhere.example"]
        assert server.queued[0].outgoing
        assert sent(server, "zoe@ours.example") == []  # Ours has it


def test_a_filter_still_takes_the_client_for_a_stranger():
    seen = []

    class Filter(Plugin):
        def hook_data_post(self, connection):
            seen.append(connection.relaying)

    with serving(ALIASES, Filter) as server:
        sent(server, "info@ours.example")
    assert seen == [False]


def test_one_alias_for_here_and_elsewhere():
    with serving() as server:
        assert sent(server, "both@ours.example") == ["alice@ours.example", "carl@elsewhere.example"]
        assert server.queued[0].outgoing


@pytest.mark.parametrize("rcpts", [("info", "zoe"), ("zoe", "info"), ("noreply", "info", "zoe")])
def test_recipients_that_need_two_queues_come_one_after_the_other(rcpts):
    with serving() as server:
        client = server.connect()
        client.mail()
        replies = [str(client.rcpt(f"{user}@ours.example")) for user in rcpts]
        assert replies[-1] == "450 4.7.1 Split transaction, retry soon"
        assert [reply[:3] for reply in replies[:-1]] == ["250"] * (len(rcpts) - 1)
        assert client.data().code == 250
        client.mail()
        assert client.rcpt(f"{rcpts[-1]}@ours.example").code == 250


def test_a_client_that_may_relay_has_one_queue_for_all():
    with serving() as server:
        to = sent(server, "info@ours.example", "zoe@ours.example", relaying=True)
        assert to == ["carl@elsewhere.example", "zoe@ours.example"]


@pytest.mark.parametrize("rcpt", ["test@far.example", "info@far.example", "noreply@far.example"])
def test_our_users_write_to_others_as_they_mean_it(rcpt):
    with serving() as server:
        assert sent(server, rcpt, relaying=True) == [rcpt]


def test_our_domains_are_those_of_the_host_lists():
    files = {"host_list_regex": r".*\.ours\.example" + "\n"}
    with serving(ALIASES, **files) as server:
        assert sent(server, "test@in.ours.example", relaying=True) == ["tested@in.ours.example"]


def test_a_queue_that_does_not_take_it_is_no_promise(monkeypatch):
    with serving() as server:
        server.server._queue = None
        assert server.connect().send_mail(rcpt_to="info@ours.example").code == 450
        assert server.queued == []


# ---- dropping


def test_dropped_mail_goes_nowhere_and_the_client_reads_250():
    with serving() as server:
        assert sent(server, "noreply@ours.example", "x@dropped.example") == []
        assert sent(server, "noreply@ours.example", relaying=True) == []
        assert server.logged("message dropped")


def test_only_the_recipient_is_dropped():
    with serving() as server:
        assert sent(server, "noreply@ours.example", "zoe@ours.example") == ["zoe@ours.example"]


# ---- delivery reports


def test_what_the_sender_asked_for_goes_along():
    with serving() as server:
        client = server.connect()
        client.mail()
        client.rcpt("sales@ours.example", "NOTIFY=NEVER")
        assert client.data().code == 250
        params = server.queued[0].transaction.rcpt_params
        assert {rcpt.user: given["NOTIFY"] for rcpt, given in params.items()} == {
            "alice": "NEVER",
            "Bob": "NEVER",
        }


# ---- the file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("aliases", '{"a": {"action": "alias", "to": "b"}}'),
        ("aliases.json", '{"a": {"action": "alias", "to": "b"}}'),
        ("aliases.yaml", "a: {action: alias, to: b}"),
    ],
)
def test_the_file_may_be_one_of_three(name, text):
    with serving(text, name=name) as server:
        assert sent(server, "a@ours.example") == ["b@ours.example"]


def test_there_are_no_aliases_as_shipped():
    assert make_plugin("aliases").aliases == {}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"a": "b"}, "a: an alias is an object such as"),
        ({"a": {"action": "forward"}}, "a: the action 'forward' is not one of them, allowed: alias, drop"),
        ({"a": {}}, "a: the action None is not one of them"),
        ({"a": {"action": "alias"}}, "a: to must be an address"),
        ({"a": {"action": "alias", "to": []}}, "a: to must be an address"),
        ({"a": {"action": "alias", "to": ["b", 5]}}, "a: to must be an address"),
        ({"a": {"action": "alias", "to": "b@@c"}}, "a: 'b@@c' is not an address"),
        ({"a": {"action": "alias", "to": "b>c"}}, "a: 'b>c' is not an address"),
        ({"a": {"action": "drop", "too": "b"}}, "a: 'too' is not known, allowed: action, to"),
        ({"a@": {"action": "drop"}}, "a@: there is no domain behind the @"),
        ({"": {"action": "drop"}}, ": an alias is called user"),
        (["a"], "there is no object with one entry for each alias"),
    ],
)
def test_mistakes_keep_the_server_from_starting(entry, complaint):
    with pytest.raises(PluginError) as raised:
        make_plugin("aliases", {"aliases.json": json.dumps(entry)})
    assert complaint in str(raised.value) and "aliases.json" in str(raised.value)


def test_the_file_is_followed_and_a_mistake_costs_only_itself():
    with serving() as server:
        changed = {"x": {"action": "alias", "to": "y"}, "z": {"action": "none"}}
        server.configure({"aliases.json": json.dumps(changed)})
        assert sent(server, "x@ours.example") == ["y@ours.example"]
        assert sent(server, "z@ours.example") == ["z@ours.example"]
        assert server.logged("aliases: z: the action 'none'", "error")


def test_in_a_server_the_recipient_s_target_gets_it(tmp_path):
    config = {
        "smtp.ini": "listen=127.0.0.1:{port}\nnodes=0\n",
        "plugins": "aliases\nrcpt_to.in_host_list\nqueue/test\n",
        "host_list": "ours.example\n",
        "aliases.json": json.dumps(ALIASES),
    }
    plugin = (
        "from mta.plugin import OK, Plugin\n\n\nclass Keeps(Plugin):\n"
        "    def hook_queue(self, connection):\n"
        '        return OK, " ".join(map(str, connection.transaction.rcpt_to))\n'
    )
    config["plugins"] = config["plugins"].replace("queue/test", "keeps")
    with (
        Server(tmp_path, config, {"keeps.py": plugin}) as server,
        smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client,
    ):
        client.ehlo("client.example")
        client.mail("a@b.example")
        assert client.rcpt("sales@ours.example")[0] == client.rcpt("test+x@ours.example")[0] == 250
        code, text = client.data("Subject: x\r\n\r\nx\r\n")
    assert code == 250 and b"<alice@ours.example> <Bob@ours.example> <full@ours.example>" in text
