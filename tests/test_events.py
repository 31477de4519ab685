"""The event stream: what real sessions and deliveries tell, held against docs/events.schema.json."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
import trustme
from jsonschema import Draft202012Validator

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.event_file import EventFile
from mta.events import MAX_RECIPIENTS, Events
from mta.paths import DOCS
from mta.plugin.auth import AuthPlugin
from mta.plugin.hooks import Plugin
from mta.plugin.verdict import DELAY, DENY, DENYSOFT, NEXT_HOOK, OK
from mta.smtp.reply import Reply
from tests.support import server
from tests.support.client import RawClient
from tests.support.desk import LATER, NEVER, TAKEN, Desk, Spy
from tests.support.events import SCHEMA, Event, Stream, checked, named, read
from tests.support.fake_mx import FakeMx
from tests.support.install import eventually
from tests.support.plugins import logger_and_lines, plugins_of
from tests.support.relay import Relay
from tests.support.server import START_SECONDS, Server
from tests.support.service import Denier, Inbound, Local
from tests.support.stage import tls_server
from tests.support.tls_mx import TlsMx, server_context
from tests.support.workers import send_through

UUID = r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"
MESSAGE = b"Subject: hi\r\nMessage-Id: <1@a.test>\r\nX-Campaign: spring\r\n\r\nbody\r\n"
POLICY = """
from mta.plugin import DENY, DENYSOFT, OK, Plugin


class Policy(Plugin):
    def hook_rcpt(self, connection, rcpt, params):
        if rcpt.user == "nobody":
            return DENY, "no such user"
        if rcpt.user == "later":
            return DENYSOFT
        return OK

    def hook_data_post(self, connection):
        if connection.transaction.header.get("Subject").strip() == "spam":
            return DENY, "we do not like this"
        return None
"""


@pytest.fixture
def relay(tmp_path: Path, mx: FakeMx) -> Iterator[Server]:
    """A relay that writes its events to log/events.jsonl."""
    config = {
        "log.ini": "[main]\nlevel=info\n[events]\nfile=log/events.jsonl\nheaders=X-Campaign, Subject\n",
        "plugins": "relay\npolicy\n",
    }
    made = server.relay(tmp_path / "relay", mx.port, config, plugins={"policy.py": POLICY}, retries="1h*3")
    yield made
    made.kill()


def events_of(running: Server) -> list[Event]:
    return read(running.directory / "log" / "events.jsonl")


def wait_for(running: Server, name: str, count: int = 1) -> list[Event]:
    """The events with that name, as soon as there are so many."""
    assert eventually(lambda: len(named(events_of(running), name)) >= count, 10), running.log
    return named(events_of(running), name)


def one(events: list[Event], name: str) -> Event:
    (event,) = named(events, name)
    return event


def about(events: list[Event], message: str) -> list[Event]:
    """What has the message's uuid in it, and is not about its session alone."""
    return [event for event in events if event.get("message") == message]


# -- the schema


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["event"]["enum"] == [
        each["$ref"].rpartition("/")[2] for each in SCHEMA["oneOf"]
    ]


def test_the_page_describes_every_event_and_every_field() -> None:
    page = (DOCS / "Events.md").read_text(encoding="utf-8")
    for name in SCHEMA["properties"]["event"]["enum"]:
        chapter = page.split(f"\n### {name}\n")[1].split("\n## ")[0].split("\n### ")[0]
        described = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", chapter, re.MULTILINE))))
        assert described == set(SCHEMA["$defs"][name]["properties"]) - {"event"}, name


# -- the life of mails in a real server


