"""AuthPlugin in real sessions: what it offers, what it refuses, what it tells, and how long it takes."""

from __future__ import annotations

import base64
import re
import smtplib
import subprocess
import threading
import time

import pytest
from scramp import ScramClient

from mta.logger import PROTOCOL
from mta.plugin import AuthPlugin, make_credentials
from mta.smtp import sasl
from tests.support.needs import program
from tests.support.plugins import connection_from, runner_of, with_mail
from tests.support.service import Client, Inbound, Local

USER, PASSWORD = "alice@example.com", "0123 pässword"


class Base(AuthPlugin):
    """In these tests everybody may send a password, and a wrong one is answered at once."""

    first_delay = 0.0

    def may_authenticate(self, connection):
        return True


class Knows(Base):
    """A backend that knows the password itself."""

    name = "knows"

    def password_of(self, connection, user):
        return PASSWORD if user == USER else None


class Checks(Base):
    """A backend that can only say yes or no: the ten lines of the documentation."""

    name = "checks"

    def check_password(self, connection, user, password):
        return (user, password) == (USER, PASSWORD)


class Keys(Base):
    """A backend that has the keys of SCRAM."""

    name = "keys"

    def scram_credentials(self, connection, user):
        return make_credentials(PASSWORD, b"salt of 16 bytes", 5000) if user == USER else None


def b64(text):
    return base64.b64encode(text.encode()).decode()


def unb64(text):
    return base64.b64decode(text).decode()


@pytest.fixture
def session():
    """Start a session with some plugins; it ends with the test."""
    running = []

    def start(*plugins, **settings):
        inbound = Inbound([*plugins, Local()], **settings)
        for plugin in plugins:
            plugin.logger = inbound.logger
        inbound.__enter__()
        client = inbound.client()
        running.append((inbound, client))
        client.inbound = inbound
        client.ehlo = client.ask("EHLO client.test")
        return client

    yield start
    for inbound, client in running:
        client.close()
        inbound.__exit__()


def log_in(client, name="PLAIN", user=USER, password=PASSWORD):
    """The reply at the end of one exchange."""
    if name == "PLAIN":
        return client.ask("AUTH PLAIN " + sasl.plain(user, password))
    if name == "LOGIN":
        client.ask("AUTH LOGIN")
        client.ask(b64(user))
        return client.ask(b64(password))
    if name == "CRAM-MD5":
        challenge = client.ask("AUTH CRAM-MD5").removeprefix("334 ")
        return client.ask(sasl.cram_md5(user, password, challenge))
    return scram(client, user, password)


def scram(client, user, password, initial=True):
    them = ScramClient(["SCRAM-SHA-256"], user, password)
    first = b64(them.get_client_first())
    if initial:
        reply = client.ask(f"AUTH SCRAM-SHA-256 {first}")
    else:
        assert client.ask("AUTH SCRAM-SHA-256") == "334 "
        reply = client.ask(first)
    them.set_server_first(unb64(reply.removeprefix("334 ")))
    reply = client.ask(b64(them.get_client_final()))
    if not reply.startswith("334"):
        return reply
    them.set_server_final(
        unb64(reply.removeprefix("334 "))
    )  # the server has proved that it knows the password too
    return client.ask("")


ALL = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"]


# ---- what is offered


@pytest.mark.parametrize(
    ("backend", "offer"),
    [
        (Knows, "AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"),
        (Checks, "AUTH PLAIN LOGIN"),
        (Keys, "AUTH SCRAM-SHA-256"),
    ],
)
def test_what_a_backend_overrides_is_what_it_offers(session, backend, offer):
    assert f"250-{offer}" in session(backend()).ehlo.replace("250 AUTH", "250-AUTH").split("\n")


def test_two_backends_share_one_line(session):
    client = session(Checks(), Keys())
    assert len(re.findall("AUTH ", client.ehlo)) == 1
    assert client.ehlo.endswith("AUTH PLAIN LOGIN SCRAM-SHA-256")
    assert log_in(client, "SCRAM-SHA-256").startswith("235 2.7.0")


def test_without_tls_nothing_is_offered_nor_accepted(session):
    class Careful(Knows):
        may_authenticate = AuthPlugin.may_authenticate

    client = session(Careful())
    assert "AUTH" not in client.ehlo
    reply = client.ask("AUTH PLAIN " + sasl.plain(USER, PASSWORD))
    assert reply == "538 5.7.11 Encryption required for requested authentication mechanism"


