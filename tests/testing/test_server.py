"""The server under test is a real one, except for the network, the DNS and the clock."""

from __future__ import annotations

import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from mta.plugin import DENY, DENYDISCONNECT, OK, Plugin, PluginError
from mta.testing import MailServer, NoReply, make_address, make_connection

GREETER = """
from mta.plugin import Plugin

class Greeter(Plugin):
    def register(self):
        self.text = self.config.get("greeter.ini")["main"].get("text", "hi")
        self.lines = self.config.get("greeter.list", "list", on_change=self.load)

    def load(self, lines):
        self.lines = lines

    def hook_connect(self, connection):
        return OK_OR_NONE, self.text

    def hook_noop(self, connection, argument):
        self.loginfo("noop", {"lines": ",".join(self.lines)}, connection)
""".replace("return OK_OR_NONE, self.text", "from mta.plugin import OK\n        return OK, self.text")


class Notes(Plugin):
    """Notes and finds out something at each step."""

    def hook_connect(self, connection):
        connection.notes.seen = connection.remote.host

    def hook_rcpt(self, connection, rcpt, params):
        connection.transaction.results.add(self, {"pass": rcpt.user})
        return DENY if rcpt.user == "nobody" else None

    def hook_data_post(self, connection):
        connection.transaction.notes.size = connection.transaction.data_bytes
        connection.transaction.add_header("X-Seen", "yes")
        return (DENYDISCONNECT, "go away") if "bad" in connection.transaction.header.get("Subject") else None


def test_a_dialogue_and_what_is_kept():
    with MailServer(Notes) as server:
        client = server.connect(ip="192.0.2.9", host="mail.client.example")
        assert client.banner.code == 220 and client.banner.text.startswith("mx.example.com")
        assert client.notes.seen == client.connection.remote.host == "mail.client.example"
        assert client.ehlo("mail.client.example").code == 250
        assert "PIPELINING" in client.capabilities
        assert client.mail("alice@client.example").enhanced == "2.1.0"
        assert client.rcpt("nobody@example.com").code == 550
        assert client.rcpt("bob@example.com").code == 250
        assert (
            client.rcpt("bob@elsewhere.example").text == "I cannot deliver mail for <bob@elsewhere.example>"
        )
        assert client.data("Subject: one\n\n.a dot\nno line end").code == 250
        (mail,) = server.queued
    assert (str(mail.mail_from), mail.recipients) == ("<alice@client.example>", ["bob@example.com"])
    assert not mail.outgoing
    assert mail.header.get("X-Seen") == "yes" and mail.header.get("Received").startswith(
        "from mail.client.example"
    )
    assert mail.body == b".a dot\r\nno line end\r\n"
    assert client.transaction.notes.size > 0
    assert client.transaction.results.get("notes") == {"pass": ["nobody", "bob", "bob"]}


def test_a_refusal_that_hangs_up():
    with MailServer(Notes) as server:
        client = server.connect()
        assert not client.closed
        reply = client.send_mail(message="Subject: bad\n\nx\n")
        assert (reply.code, reply.text) == (550, "go away")
        assert client.closed and server.queued == []
        with pytest.raises(NoReply, match="hung up"):
            client.noop()


def test_a_mail_of_the_standard_library():
    letter = EmailMessage()
    letter["Subject"] = "grüße"
    letter.set_content("hallo\n.\n")
    with MailServer() as server:
        assert server.connect().send_mail("", ["bob@example.com", "carol@example.com"], letter).code == 250
        assert server.queued[0].recipients == ["bob@example.com", "carol@example.com"]
        assert server.queued[0].body == b"hallo\r\n.\r\n"


@pytest.mark.parametrize(
    ("client", "attributes"),
    [
        ({"relaying": True}, {"relaying": True}),
        ({"auth_user": "alice"}, {"relaying": True, "authenticated": True}),
        ({"local_port": 587}, {"relaying": False}),
        ({"notes": {"vip": True}}, {"notes": {"vip": True}}),
    ],
)
def test_who_the_client_is(client, attributes):
    with MailServer() as server:
        connection = server.connect(**client).connection
        assert {name: getattr(connection, name) for name in attributes} == attributes