def test_one_id_follows_a_message_from_the_first_byte_to_the_last_delivery(relay: Server, mx: FakeMx) -> None:
    with relay, RawClient(relay.port) as client:
        answer = client.send("ann@a.test", ["joe@b.test", "sue@c.test"], MESSAGE, " SIZE=100")
        client.command("QUIT")
        wait_for(relay, "delivered", 2)
        events = events_of(relay)
    message = re.search(rf"{UUID}\.1", answer)[0]
    own = about(events, message)
    assert [event["event"] for event in own[:5]] == ["mail", "rcpt", "rcpt", "queue", "data"]
    assert sorted(event["id"] for event in own[5:]) == [f"{message}.1", f"{message}.2"]
    session = [event for event in events if event["id"] == message[:-2]]
    assert [event["event"] for event in session] == ["connect", "disconnect"]
    assert {event["host"] for event in events} == {"relay.test"}

    mail, data, queue = own[0], own[4], own[3]
    assert mail["sender"] == "ann@a.test" and mail["params"] == {"SIZE": "100"}
    assert mail["hello"] == {"verb": "EHLO", "host": "client.test"} and mail["protocol"] == "ESMTP"
    assert mail["remote"]["ip"] == "127.0.0.1" and mail["tls"] is None
    assert [event["recipient"] for event in own[1:3]] == ["joe@b.test", "sue@c.test"]
    assert {event["plugin"] for event in own[1:3]} == {"policy"}
    assert (
        data["message_id"] == "<1@a.test>" and data["size"] > len(MESSAGE) and data["verdict"] == "accepted"
    )
    assert data["headers"] == {"X-Campaign": ["spring"], "Subject": ["hi"]}
    assert data["recipients"] == {"accepted": 2, "deferred": 0, "rejected": 0}
    assert {entry["domain"]: entry["recipients"] for entry in queue["entries"]} == {
        "b.test": ["joe@b.test"],
        "c.test": ["sue@c.test"],
    }
    delivered = own[5]
    assert delivered["next_hop"] == {"host": "127.0.0.1", "ip": "127.0.0.1", "port": mx.port, "mode": "SMTP"}
    assert delivered["reply"] == {"code": 250, "enhanced": "2.0.0", "text": "taken"}
    assert delivered["attempts"] == 1 and delivered["tls"] is None

    left = session[1]
    assert left["messages"] == {"accepted": 1, "deferred": 0, "rejected": 0} and left["transactions"] == 1
    assert left["bytes"] == len(MESSAGE)


def test_a_mail_that_is_put_off_and_then_bounced(relay: Server, mx: FakeMx) -> None:
    mx.reply("rcpt", "451 4.7.1 greylisted", "550 5.1.1 no such user", "250 ok")
    with relay:
        with RawClient(relay.port) as client:
            client.send("ann@a.test", "joe@b.test", MESSAGE)
        (deferred,) = wait_for(relay, "deferred")
        relay.flush()
        (bounced,) = wait_for(relay, "bounced")
        wait_for(relay, "delivered")
        events = events_of(relay)
    assert deferred["reply"] == {"code": 451, "enhanced": "4.7.1", "text": "greylisted"}
    assert deferred["attempts"] == 1 and deferred["next_attempt"] > deferred["time"]
    assert deferred["category"] == "greylist" and deferred["plugin"] is None
    assert bounced["id"] == deferred["id"] and bounced["entry"] == deferred["entry"]
    assert bounced["attempts"] == 2 and bounced["reported"] is True
    report = named(events, "queue")[1]
    assert report["origin"] == bounced["id"] and report["sender"] == ""
    delivered = one(events, "delivered")
    assert delivered["message"] == report["message"] and delivered["recipients"] == ["ann@a.test"]