def test_a_backend_that_can_do_nothing_has_no_auth(session):
    client = session(Base())
    assert "AUTH" not in client.ehlo
    assert client.ask("AUTH PLAIN") == "503 5.5.1 AUTH is not available"


def test_without_a_plugin_auth_is_an_unknown_verb(session):
    assert session().ask("AUTH PLAIN").startswith("500 ")


# ---- success


@pytest.mark.parametrize("name", ALL)
def test_the_right_password(session, name):
    client = session(Knows())
    assert log_in(client, name) == "235 2.7.0 Authentication successful"
    assert client.ask("MAIL FROM:<alice@example.com>").startswith("250 ")
    assert client.ask("RCPT TO:<bob@elsewhere.example>").startswith("250 ")


@pytest.mark.parametrize("name", ALL)
def test_the_wrong_password(session, name):
    client = session(Knows())
    for user, password in [
        (USER, "wrong"),
        (USER, PASSWORD + " "),
        ("mallory", PASSWORD),
        (USER.upper(), PASSWORD),
    ]:
        assert log_in(client, name, user, password) == "535 5.7.8 Authentication failed"
    client.ask("MAIL FROM:<alice@example.com>")
    assert client.ask("RCPT TO:<bob@elsewhere.example>").startswith("550 ")


def test_empty_names_and_passwords_never_pass(session):
    class Trusting(Base):
        def check_password(self, connection, user, password):
            return True

    client = session(Trusting())
    for user, password in [("", "x"), ("x", ""), ("", "")]:
        assert log_in(client, "PLAIN", user, password).startswith("535 ")
        assert log_in(client, "LOGIN", user, password).startswith("535 ")


def test_only_true_is_true(session):
    class Sloppy(Base):
        def check_password(self, connection, user, password):
            return "no such user"

    assert log_in(session(Sloppy())).startswith("535 ")


@pytest.mark.parametrize("backend", [Knows, Keys])
def test_scram_with_the_response_after_the_command(session, backend):
    client = session(backend())
    assert scram(client, USER, PASSWORD, initial=False).startswith("235 ")


def test_scram_gives_unknown_users_a_salt_that_stays(session):
    client = session(Knows())

    def salt(user):
        reply = client.ask(f"AUTH SCRAM-SHA-256 {b64(f'n,,n={user},r=nonce')}")
        client.ask("*")
        return re.search("s=([^,]*)", unb64(reply.removeprefix("334 ")))[1]

    assert salt("nobody") == salt("nobody") != salt("nobody else")
    assert salt(USER) == salt(USER) and len(salt(USER)) == len(salt("nobody"))


@pytest.mark.parametrize(
    ("response", "reply"),
    [
        ("", "501 5.5.2"),
        ("n,,n=u", "501 5.5.2"),
        ("n,a=other,n=u,r=x", "501 5.5.2"),
        ("n,,n=u,r=" + "x" * 400, "501 5.5.2"),
        ("p=tls-server-end-point,,n=u,r=x", "501 5.5.2"),
    ],
    ids=["empty", "no nonce", "on behalf of another", "endless nonce", "binding without TLS"],
)
def test_scram_that_is_malformed(session, response, reply):
    client = session(Knows())
    client.ask("AUTH SCRAM-SHA-256")
    assert client.ask(b64(response)).startswith(reply)
    assert log_in(client, "SCRAM-SHA-256").startswith("235 ")


def test_login_with_the_user_in_the_command(session):
    client = session(Checks())
    assert client.ask(f"AUTH LOGIN {b64(USER)}") == "334 UGFzc3dvcmQ6"
    assert client.ask(b64(PASSWORD)).startswith("235 ")


def test_plain_after_an_empty_challenge(session):
    client = session(Checks())
    assert client.ask("AUTH PLAIN") == "334 "
    assert client.ask(sasl.plain(USER, PASSWORD)).startswith("235 ")