def test_a_client_that_is_taken_for_encrypted():
    with MailServer() as server:
        client = server.connect(tls=True)
        assert client.connection.tls.enabled
        client.send_mail()
        assert "with ESMTPS" in server.queued[0].header.get("Received")


def test_relayed_mail_goes_to_the_queue_of_outgoing_mail():
    with MailServer() as server:
        client = server.connect(auth_user="alice")
        assert client.send_mail(rcpt_to=["x@a.example", "y@b.example", "z@a.example"]).code == 250
        assert server.queued[0].outgoing and server.queued[0].header.has("Message-Id")
        by_domain = {hmail.todo.domain: [rcpt.user for rcpt in hmail.todo.rcpt_to] for hmail in server.hmails}
        assert by_domain == {"a.example": ["x", "z"], "b.example": ["y"]}
        assert server.hmails[0].header.get("Subject") == "hello"


def test_plugins_by_file_and_by_name(tmp_path: Path):
    (tmp_path / "plugins" / "rcpt_to").mkdir(parents=True)
    (tmp_path / "plugins" / "rcpt_to" / "greeter.py").write_text(GREETER)
    (tmp_path / "plugins" / "greeter.py").write_text(GREETER)
    config = {"greeter.ini": "text=welcome\n"}
    with MailServer(tmp_path / "plugins" / "rcpt_to" / "greeter.py", config=config) as server:
        assert server.connect().banner.text == "welcome"
        assert [plugin.name for plugin in server.plugins] == ["rcpt_to.greeter"]
    with MailServer("greeter", "rcpt_to.in_host_list", search=[tmp_path / "plugins"]) as server:
        assert server.connect().banner.text == "hi"
        assert [plugin.name for plugin in server.plugins] == ["greeter", "rcpt_to.in_host_list"]


def test_an_installation_as_it_is(tmp_path: Path):
    for name, text in {"plugins/greeter.py": GREETER, "config/greeter.ini": "text=from the file\n"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    with MailServer("greeter", config=tmp_path) as server:
        assert server.connect().banner.text == "from the file"
    assert (tmp_path / "config" / "greeter.ini").exists()


def test_a_change_of_configuration_is_seen_at_once(tmp_path: Path):
    (tmp_path / "greeter.py").write_text(GREETER)
    with MailServer(tmp_path / "greeter.py", config={"greeter.list": "one\n"}) as server:
        client = server.connect()
        client.noop()
        server.configure({"greeter.list": "two\nthree\n"})
        client.noop()
        lines = [
            record.fields["lines"] for record in server.logged("noop", "info") if record.origin == "greeter"
        ]
        assert lines == ["one", "two,three"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "exactly one Plugin subclass"),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n    def hook_nonsense(self): pass\n",
            "hook_nonsense",
        ),
        (
            "from mta.plugin import Plugin\nclass A(Plugin):\n    def register(self):\n        1 / 0\n",
            "bad.py:4",
        ),
    ],
)
def test_what_is_wrong_with_a_plugin_is_told_as_the_server_tells_it(tmp_path: Path, code, said):
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(PluginError, match=said), MailServer(tmp_path / "bad.py"):
        pass


def test_a_directory_of_its_own_is_gone_afterwards():
    with MailServer(config={"host_list": "a.example\n"}) as server:
        assert (server.directory / "config" / "host_list").read_text() == "a.example\n"
    assert not server.directory.exists()


def test_every_call_is_noted_with_its_answer():
    with MailServer(Notes) as server:
        server.connect().send_mail(rcpt_to="nobody@example.com")
        asked = [(call.hook, call.answer) for call in server.asked]
        assert asked == [("connect", "CONT"), ("rcpt", "DENY")]
        assert all(call.seconds > 0 and call.plugin == "notes" for call in server.asked)