def test_what_is_refused_says_by_whom(relay: Server) -> None:
    with relay:
        with RawClient(relay.port) as client:
            client.command("MAIL FROM:ann@a.test <")
            client.command("MAIL FROM:<ann@a.test>")
            client.command("RCPT TO:<nobody@b.test>")
            client.command("RCPT TO:<later@b.test>")
            client.command("RCPT TO:joe")
            client.command("RCPT TO:<joe@b.test>")
            client.command("DATA")
            client.write(b"Subject: spam\r\n\r\n.\r\n")
            client.read()
        wait_for(relay, "disconnect", 2)
        events = events_of(relay)
    broken, mail = named(events, "mail")
    assert (broken["message"], broken["sender"], broken["verdict"]) == (None, None, "rejected")
    rcpts = [
        (event["recipient"], event["verdict"], event["plugin"], event["reply"]["code"])
        for event in named(events, "rcpt")
    ]
    assert rcpts == [
        ("nobody@b.test", "rejected", "policy", 550),
        ("later@b.test", "deferred", "policy", 450),
        (None, "rejected", None, 501),
        ("joe@b.test", "accepted", "policy", 250),
    ]
    data = one(events, "data")
    assert data["message"] == mail["message"] and data["verdict"] == "rejected" and data["plugin"] == "policy"
    assert data["reply"]["text"] == "we do not like this"
    assert data["recipients"] == {"accepted": 1, "deferred": 1, "rejected": 1}
    assert not named(events, "queue")
    assert named(events, "disconnect")[-1]["last_reject"].endswith("we do not like this")


@pytest.mark.parametrize("command", ["DATA", "BDAT 100"])
def test_a_client_that_goes_away_inside_a_message(relay: Server, command: str) -> None:
    with relay:
        client = RawClient(relay.port)
        client.command("MAIL FROM:<ann@a.test>")
        client.command("RCPT TO:<joe@b.test>")
        client.write(f"{command}\r\nSubject: h".encode())
        if command == "DATA":
            client.read()
        client.close()
        (data,) = wait_for(relay, "data")
        wait_for(relay, "disconnect", 2)
    assert (data["verdict"], data["reply"]) == ("gone", None)


def test_a_client_that_only_looks(relay: Server) -> None:
    with relay:
        socket.create_connection(("127.0.0.1", relay.port)).close()
        wait_for(relay, "disconnect", 2)
        events = events_of(relay)
    assert [event["verdict"] for event in named(events, "connect")] == ["accepted", "accepted"]
    assert {event["event"] for event in events} == {"connect", "disconnect"}


def test_without_a_file_there_are_no_events(tmp_path: Path, mx: FakeMx) -> None:
    with (
        server.relay(tmp_path / "relay", mx.port) as running,
        smtplib.SMTP("127.0.0.1", running.port) as smtp,
    ):
        smtp.sendmail("ann@a.test", ["joe@b.test"], MESSAGE)
        assert eventually(lambda: mx.messages)
    files = [path for path in running.directory.rglob("*") if path.is_file()]
    assert files and not [path for path in files if b'"event":' in path.read_bytes()]


def test_two_workers_write_whole_lines_to_one_file(tmp_path: Path, mx: FakeMx) -> None:
    config = {
        "smtp.ini": "listen=127.0.0.1:{port}\nnodes=2\n",
        "log.ini": "[events]\nfile=events.jsonl\n",
    }
    made = server.relay(tmp_path / "relay", mx.port, config)
    with made:
        for number in range(20):
            send_through(made, number % 2, f"joe{number}@b.test")
        path = made.directory / "events.jsonl"
        assert eventually(lambda: len(named(read(path), "delivered")) == 20)
    assert {event["worker"] for event in read(path)} == {0, 1}


# -- the file


def test_the_file_is_for_us_and_our_group_and_is_opened_again_on_sighup(relay: Server) -> None:
    with relay:
        path = relay.directory / "log" / "events.jsonl"
        wait_for(relay, "disconnect")
        assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0
        path.rename(path.with_suffix(".1"))
        relay.signal(signal.SIGHUP)
        assert eventually(path.exists)
        RawClient(relay.port).close()
        wait_for(relay, "disconnect")
    assert len(named(read(path.with_suffix(".1")), "disconnect")) == 1


def test_a_file_that_was_moved_away_is_noticed(tmp_path: Path) -> None:
    stream = EventFile(events := Events("mx"), tmp_path, pytest.fail)
    stream.use("events")
    (tmp_path / "events").rename(tmp_path / "events.1")
    events.emit("lost", "-", {"count": 1})
    stream.close()
    assert [event["count"] for event in read(tmp_path / "events")] == [1]
    assert read(tmp_path / "events.1") == []