def test_what_is_known_afterwards():
    runner, lines = runner_of(Checks())
    connection = connection_from()
    connection.hello.verb, connection.esmtp = "EHLO", True
    runner.run("unrecognized_command", connection, "AUTH", "PLAIN " + sasl.plain(USER, "wrong"))
    assert (connection.relaying, connection.authenticated) == (False, False)
    assert connection.notes.auth_fails == 1 and connection.errors == 1
    runner.run("unrecognized_command", connection, "AUTH", "PLAIN " + sasl.plain(USER, PASSWORD))
    assert (connection.relaying, connection.authenticated) == (True, True)
    assert (connection.notes.auth_user, connection.notes.auth_method) == (USER, "PLAIN")
    assert connection.results.get("relay") == {"pass": ["checks"]}
    assert connection.results.get("auth") == {
        "fail": ["checks/PLAIN"],
        "pass": ["checks"],
        "method": "PLAIN",
        "user": USER,
    }
    assert connection.notes.authentication_results == [
        f"auth=fail (plain) smtp.auth={USER}",
        "auth=pass (plain)",
    ]
    assert not any(PASSWORD in line or "wrong" in line for line in lines)


def test_a_strange_name_makes_no_field_of_its_own():
    runner, _ = runner_of(Checks())
    connection = connection_from()
    connection.hello.verb, connection.esmtp = "EHLO", True
    response = sasl.plain('x"; dkim=pass\r\nX-Evil: 1', "p")
    runner.run("unrecognized_command", connection, "AUTH", f"PLAIN {response}")
    assert connection.notes.authentication_results == ['auth=fail (plain) smtp.auth="x; dkim=passX-Evil: 1"']


def test_the_trace_field_says_so(session):
    local = Local()
    client = session(Checks(), local)
    log_in(client)
    client.inbound.service.hooks.chains["queue_outbound"] = client.inbound.service.hooks.chains["queue"]
    client.ask(f"MAIL FROM:<{USER}>")
    client.ask("RCPT TO:<b@example.com>")
    client.ask("DATA")
    assert client.ask("Subject: x\r\n\r\nx\r\n.").startswith("250 ")
    received = re.sub(rb"\r\n\t", b" ", local.mails[0][2].split(b"\r\nSubject:")[0])
    assert b" with ESMTPA id " in received and b" (authenticated bits=0); " in received


# ---- out of order


def test_a_second_auth_is_refused(session):
    client = session(Checks())
    log_in(client)
    assert log_in(client) == "503 5.5.1 Already authenticated"


def test_auth_before_ehlo_and_after_helo(session):
    inbound = session(Checks()).inbound
    client = Client(inbound.port)
    assert client.ask("AUTH PLAIN").startswith("503 5.5.1 Use EHLO")
    client.ask("HELO client.test")
    assert client.ask("AUTH PLAIN").startswith("503 5.5.1 Use EHLO")
    client.close()


def test_auth_inside_a_transaction(session):
    client = session(Checks())
    client.ask("MAIL FROM:<a@example.org>")
    assert log_in(client).startswith("503 5.5.1 AUTH not permitted")
    client.ask("RCPT TO:<b@example.com>")
    assert log_in(client).startswith("503 ")
    client.ask("RSET")
    assert log_in(client).startswith("235 ")


def test_the_parameter_of_mail_is_accepted(session):
    client = session(Checks())
    log_in(client)
    assert client.ask("MAIL FROM:<a@example.org> AUTH=<>").startswith("250 ")


# ---- syntax


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (["AUTH"], "501 5.5.4"),
        (["AUTH PLAIN a b"], "501 5.5.4"),
        (["AUTH XOAUTH2 dA=="], "504 5.5.4 Unrecognized authentication type"),
        (["AUTH SCRAM-SHA-256-PLUS"], "504 5.5.4"),
        (["AUTH PLAIN *"], "501 5.7.0"),
        (["AUTH PLAIN", "*"], "501 5.7.0 Authentication cancelled"),
        (["AUTH LOGIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", "dA==", "*"], "501 5.7.0"),
        (["AUTH CRAM-MD5", "*"], "501 5.7.0"),
        (["AUTH CRAM-MD5 dA=="], "501 5.5.4"),
        (["AUTH PLAIN !!!"], "501 5.5.2 That is not base64"),
        (["AUTH PLAIN", "!!!"], "501 5.5.2"),
        (["AUTH PLAIN", b"\xff\xfe"], "501 5.5.2"),
        (["AUTH PLAIN ="], "501 5.5.2"),
        (["AUTH PLAIN", ""], "501 5.5.2"),
        (["AUTH LOGIN", "", ""], "535 5.7.8"),
        (["AUTH LOGIN", "QUIT", "dA=="], "535 5.7.8"),
    ],
)
def test_what_is_wrong_is_told_and_the_session_goes_on(session, lines, reply):
    client = session(Knows())
    *before, last = lines
    assert [client.ask(line)[:3] for line in before] == ["334"] * len(before)
    assert client.ask(last).startswith(reply)
    assert client.ask("NOOP").startswith("250 ")
    assert log_in(client).startswith("235 ")


