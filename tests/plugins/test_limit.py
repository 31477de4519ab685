"""limit: how much one client, sender or recipient may do."""

from __future__ import annotations

import smtplib
import sys

import pytest

from mta.plugin import OK, Plugin
from mta.testing import MailServer, make_plugin
from tests.support.plugins import config_of, logger_and_lines, plugins_of
from tests.support.server import RELAY_CONFIG, Server, eventually


class Karma(Plugin):
    """Remembers how clients behave: by the last number of their address."""

    name = "karma"

    def hook_connect_init(self, connection):
        history = int(connection.remote.ip.rsplit(".", 1)[1]) - 5
        connection.results.add(self, {"history": history})


class Accepts(Plugin):
    """Takes every recipient but those called nobody."""

    def hook_rcpt(self, connection, rcpt, params):
        return None if rcpt.user == "nobody" else OK


def serving(ini: str, *before) -> MailServer:
    return MailServer(*before, "limit", Accepts, config={"limit.ini": ini}, domains=())


def codes(client, *rcpts):
    return [client.rcpt(rcpt).code for rcpt in rcpts]


def test_nothing_is_limited_as_shipped():
    with MailServer("limit", Accepts) as server:
        assert not any(asked.plugin == "limit" for asked in server.asked)
        clients = [server.connect() for _ in range(10)]
        clients[0].mail()
        assert codes(clients[0], *(f"r{n}@x.example" for n in range(60))) == [250] * 60
        assert not any(asked.plugin == "limit" for asked in server.asked)


# ---- at the same time

CONCURRENCY = "[concurrency]\nenabled=true\nmax=2\n"
TOO_MANY = "421 4.7.1 Too many concurrent connections"


def test_connections_at_the_same_time():
    with serving(CONCURRENCY) as server:
        first, second = server.connect("192.0.2.1"), server.connect("192.0.2.1")
        assert first.banner.code == second.banner.code == 220
        began = server.clock.now
        assert str(server.connect("192.0.2.1").banner) == TOO_MANY
        assert 3 <= server.clock.now - began < 30  # it was kept waiting, by the clock that plugins see
        assert server.connect("192.0.2.2").banner.code == 220
        first.quit()
        second.close()
        assert eventually(lambda: not server.plugin("limit").open.get("192.0.2.1"))
        assert server.connect("192.0.2.1").banner.code == 220


def test_what_is_over_is_forgotten():
    with serving(CONCURRENCY) as server:
        for number in range(20):
            server.connect(f"192.0.2.{number}").quit()
        plugin = server.plugin("limit")
        assert eventually(lambda: not plugin.open and not plugin.counted)


def test_an_ipv6_client_has_many_addresses():
    with serving(CONCURRENCY) as server:
        kept = [server.connect(f"2001:db8::{number}") for number in (1, 2)]
        assert str(server.connect("2001:db8::3").banner) == TOO_MANY
        assert server.connect("2001:db8:0:1::3").banner.code == 220
        assert len(kept) == 2


@pytest.mark.parametrize(("ip", "allowed"), [("192.0.2.9", 4), ("192.0.2.5", 3), ("192.0.2.1", 1)])
def test_history_says_how_many(ip, allowed):
    history = "[concurrency_history]\nenabled=true\ngood=4\nnone=3\nbad=1\n"
    with serving(CONCURRENCY + history, Karma) as server:
        clients = [server.connect(ip) for _ in range(5)]
        assert [client.banner.code for client in clients] == [220] * allowed + [421] * (5 - allowed)


def test_a_history_that_is_not_there_is_told_once():
    with serving(CONCURRENCY + "[concurrency_history]\nenabled=true\n") as server:
        clients = [server.connect("192.0.2.9") for _ in range(3)]
        assert [client.banner.code for client in clients] == [220, 220, 421]
        assert len(server.logged("plugin karma has no results", "warn")) == 1


# ---- in a connection


def test_recipients_of_a_connection():
    with serving("[recipients]\nenabled=true\nmax=3\nmax_relaying=5\n") as server:
        client = server.connect()
        client.mail()
        assert codes(client, "a@x.example", "nobody@x.example") == [250, 550]
        client.rset()
        client.mail()
        assert codes(client, "c@x.example") == [250]
        assert str(client.rcpt("d@x.example")) == "450 4.7.1 Too many recipient attempts"
        assert client.data().code == 250  # for the one that was accepted
        ours = server.connect(relaying=True)
        ours.mail()
        assert codes(ours, *(f"r{number}@x.example" for number in range(6))) == [250] * 5 + [450]


def test_commands_that_nobody_knows():
    class Knows(Plugin):
        def hook_unrecognized_command(self, connection, verb, argument):
            return (OK, "here you are") if verb == "HEY" else None

    ini = "[unrecognized_commands]\nenabled=true\nmax=2\n"
    with MailServer("limit", Knows, config={"limit.ini": ini}) as server:
        client = server.connect()
        client.ehlo()
        assert [client.command("HEY").kind for _ in range(5)] == [2] * 5
        assert [client.command(verb).code for verb in ("ONE", "AVERYLONGVERBTHATISAPASSWORD")] == [500, 500]
        assert client.results.get("limit")["unrec_cmds"] == ["ONE", "..."]
        assert str(client.command("TWO")) == "421 4.5.1 Too many unrecognized commands"
        assert client.closed