def test_log_ini_switches_events_while_the_server_runs(relay: Server) -> None:
    ini = relay.directory / "config" / "log.ini"
    with relay:
        wait_for(relay, "disconnect")
        ini.write_text("[events]\nfile=other.jsonl\n")
        other = relay.directory / "other.jsonl"
        assert eventually(other.exists)
        RawClient(relay.port).close()
        assert eventually(lambda: named(read(other), "disconnect"))
        ini.write_text("[events]\nfile=\n")
        count = len(other.read_bytes())
        assert eventually(lambda: _is_silent(relay, other))
        assert len(other.read_bytes()) >= count


def _is_silent(relay: Server, path: Path) -> bool:
    """True when a whole session adds nothing to the file."""
    before = path.stat().st_size
    sessions = relay.log.count("disconnect")
    RawClient(relay.port).close()
    assert eventually(lambda: relay.log.count("disconnect") > sessions)
    gevent.sleep(0.1)
    return path.stat().st_size == before


def test_a_file_that_can_not_be_opened_keeps_the_server_from_starting(relay: Server) -> None:
    (relay.directory / "config" / "log.ini").write_text("[events]\nfile=no/such/directory/events\n")
    status, said = relay.run_to_end(START_SECONDS)
    assert (
        status == 1 and "log.ini:2: [events] file:" in said and "no/such/directory is not a directory" in said
    )


def test_a_file_that_our_user_may_not_open_keeps_the_server_from_starting(relay: Server) -> None:
    (relay.directory / "config" / "log.ini").write_text("[events]\nfile=/proc/events\n")
    status, said = relay.run_to_end(START_SECONDS)
    assert status == 1 and "log.ini: [events] file:" in said and "/proc/events" in said


def test_a_file_that_can_not_be_opened_later_changes_nothing(relay: Server) -> None:
    with relay:
        wait_for(relay, "disconnect")
        (relay.directory / "config" / "log.ini").write_text("[events]\nfile=/proc/nothing/events\n")
        assert eventually(lambda: "it stays as it was" in relay.log)
        RawClient(relay.port).close()
        wait_for(relay, "disconnect", 2)


def test_events_that_could_not_be_written_are_counted_where_they_are_missing(tmp_path: Path) -> None:
    pipe = tmp_path / "events"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    stream = EventFile(events := Events("mx", 1), tmp_path, pytest.fail)
    stream.use("events")
    told = 0
    while not stream._writer.dropped:
        events.emit("disconnect", "X" * 1000, {})
        told += 1
    text = ""
    while '"event":"lost"' not in text or not text.endswith("\n"):
        events.emit("disconnect", "X" * 1000, {})
        told += 1
        gevent.sleep(0.01)
        try:
            text += os.read(reader, 1 << 20).decode()
        except BlockingIOError:
            continue
    lines = text.splitlines()
    lost = [json.loads(line)["count"] for line in lines if '"event":"lost"' in line]
    assert lost[0] >= 1 and checked([line for line in lines if '"event":"lost"' in line])[0]["worker"] == 1
    assert sum(lost) + len(lines) - len(lost) <= told
    os.close(reader)
    stream.close()


def test_a_change_of_the_file_loses_nothing(tmp_path: Path) -> None:
    stream = EventFile(events := Events("mx"), tmp_path, pytest.fail)
    names = ["one", "two", "three"]
    greenlet = gevent.spawn(
        lambda: [(events.emit("lost", "-", {"count": n + 1}), gevent.sleep(0.002)) for n in range(100)]
    )
    for name in names:
        stream.use(name)
        gevent.sleep(0.03)
    greenlet.join()
    stream.close()
    found = [event["count"] for name in names for event in read(tmp_path / name)]
    assert found == list(range(1, 101))