def test_a_line_that_is_too_long_ends_the_session(session):
    client = session(Knows())
    client.ask("AUTH PLAIN")
    assert client.ask(b"A" * 20000).startswith("500 5.5.6")
    assert client.read() == ""


def test_a_long_line_is_no_trouble(session):
    client = session(Checks())
    client.ask("AUTH PLAIN")
    assert client.ask(sasl.plain(USER, "x" * 8000)).startswith("535 ")


def test_a_bare_newline_ends_the_session(session):
    client = session(Knows())
    client.ask("AUTH PLAIN")
    client.send(b"AAA=\n")
    assert client.read().startswith("500 5.5.2") and client.read() == ""


def test_a_client_that_leaves_in_the_middle_is_no_fault_of_ours(session):
    client = session(Knows())
    client.ask("AUTH PLAIN")
    client.close()
    other = client.inbound.client()
    other.ask("EHLO x")
    assert log_in(other).startswith("235 ")
    other.close()
    assert not any("CRIT" in line for line in client.inbound.lines)


# ---- delays, failures, threads


def test_the_delay_grows_and_is_bounded(monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)

    class Slow(Checks):
        first_delay, longest_delay = 1.0, 20.0

    plugin = Slow()
    plugin.timeout = 16.0
    runner, _ = runner_of(plugin)
    connection = connection_from()
    connection.hello.verb, connection.esmtp = "EHLO", True
    for _ in range(7):
        runner.run("unrecognized_command", connection, "AUTH", "PLAIN " + sasl.plain(USER, "wrong"))
    assert slept[:4] == [1, 2, 4, 8]
    assert all(14 < seconds <= 15 for seconds in slept[4:])


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-256"])
def test_a_backend_that_fails_is_a_temporary_failure(session, name):
    class Broken(Knows):
        def password_of(self, connection, user):
            raise ConnectionError("no database")

    client = session(Broken())
    reply = log_in(client) if name == "PLAIN" else client.ask(f"AUTH SCRAM-SHA-256 {b64('n,,n=u,r=nonce')}")
    assert reply == "454 4.7.0 Temporary authentication failure"
    assert any("[CRIT]" in line and "no database" in line for line in client.inbound.lines)
    assert client.ask("NOOP").startswith("250 ")


def test_a_backend_that_hangs_is_a_temporary_failure(session):
    class Hangs(Checks):
        timeout = 0.2

        def check_password(self, connection, user, password):
            time.sleep(10)
            return True

    client = session(Hangs())
    assert log_in(client).startswith("454 4.7.0")
    assert log_in(client).startswith("454 4.7.0")


def test_a_client_that_says_nothing_is_hung_up_on(session):
    class Impatient(Checks):
        timeout = 4.0

    client = session(Impatient())
    client.ask("AUTH PLAIN")
    assert client.read().startswith("421 ") and client.read() == ""


def test_slow_hashes_hold_up_nobody_else(session):
    threads = []
    ended = []

    def hash_for_long(user):
        threads.append(threading.get_ident())
        end = time.perf_counter() + 1
        while time.perf_counter() < end:
            pass
        ended.append(True)
        return True

    class Slow(Base):
        def check_password(self, connection, user, password):
            return self.offload(hash_for_long, user)

    client = session(Slow())
    other = client.inbound.client()
    client.send(f"AUTH PLAIN {sasl.plain(USER, PASSWORD)}\r\n".encode())
    time.sleep(0.05)
    assert other.ask("NOOP").startswith("250 ")
    assert threads and not ended
    assert client.read().startswith("235 ") and threads[0] != threading.get_ident()
    other.close()


def test_offload_raises_what_the_function_raises(capfd):
    with pytest.raises(KeyError, match="nobody"):
        Checks().offload({}.__getitem__, "nobody")
    assert Checks().offload(pow, 2, 5) == 32
    assert "Traceback" not in capfd.readouterr().err


# ---- the log