def test_mistakes():
    with serving("[errors]\nenabled=true\nmax=2\n") as server:
        client = server.connect()
        client.ehlo()
        assert [client.command("RCPT TO:<a@b.example>").code for _ in range(2)] == [503] * 2
        assert client.mail().code == 250
        assert client.command("MAIL FROM:<a@b.example>").code == 503
        reply = client.rcpt("a@x.example")
        assert str(reply) == "450 4.7.1 Too many errors" and client.closed


# ---- in a time


def test_connections_in_a_time():
    with serving(
        "[main]\ntarpit_delay=0\n[rate_conn]\nenabled=true\ndefault=2/1h\n192.0.2=3\n198.51=0\n"
    ) as server:
        server.clock.freeze()

        def banners(*ips, host=None):
            return [server.connect(ip, host=host).banner.code for ip in ips]

        assert banners(*["203.0.113.7"] * 3, "203.0.113.8") == [220, 220, 421, 220]
        assert banners("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4") == [220] * 3 + [421]  # one for all
        assert banners(*["198.51.100.9"] * 5) == [220] * 5
        assert str(server.connect("203.0.113.7").banner) == "421 4.7.1 connection rate limit exceeded"
        server.clock.advance(hours=2)
        assert banners("203.0.113.7") == [220]


def test_connections_of_a_host_name():
    ini = "[main]\ntarpit_delay=0\n[rate_conn]\nenabled=true\ndefault=1/1h\nExample.net=2/1h\nmx.example.net=0\n"
    with serving(ini) as server:
        for ip in ("203.0.113.1", "203.0.113.2"):
            assert server.connect(ip, host=f"a{ip[-1]}.example.net").banner.code == 220
        assert server.connect("203.0.113.3", host="b.example.net").banner.code == 421
        assert server.connect("203.0.113.4", host="notexample.net").banner.code == 220
        assert server.connect("203.0.113.4", host="notexample.net").banner.code == 421
        assert [server.connect("203.0.113.5", host="MX.example.net").banner.code for _ in range(4)] == [
            220
        ] * 4


def test_connections_by_history():
    ini = "[main]\ntarpit_delay=0\n[rate_conn]\nenabled=true\n192.0.2.8=0\n[rate_conn_history]\nenabled=true\ngood=3/1h\nbad=1/1h\n"
    with serving(ini, Karma) as server:
        good = [server.connect("192.0.2.9").banner.code for _ in range(4)]
        bad = [server.connect("192.0.2.1").banner.code for _ in range(2)]
        named = [server.connect("192.0.2.8").banner.code for _ in range(6)]
        assert (good, bad, named) == ([220] * 3 + [421], [220, 421], [220] * 6)


@pytest.mark.parametrize(
    ("section", "text", "sender"),
    [
        ("rate_rcpt_host", "recipient rate limit exceeded", "a@b.example"),
        ("rate_rcpt_sender", "rcpt rate limit exceeded", "a@b.example"),
        ("rate_rcpt", "rate limit exceeded", "a@b.example"),
        ("rate_rcpt_null", "null recip rate limit", "<>"),
    ],
)
def test_recipients_in_a_time(section, text, sender):
    with serving(f"[{section}]\nenabled=true\ndefault=2/1h\n") as server:
        client = server.connect()
        replies = []
        for _ in range(3):
            client.mail(sender)
            replies.append(str(client.rcpt("carl@x.example")))
            client.rset()
        assert replies[:2] == ["250 2.1.5 recipient <carl@x.example> OK"] * 2
        assert replies[2] == f"450 4.7.1 {text}"
        assert client.results.get("limit") == {"fail": [section]}


def told(server, *pairs):
    """The codes that the recipient gets, for each sender and recipient."""
    client, found = server.connect(), []
    for sender, rcpt in pairs:
        client.mail(sender)
        found.append(client.rcpt(rcpt).code)
        client.rset()
    return found


def test_each_has_a_count_of_its_own_and_a_domain_one_together():
    ini = "[main]\ntarpit_delay=0\n[rate_rcpt]\nenabled=true\ndefault=1/1h\nshared.example=2/1h\nBoss@shared.example=0\n"
    with serving(ini) as server:
        rcpts = ["a@x.example", "A@x.example", "b@x.example", "a@shared.example", "b@in.shared.example"]
        rcpts += ["c@shared.example", "boss@shared.example", "boss@shared.example", "a@notshared.example"]
        found = told(server, *(("s@b.example", rcpt) for rcpt in rcpts))
        assert found == [250, 450, 250, 250, 250, 450, 250, 250, 250]