def test_a_line_is_ascii_whatever_it_holds() -> None:
    stream = Stream()
    rude = "\n\x1b[2J\u202e \udcff ü 😀"
    stream.events.emit("lost", "-", {"count": 1, "what": rude})
    (line,) = stream.lines
    assert line.isascii() and line.isprintable()
    assert '"what":"\\n\\u001b[2J\\u202e ? \\u00fc \\ud83d\\ude00"' in line


def test_a_value_that_json_has_no_form_for_is_its_text() -> None:
    stream = Stream()
    stream.events.emit("lost", "-", {"count": 1, "what": [Path("/a"), b"x", "\udcff"]})
    assert json.loads(stream.lines[0])["what"] == ["/a", "b'x'", "?"]


# -- sessions


class Backend(AuthPlugin):
    """Knows one user, and lets passwords through in clear."""

    name = "backend"
    first_delay = 0.0

    def may_authenticate(self, connection):
        return True

    def check_password(self, connection, user, password):
        if user == "broken":
            raise OSError("the database is away")
        return (user, password) == ("ann", "s3cret")


def inbound_events(*plugins: Plugin, **settings: object) -> tuple[Inbound, Stream]:
    stream = Stream()
    inbound = Inbound(plugins, **settings)
    inbound.service.events = stream.events
    return inbound, stream


def plain(user: str, password: str) -> str:
    from base64 import b64encode

    return "AUTH PLAIN " + b64encode(f"\0{user}\0{password}".encode()).decode()


def test_auth_tells_who_and_how_but_no_secret() -> None:
    inbound, stream = inbound_events(Backend())
    with inbound:
        client = inbound.client()
        client.ask("EHLO client.test")
        for line in (
            "AUTH s3cret",
            "AUTH hunter2-s3cret",
            "AUTH NTLM",
            plain("ann", "s3cret-but-wrong"),
            plain("broken", "s3cret"),
            plain("ann", "s3cret"),
            plain("ann", "s3cret"),
        ):
            client.ask(line)
        client.ask("MAIL FROM:<ann@a.test>")
        client.ask("QUIT")
        client.close()
        assert eventually(lambda: stream.named("disconnect"))
    told = [
        (event["result"], event["mechanism"], event["user"], event["plugin"])
        for event in stream.named("auth")
    ]
    assert told[2:] == [
        ("refused", "NTLM", None, "backend"),
        ("fail", "PLAIN", "ann", "backend"),
        ("tempfail", "PLAIN", None, "backend"),
        ("pass", "PLAIN", "ann", "backend"),
        ("refused", "PLAIN", None, "backend"),
    ]
    assert told[:2] == [("refused", None, None, "backend")] * 2
    mail = one(stream.all, "mail")
    assert mail["user"] == "ann" and mail["protocol"] == "ESMTPA"
    secrets = ("s3cret", plain("ann", "s3cret")[11:].lower())
    assert not [line for line in stream.lines for secret in secrets if secret in line.lower()]


def test_the_tls_of_a_session_is_told(tmp_path: Path) -> None:
    inbound, stream = inbound_events(Local(), *plugins_of(tmp_path, ["tls"], {}, logger_and_lines()[0]))
    inbound.service.tls = tls_server()
    with inbound, smtplib.SMTP("127.0.0.1", inbound.port) as smtp:
        smtp.starttls(context=ssl._create_unverified_context())
        smtp.sendmail("a@example.org", ["b@example.com"], MESSAGE)
    assert one(stream.all, "connect")["tls"] is None
    mail = one(stream.all, "mail")
    assert mail["tls"]["version"] == "TLSv1.3" and mail["tls"]["verified"] is False
    assert mail["protocol"] == "ESMTPS"


def test_a_refusal_at_connect_is_told_with_the_plugin() -> None:
    inbound, stream = inbound_events(Denier("connect", (DENY, "go away")))
    with inbound:
        client = inbound.client()
        client.ask("QUIT")
        client.close()
        assert eventually(lambda: stream.named("disconnect"))
    connect = one(stream.all, "connect")
    assert (connect["verdict"], connect["plugin"], connect["reply"]["text"]) == (
        "rejected",
        "denier",
        "go away",
    )
    assert connect["local"]["port"] == inbound.port