def test_no_password_reaches_the_log(session):
    client = session(Knows(), log_level=PROTOCOL)
    secrets = [sasl.plain(USER, "wrong"), sasl.plain(USER, PASSWORD), b64(USER), b64("wrong")]
    client.ask(f"AUTH PLAIN {secrets[0]}")
    client.ask(f"auth  plain {secrets[0]}")
    log_in(client, "LOGIN", USER, "wrong")
    client.ask(f"AUTH LOGIN {secrets[2]}")
    client.ask(secrets[3])
    client.ask(f"AUTH PLAIN {secrets[0]} junk")
    client.ask("AUTH PLAIN")
    client.ask(secrets[1])
    client.ask("NOOP")
    text = "\n".join(client.inbound.lines)
    assert (
        "C: AUTH PLAIN ***" in text and "C: auth plain ***" in text and "C: ***" in text and "C: NOOP" in text
    )
    assert not [secret for secret in [*secrets, PASSWORD, "wrong"] if secret in text]


def test_an_answer_that_comes_too_late_is_not_logged_either(session):
    class Late(Checks):
        timeout = 0.2  # shorter than a client gets at least

    client = session(Late(), log_level=PROTOCOL)
    client.ask("AUTH PLAIN")
    client.read()
    secret = sasl.plain(USER, PASSWORD)
    client.ask(secret)
    assert not any(secret in line for line in client.inbound.lines)


def test_log_lines_name_who_and_how(session):
    client = session(Checks())
    log_in(client, password="wrong")
    log_in(client)
    text = "\n".join(client.inbound.lines)
    assert re.search(
        rf"\[NOTICE\].*\[checks\] authentication failed .*user={USER} method=PLAIN ip=127\.0\.0\.1", text
    )
    assert re.search(rf"\[NOTICE\].*\[checks\] authenticated .*user={USER} method=PLAIN", text)


# ---- the sender


@pytest.mark.parametrize(
    ("user", "sender", "refusal"),
    [
        ("a@example.com", "b@example.com", None),
        ("a@example.com", "b@mail.example.com", None),
        ("a@mail.example.co.uk", "b@example.co.uk", None),
        ("a@Example.COM", "b@example.com", None),
        ("a@bücher.example", "b@xn--bcher-kva.example", None),
        (
            "a@example.com",
            "b@example.org",
            "Envelope domain 'example.org' doesn't match AUTH domain 'example.com'",
        ),
        ("a@one.co.uk", "b@two.co.uk", "Envelope domain 'two.co.uk' doesn't match AUTH domain 'one.co.uk'"),
        ("a@one", "b@two", "Envelope domain 'two' doesn't match AUTH domain 'one'"),
        ("alice", "b@example.org", None),
        ("a@example.com", "<>", None),
    ],
)
def test_constrain_sender(user, sender, refusal):
    connection = with_mail(connection_from(), sender)
    connection.results.add("auth", {"pass": "checks", "user": user})
    answer = Checks().constrain_sender(connection, connection.transaction.mail_from, {})
    assert (answer[1] if answer else None) == refusal


def test_constrain_sender_leaves_others_alone():
    connection = with_mail(connection_from(), "b@example.org")
    connection.results.add("auth", {"fail": "checks/PLAIN"})
    assert Checks().constrain_sender(connection, connection.transaction.mail_from, {}) is None


# ---- real clients


@pytest.mark.parametrize("name", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_smtplib(session, name):
    class Only(Knows):
        def methods(self, connection):
            return [name]

        def password_of(self, connection, user):
            return "0123" if user == USER else None

    port = session(Only()).inbound.port
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        assert client.login(USER, "0123")[0] == 235
    with (
        smtplib.SMTP("127.0.0.1", port, timeout=10) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login(USER, "123")


@pytest.mark.parametrize("name", ["PLAIN", "LOGIN", "CRAM-MD5"])
@pytest.mark.parametrize("password", ["0123", "123"])
def test_swaks(session, name, password):
    class Numbers(Knows):
        def password_of(self, connection, user):
            return "0123" if user == USER else None

    port = session(Numbers()).inbound.port
    command = [program("swaks", "swaks"), "--server", f"127.0.0.1:{port}", "--helo", "client.test"]
    command += ["--from", USER, "--to", "b@elsewhere.example", "--quit-after", "RCPT"]
    command += ["--auth", name, "--auth-user", USER, "--auth-password", password]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) is (password == "0123"), done.stdout + done.stderr