def test_a_plugin_that_raises_is_noted_and_logged():
    class Breaks(Plugin):
        def hook_rcpt(self, connection, rcpt, params):
            raise ValueError("no database")

    with MailServer(Breaks) as server:
        assert server.connect().send_mail().code == 450
        assert [call.answer for call in server.asked] == ["ValueError: no database"]
        assert server.logged("no database", "crit")


def test_a_hook_by_itself():
    class Says(Plugin):
        def hook_rcpt(self, connection, rcpt, params):
            return OK, f"{rcpt.user} from {connection.remote.ip}"

    with MailServer(Says) as server:
        verdict = server.run("rcpt", make_connection(ip="192.0.2.1"), make_address("bob@example.org"), {})
        assert (verdict.code, verdict.message, verdict.plugin) == (OK, "bob from 192.0.2.1", "says")


def test_mail_that_a_plugin_sends():
    class Copies(Plugin):
        def hook_data_post(self, connection):
            reply = self.server.send_email("", "archive@elsewhere.example", "Subject: copy\n\nx\n")
            assert reply.code == 250

    with MailServer(Copies) as server:
        server.connect().send_mail()
        assert [(mail.outgoing, mail.header.get("Subject")) for mail in server.queued] == [
            (True, "copy"),
            (False, "hello"),
        ]


def test_starttls_for_real():
    from mta.cli.tls import self_signed

    key, certificate = self_signed(["mx.example.com"])
    files = {"tls_key.pem": key, "tls_cert.pem": certificate}
    with MailServer("tls", config=files) as server:
        client = server.connect()
        client.ehlo()
        assert "STARTTLS" in client.capabilities
        assert client.starttls().code == 220
        assert client.connection.tls.enabled and not client.connection.hello.verb
        client.ehlo()
        assert client.send_mail().code == 250


def test_logging_in_for_real():
    with MailServer("auth/flat_file", config={"auth_flat_file.ini": "[users]\nalice=secret\n"}) as server:
        client = server.connect(tls=True)
        assert client.auth("alice", "wrong").code == 535
        assert client.auth("alice", "secret").code == 235
        assert client.connection.authenticated
        assert "secret" not in "\n".join(server.log)


def test_a_client_that_talks_before_it_is_greeted():
    with MailServer() as server:
        assert server.connect(first=b"EHLO client.example\r\n").connection.early_talker
        assert not server.connect().connection.early_talker


def test_pages_of_the_http_server():
    class Shows(Plugin):
        def hook_init_http(self, server):
            server.http.route("/echo", self.echo)

        def echo(self, environ, start):
            start("201 Created", [("Content-Type", "text/plain")])
            return [
                environ["PATH_INFO"].encode(),
                environ["QUERY_STRING"].encode(),
                environ["HTTP_X_TOKEN"].encode(),
                environ["wsgi.input"].read(),
            ]

    with MailServer(Shows) as server:
        page = server.get("/echo/a%20b?q=1", method="POST", body=b"text", headers={"X-Token": "t"})
        assert (page.status, page.headers["content-type"], page.body) == (201, "text/plain", b"/a bq=1ttext")
        assert server.get("/nowhere").status == 404


@pytest.mark.parametrize(("action", "code"), [("defer", 450), ("continue", 250)])
def test_what_becomes_of_a_late_plugin_is_the_servers_setting(action, code):
    class Late(Plugin):
        timeout = 5

        def hook_mail(self, connection, mail_from, params):
            time.sleep(60)

    with MailServer(Late, config={"smtp.ini": f"plugin_timeout_action={action}\n"}) as server:
        assert server.connect().mail().code == code


def test_two_servers_at_once():
    with MailServer(hostname="one.example") as one, MailServer(hostname="two.example") as two:
        first, second = one.connect(), two.connect()
        assert (first.send_mail().code, second.send_mail().code) == (250, 250)
        assert len(one.queued) == len(two.queued) == 1
        assert first.banner.text.split()[0] == "one.example"