def test_a_client_behind_a_load_balancer_is_told_with_it() -> None:
    inbound, stream = inbound_events(haproxy_hosts=("127.0.0.1",))
    with inbound:
        with socket.create_connection(("127.0.0.1", inbound.port)) as sock:
            sock.sendall(b"PROXY TCP4 192.0.2.1 10.1.2.3 40001 25\r\nQUIT\r\n")
            while sock.recv(512):
                pass
        with socket.create_connection(("127.0.0.1", inbound.port)) as sock:
            sock.sendall(b"EHLO no.proxy.here\r\n")
            while sock.recv(512):
                pass
        assert eventually(lambda: len(stream.named("disconnect")) == 2)
    known, unknown = stream.named("connect")
    assert (known["remote"]["ip"], known["remote"]["port"], known["proxy"]) == (
        "192.0.2.1",
        40001,
        "127.0.0.1",
    )
    assert (known["local"], known["verdict"]) == ({"ip": "10.1.2.3", "port": 25}, "accepted")
    assert (unknown["remote"]["ip"], unknown["verdict"], unknown["reply"]) == ("127.0.0.1", "gone", None)


def test_a_handshake_that_fails_is_a_client_that_is_gone() -> None:
    inbound, stream = inbound_events()
    inbound.service.tls = tls_server()
    inbound.service.smtp = replace(inbound.service.smtp, smtps_port=(inbound.port,))
    with inbound:
        with socket.create_connection(("127.0.0.1", inbound.port)) as sock:
            sock.sendall(b"EHLO in.clear\r\n")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(512):
                pass
        assert eventually(lambda: stream.named("disconnect"))
    assert [(event["event"], event.get("verdict")) for event in stream.all] == [
        ("connect", "gone"),
        ("disconnect", None),
    ]


def test_a_client_that_is_named_anew_connects_once_more() -> None:
    inbound, stream = inbound_events(Denier("unrecognized_command", (NEXT_HOOK, "connect")))
    with inbound:
        client = inbound.client()
        client.ask("XCLIENT whoever")
        client.close()
        assert eventually(lambda: stream.named("disconnect"))
    assert len(stream.named("connect")) == 2


def test_header_fields_have_room_for_so_much_together() -> None:
    inbound, stream = inbound_events(Local())
    stream.events.headers = ("X-Many", "X-Long", "X-None")
    with inbound, smtplib.SMTP("127.0.0.1", inbound.port) as smtp:
        message = "X-Long: " + "y" * 900 + "\r\n" + "X-Many: 12345678\r\n" * 900 + "\r\n"
        smtp.sendmail("a@example.org", ["b@example.com"], message)
    headers = one(stream.all, "data")["headers"]
    assert set(headers) == {"X-Many"} and 300 < len(headers["X-Many"]) < 400


def test_a_queue_plugin_is_named_where_it_takes_a_message() -> None:
    inbound, stream = inbound_events(Local())
    with inbound, smtplib.SMTP("127.0.0.1", inbound.port) as smtp:
        smtp.sendmail("a@example.org", ["b@example.com"], MESSAGE)
    queue, data = stream.named("queue", "data")
    assert (queue["plugin"], queue["entries"], queue["due"]) == ("local", [], None)
    assert (data["plugin"], data["verdict"]) == ("local", "accepted")


def test_limits_of_the_server_have_no_plugin() -> None:
    inbound, stream = inbound_events(Local(), Denier("helo", DENY), max_recipients=1, max_messages=1)
    with inbound:
        client = inbound.client()
        client.ask("HELO refused.by.a.plugin")
        client.envelope("<a@example.org>", "<b@example.com>", "<c@example.com>")
        client.ask("Subject: hi\r\n\r\n.")
        client.ask("MAIL FROM:<a@example.org>")
        client.close()
        assert eventually(lambda: stream.named("disconnect"))
    refused = [event for event in stream.named("rcpt", "mail") if event["verdict"] != "accepted"]
    assert [(event["event"], event["plugin"], event["reply"]["code"]) for event in refused] == [
        ("rcpt", None, 452),
        ("mail", None, 421),
    ]