def test_bounces_have_no_sender_to_count_for_and_others_are_no_bounces():
    ini = "[main]\ntarpit_delay=0\n[rate_rcpt_sender]\nenabled=true\ndefault=1/1h\n[rate_rcpt_null]\nenabled=true\ndefault=2/1h\n"
    with serving(ini) as server:
        assert told(server, *[("<>", "a@x.example")] * 3) == [250, 250, 450]
        assert told(server, *[("s@b.example", "a@x.example")] * 2) == [250, 450]
        assert told(server, ("t@b.example", "a@x.example")) == [250]


def test_what_was_counted_counts_on_when_the_file_changes():
    ini = "[main]\ntarpit_delay=0\n[rate_rcpt]\nenabled=true\ndefault=1/1h\n"
    with serving(ini) as server:
        assert told(server, ("s@b.example", "a@x.example")) == [250]
        server.configure({"limit.ini": f"{ini}x.net=5\n"})
        assert told(server, ("s@b.example", "a@x.example")) == [450]
        server.configure({"limit.ini": ini.replace("1/1h", "3/1h")})
        assert told(server, *[("s@b.example", "a@x.example")] * 4) == [250] * 3 + [450]
        assert len(server.plugin("limit").limits) == 1


def test_a_part_may_be_turned_off_while_the_server_runs():
    parts = ("concurrency", "recipients", "errors", "unrecognized_commands", "rate_conn", "rate_rcpt_host")
    parts += ("rate_rcpt_sender", "rate_rcpt", "rate_rcpt_null")
    ini = "".join(f"[{part}]\nenabled=true\n{'default' if 'rate' in part else 'max'}=1\n" for part in parts)
    with serving(ini) as server:
        server.configure({"limit.ini": ini.replace("true", "false")})
        clients = [server.connect() for _ in range(3)]
        assert [client.banner.code for client in clients] == [220] * 3
        client = clients[0]
        client.ehlo()
        assert [client.command("FOO").code for _ in range(3)] == [500] * 3
        assert [client.command("RCPT TO:<x>").code for _ in range(3)] == [503] * 3
        assert told(server, *[("s@b.example", "a@x.example"), ("<>", "a@x.example")] * 3) == [250] * 6


# ---- names, and the file


def test_the_names_of_a_client_and_of_an_address():
    module = sys.modules[type(make_plugin("limit")).__module__]
    assert list(module.names_of_host("192.0.2.7", "Mx.Example.com")) == [
        *("192.0.2.7", "192.0.2", "192.0", "192"),
        *("mx.example.com", "example.com", "com"),
    ]
    names = list(module.names_of_host("fe80::202:b3ff:fe1e:8329", None))
    assert names[0] == "fe80:0:0:0:202:b3ff:fe1e:8329" and names[-1] == "fe80" and len(names) == 8
    assert list(module.names_of_mail(module.Address.parse("Bob@Mail.example.com"))) == [
        "bob@mail.example.com",
        *("mail.example.com", "example.com", "com"),
    ]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[rate_rcpt]\ndefault=many", "[rate_rcpt] default: 'many' is not a rate such as 50/5m"),
        ("[rate_conn]\n192.0.2=5/0m", "[rate_conn] 192.0.2: '5/0m' is a rate with nothing in it"),
        ("[recipients]\nmax=-1", "[recipients] max: -1 is out of range"),
        ("[redis]\nhost=127.0.0.1", "[redis] host: not honoured: what is counted is kept in memory"),
        ("[rate_outbound]\ngmail.com=10/1m", "[rate_outbound] gmail.com: not honoured; write rate"),
        ("[recipients]\nmx=5", "[recipients] mx: unknown key, did you mean max?"),
    ],
)
def test_mistakes_in_the_file_are_told(tmp_path, line, complaint):
    problems: list[str] = []
    config_of(tmp_path, {"limit.ini": line}, problems).get("limit.ini")
    [problem] = problems
    assert "limit.ini:2" in problem and complaint in problem


def test_the_name_of_earlier_releases_means_it(tmp_path):
    [plugin] = plugins_of(tmp_path, ["rate_limit"], {}, logger_and_lines()[0])
    assert plugin.name == "limit"


def test_in_a_server_the_client_is_hung_up_on(tmp_path):
    ini = "[main]\ntarpit_delay=0.1\n[concurrency]\nenabled=true\nmax=1\n"
    config = {**RELAY_CONFIG, "plugins": "limit\n", "limit.ini": ini}
    config["smtp.ini"] += "nodes=0\n"
    with Server(tmp_path, config) as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as first:
            assert first.noop()[0] == 250
            with pytest.raises(smtplib.SMTPConnectError) as refused:
                smtplib.SMTP("127.0.0.1", server.port, timeout=10)
            assert refused.value.smtp_code == 421 and b"Too many concurrent" in refused.value.smtp_error

        def is_free() -> bool:
            try:
                return smtplib.SMTP("127.0.0.1", server.port, timeout=10).noop()[0] == 250
            except smtplib.SMTPConnectError:
                return False

        assert eventually(is_free)