@pytest.mark.parametrize(("hook", "answer"), [("data", DENYSOFT), ("data_post", DENY), ("queue", DENY)])
@pytest.mark.parametrize("bdat", [False, True])
def test_the_plugin_that_refuses_a_message_is_named(hook: str, answer: object, bdat: bool) -> None:
    inbound, stream = inbound_events(Denier(hook, answer), Local())
    with inbound:
        client = inbound.client()
        client.ask("EHLO client.test")
        client.ask("MAIL FROM:<a@example.org>")
        client.ask("RCPT TO:<b@example.com>")
        if bdat:
            client.ask("BDAT 6\r\nA: b\r\n"[:-2])
            client.ask("BDAT 5 LAST\r\n\r\nx")
        elif client.ask("DATA").startswith("354"):
            client.ask("Subject: hi\r\n\r\n.")
        client.close()
        assert eventually(lambda: stream.named("disconnect"))
    data = one(stream.all, "data")
    assert data["plugin"] == "denier" and data["verdict"] in ("deferred", "rejected")


# -- deliveries


def desk_with_events(directory: Path, spy: Spy | None = None, **settings: object) -> tuple[Desk, Stream]:
    desk, stream = Desk(directory / "queue", spy or Spy(), **settings), Stream()
    desk.settler.events = stream.events
    return desk, stream


def test_recipients_with_the_same_answer_share_an_event(tmp_path: Path) -> None:
    desk, stream = desk_with_events(tmp_path)
    hmail = desk.mail("a@b.test", "b@b.test", "c@b.test", "d@b.test")
    later = desk.settler.settle(
        hmail, dict(zip(hmail.todo.rcpt_to, [TAKEN, TAKEN, LATER, NEVER], strict=True))
    )
    assert later is not None
    told = {event["event"]: [rcpt[0] for rcpt in event["recipients"]] for event in stream.all}
    assert told == {"delivered": ["a", "b"], "bounced": ["d"], "deferred": ["c"]}
    delivered = one(stream.all, "delivered")
    assert delivered["next_hop"] == {"host": "mx.b.test", "ip": "203.0.113.9", "port": 25, "mode": "SMTP"}
    assert delivered["tls"]["verified"] is False


def test_no_event_names_more_recipients_than_a_line_holds(tmp_path: Path) -> None:
    desk, stream = desk_with_events(tmp_path)
    hmail = desk.mail(*(f"{number}@b.test" for number in range(MAX_RECIPIENTS + 1)))
    desk.settler.settle(hmail, dict.fromkeys(hmail.todo.rcpt_to, TAKEN))
    assert [len(event["recipients"]) for event in stream.all] == [MAX_RECIPIENTS, 1]


def test_the_longest_line_fits_into_one_write(tmp_path: Path) -> None:
    stream = Stream()
    relay = Relay(tmp_path / "queue", None)
    relay.events = stream.events
    relay.open()
    try:
        relay.submit(
            *(f"{number:03}{'ü' * 30}@{'x' * 60}.{'y' * 60}.{'z' * 50}.test" for number in range(120))
        )
    finally:
        relay.spool.close()
    lines = [line for line in stream.lines if '"event":"queue"' in line]
    assert [len(json.loads(line)["entries"][0]["recipients"]) for line in lines] == [50, 50, 20]
    assert 15_000 < max(map(len, lines)) < 65_536


def test_who_is_not_told_about_a_failure(tmp_path: Path) -> None:
    desk, stream = desk_with_events(tmp_path, Spy(bounce=OK))
    hmail = desk.mail("a@b.test")
    assert desk.settler.settle(hmail, dict.fromkeys(hmail.todo.rcpt_to, NEVER)) is None
    assert [(event["reported"], event["plugin"]) for event in stream.named("bounced")] == [(False, "spy")]
    bounce = desk.mail("a@b.test", mail_from="")
    desk.settler._runner.chains["bounce"] = ()
    assert desk.settler.settle(bounce, dict.fromkeys(bounce.todo.rcpt_to, NEVER)) is None
    assert [(event["reported"], event["plugin"]) for event in stream.named("bounced")[1:]] == [(False, None)]


def test_a_report_that_can_not_be_kept_leaves_the_recipient_waiting(tmp_path: Path) -> None:
    desk, stream = desk_with_events(tmp_path)
    desk.refuse = True
    hmail = desk.mail("a@b.test")
    assert desk.settler.settle(hmail, dict.fromkeys(hmail.todo.rcpt_to, NEVER)) is not None
    assert [event["event"] for event in stream.all] == ["deferred"]


def test_a_plugin_that_drops_or_delays_a_mail_is_named(tmp_path: Path) -> None:
    desk, stream = desk_with_events(tmp_path, Spy(deferred=OK))
    hmail = desk.mail("a@b.test")
    assert desk.settler.settle(hmail, dict.fromkeys(hmail.todo.rcpt_to, LATER)) is None
    assert [(event["reported"], event["plugin"]) for event in stream.named("bounced")] == [(False, "spy")]


def test_a_plugin_that_puts_a_mail_off_is_named(tmp_path: Path, mx: FakeMx) -> None:
    stream = Stream()
    relay = Relay(tmp_path / "queue", mx, Denier("send_email", (DELAY, 3600)))
    relay.events = stream.events
    relay.start()
    try:
        relay.submit("joe@b.test")
        assert eventually(lambda: stream.named("deferred"))
    finally:
        relay.stop()
    deferred = one(stream.all, "deferred")
    assert (deferred["plugin"], deferred["reply"], deferred["attempts"]) == ("denier", None, 0)


def test_orders_of_an_operator_are_events(tmp_path: Path, mx: FakeMx) -> None:
    stream = Stream()
    relay = Relay(tmp_path / "queue", None)
    relay.events = stream.events
    relay.start()
    try:
        relay.submit("joe@b.test")
        assert eventually(lambda: stream.named("deferred"))
        desk = relay.outbound.desk
        for order in (
            desk.hold,
            desk.release,
            lambda names: desk.reroute(names, "mx.c.test:26"),
            desk.delete,
        ):
            assert eventually(
                lambda order=order: set(order([str(n) for n in relay.entries()]).values()) == {"done"}
            )
    finally:
        relay.stop()
    orders = [(event["order"], event["to"]) for event in stream.named("order")]
    assert orders == [("hold", None), ("release", None), ("reroute", "mx.c.test:26"), ("delete", None)]
    assert {event["id"] for event in stream.named("order")} == {"UUID.1.1"}


def test_the_reply_of_a_stranger_is_cut(tmp_path: Path) -> None:
    desk, stream = desk_with_events(tmp_path)
    hmail = desk.mail("a@b.test")
    long = type(TAKEN)(TAKEN.fate, Reply(250, ["x" * 400] * 500), TAKEN.peer)
    desk.settler.settle(hmail, dict.fromkeys(hmail.todo.rcpt_to, long))
    assert len(stream.lines[0]) < 4096


def test_the_tls_of_a_next_hop_is_told(tmp_path: Path) -> None:
    stream = Stream()
    with TlsMx(server_context(trustme.CA().issue_cert("127.0.0.1"))) as mx:
        relay = Relay(tmp_path / "queue", mx)
        relay.settings = OutboundSettings(
            smarthost=SmarthostSettings(host=(mx.smarthost,), tls="opportunistic")
        )
        relay.events = stream.events
        relay.start()
        try:
            relay.submit("joe@b.test")
            assert eventually(lambda: stream.named("delivered"))
        finally:
            relay.stop()
    tls = one(stream.all, "delivered")["tls"]
    assert tls["version"] == "TLSv1.3" and tls["cipher"].startswith("TLS_")
    assert (tls["verified"], tls["by"]) == (False, "none")
