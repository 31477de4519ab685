"""auth/flat_file: users in a file, hashed in several ways, met by real clients."""

from __future__ import annotations

import base64
import smtplib
import time

import argon2
import bcrypt
import passlib.hash
import pytest
from scramp import ScramClient, ScramMechanism

from mta.plugin import DENY, Address, PluginError
from mta.plugin.verdict import CONT
from mta.smtp import sasl
from tests.support.install import Install, eventually
from tests.support.plugins import config_of, connection_from, loaded, logger_and_lines, plugins_of, with_mail
from tests.support.service import Inbound, Local

PASSWORD = "correct horse"


def scram_form(password):
    salt, stored, server, count = ScramMechanism("SCRAM-SHA-256").make_auth_info(password)
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${count}:{parts[0]}${parts[1]}:{parts[2]}"


STORED = {
    "argon2": argon2.PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD),
    "bcrypt": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "sha512": passlib.hash.sha512_crypt.using(rounds=1000).hash(PASSWORD),
    "sha256": passlib.hash.sha256_crypt.using(rounds=1000).hash(PASSWORD),
    "scram": scram_form(PASSWORD),
    "plain": PASSWORD,
}
STORED["dovecot"] = "{SHA512-CRYPT}" + STORED["sha512"]
STORED["marked"] = "{PLAIN}" + PASSWORD


def ini(users, core=""):
    return f"[core]\n{core}\n[users]\n" + "".join(f"{user}={stored}\n" for user, stored in users.items())


def greeted(ip="192.168.1.9", tls=False):
    connection = connection_from(ip)
    connection.hello.verb, connection.hello.host, connection.esmtp = "EHLO", "client.test", True
    connection.remote.is_private = ip.startswith(("192.168.", "127."))
    connection.remote.is_local = ip.startswith("127.")
    connection.tls.enabled = tls
    return connection


def offer(tmp_path, users, core="", **client):
    runner, _ = loaded("auth/flat_file", tmp_path, {"auth_flat_file.ini": ini(users, core)})
    connection = greeted(**client)
    runner.run("capabilities", connection)
    return connection.capabilities


def attempt(runner, user, password, connection=None):
    connection = connection or greeted()
    verdict = runner.run("unrecognized_command", connection, "AUTH", "PLAIN " + sasl.plain(user, password))
    return verdict.message.code


@pytest.fixture(autouse=True)
def no_delay(monkeypatch):
    from mta.plugin import AuthPlugin

    monkeypatch.setattr(AuthPlugin, "first_delay", 0.0)


# ---- what is offered, and to whom


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        (["plain"], "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"),
        (["scram"], "PLAIN LOGIN SCRAM-SHA-256"),
        (["argon2"], "PLAIN LOGIN"),
        (["bcrypt", "sha512", "dovecot"], "PLAIN LOGIN"),
        (["argon2", "plain"], "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"),
    ],
)
def test_what_passwords_allow_is_offered(tmp_path, users, expected):
    assert offer(tmp_path, {user: STORED[user] for user in users}) == [f"AUTH {expected}"]


@pytest.mark.parametrize(
    ("core", "expected"),
    [
        ("methods=CRAM-MD5", ["AUTH CRAM-MD5"]),
        ("methods=plain, login", ["AUTH PLAIN LOGIN"]),
        ("methods=LOGIN,PLAIN", ["AUTH LOGIN PLAIN"]),
        ("methods=", []),
        ("methods=SCRAM-SHA-256-PLUS", []),
    ],
)
def test_methods(tmp_path, core, expected):
    assert offer(tmp_path, {"plain": PASSWORD}, core) == expected


def test_without_users_nothing_is_offered(tmp_path):
    assert offer(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("without_tls", "ip", "tls", "offered"),
    [
        ("private", "203.0.113.7", False, False),
        ("private", "203.0.113.7", True, True),
        ("private", "192.168.1.9", False, True),
        ("private", "127.0.0.1", False, True),
        ("local", "192.168.1.9", False, False),
        ("local", "127.0.0.1", False, True),
        ("never", "127.0.0.1", False, False),
        ("never", "127.0.0.1", True, True),
    ],
)
def test_who_is_offered_auth(tmp_path, without_tls, ip, tls, offered):
    runner, _ = loaded(
        "auth/flat_file",
        tmp_path,
        {"auth_flat_file.ini": ini({"plain": PASSWORD}, f"without_tls={without_tls}")},
    )
    connection = greeted(ip, tls)
    runner.run("capabilities", connection)
    assert bool(connection.capabilities) is offered
    assert attempt(runner, "plain", PASSWORD, greeted(ip, tls)) == (235 if offered else 538)


# ---- passwords


@pytest.mark.parametrize("form", STORED)
def test_each_form_of_a_stored_password(tmp_path, form):
    runner, lines = loaded("auth/flat_file", tmp_path, {"auth_flat_file.ini": ini({form: STORED[form]})})
    assert attempt(runner, form, PASSWORD) == 235
    for wrong in ("Correct horse", "correct horse ", STORED[form], "x" * 100):
        assert attempt(runner, form, wrong) == (235 if wrong == PASSWORD else 535)
    assert attempt(runner, "somebody", PASSWORD) == 535
    assert not any(PASSWORD in line for line in lines)


@pytest.mark.parametrize(
    "password", ["0123", "1e3", "true", "10.50", "p=q;r#s", "gr\u00fc\u00dfe", "'quoted'"]
)
def test_a_password_stays_the_text_it_is(tmp_path, password):
    runner, _ = loaded(
        "auth/flat_file", tmp_path, {"auth_flat_file.ini": ini({"matt@example.com": password})}
    )
    assert attempt(runner, "matt@example.com", password) == 235
    assert attempt(runner, "matt@example.com", password[1:]) == 535


def test_bcrypt_hashes_what_fits(tmp_path):
    stored = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    runner, _ = loaded("auth/flat_file", tmp_path, {"auth_flat_file.ini": ini({"long": stored})})
    assert attempt(runner, "long", "x" * 100) == 235
    assert attempt(runner, "long", "x" * 71) == 535


@pytest.mark.parametrize(
    "stored",
    [
        "{SSHA}dGVzdA==",
        "$1$salt$hash",
        "$2b$04$tooshort",
        "$argon2id$broken",
        "SCRAM-SHA-256$10:x$y:z",
        "{PLAIN}",
        "{BLF-CRYPT}x",
    ],
)
def test_a_hash_of_no_use_is_named_and_shown_to_nobody(tmp_path, stored):
    problems = []
    config = config_of(tmp_path, {"auth_flat_file.ini": ini({"matt": stored})}, problems)
    from mta.plugin import AuthFlatFileSettings

    assert config.settings(AuthFlatFileSettings).users == {}
    [problem] = problems
    assert "auth_flat_file.ini:4" in problem and "[users] matt" in problem and stored not in problem


def test_a_hash_whose_library_is_missing_keeps_the_server_from_starting(tmp_path, monkeypatch):
    from mta.plugin import passwords

    monkeypatch.setattr(passwords, "find_spec", lambda module: None)
    logger, _ = logger_and_lines()
    with pytest.raises(PluginError, match="pip install argon2-cffi bcrypt"):
        plugins_of(
            tmp_path,
            ["auth/flat_file"],
            {"auth_flat_file.ini": ini({"a": STORED["argon2"], "b": STORED["bcrypt"], "c": "plain"})},
            logger,
        )


def test_plain_text_is_warned_about_once_with_its_place(tmp_path):
    users = {"hashed": STORED["argon2"], "first": "secret one", "second": "secret two"}
    _, lines = loaded("auth/flat_file", tmp_path, {"auth_flat_file.ini": ini(users)})
    [warning] = [line for line in lines if "[WARN]" in line]
    assert "auth_flat_file.ini:5 and 1 more: password in plain text" in warning and "secret" not in warning


def test_hashes_alone_are_no_reason_to_warn(tmp_path):
    _, lines = loaded("auth/flat_file", tmp_path, {"auth_flat_file.ini": ini({"a": STORED["scram"]})})
    assert not [line for line in lines if "[WARN]" in line or "[NOTICE]" in line]


def test_unknown_users_take_as_long_as_others(tmp_path):
    slow = argon2.PasswordHasher(time_cost=4, memory_cost=32768, parallelism=1).hash(PASSWORD)
    runner, _ = loaded("auth/flat_file", tmp_path, {"auth_flat_file.ini": ini({"matt": slow})})

    def seconds(user):
        started = time.process_time()  # of the processor, whatever else the machine does
        assert attempt(runner, user, "wrong") == 535
        return time.process_time() - started

    seconds("matt")
    known, unknown = min(seconds("matt") for _ in range(3)), min(seconds("nobody") for _ in range(3))
    assert known > 0.01 and unknown > known / 2


# ---- the file changes


def test_a_change_of_the_file_is_followed(tmp_path):
    install = Install(tmp_path)
    install.write("auth_flat_file.ini", ini({"matt": "one"}))
    logger, _ = logger_and_lines()
    from mta.plugin.loader import load_plugins
    from mta.plugin.runner import HookRunner
    from tests.support.plugins import StandInServer

    runner = HookRunner(load_plugins(["auth/flat_file"], install.config, logger, StandInServer(), []), logger)
    install.config.watch()
    try:
        assert attempt(runner, "matt", "one") == 235
        install.write("auth_flat_file.ini", ini({"matt": STORED["bcrypt"]}))
        assert eventually(lambda: attempt(runner, "matt", PASSWORD) == 235)
        assert attempt(runner, "matt", "one") == 535
    finally:
        install.config.close()


# ---- the sender


@pytest.mark.parametrize(
    ("core", "sender", "refused"),
    [
        ("", "matt@example.com", False),
        ("", "matt@sub.example.com", False),
        ("", "matt@example.org", True),
        ("constrain_sender=true", "matt@example.org", True),
        ("constrain_sender=false", "matt@example.org", False),
    ],
)
def test_constrain_sender(tmp_path, core, sender, refused):
    runner, _ = loaded(
        "auth/flat_file", tmp_path, {"auth_flat_file.ini": ini({"matt@example.com": "pw"}, core)}
    )
    connection = greeted()
    assert attempt(runner, "matt@example.com", "pw", connection) == 235
    verdict = runner.run("mail", with_mail(connection, sender), Address.parse(sender), {})
    assert verdict.code is (DENY if refused else CONT)
    if refused:
        assert verdict.message == "Envelope domain 'example.org' doesn't match AUTH domain 'example.com'"


# ---- real sessions


@pytest.fixture
def inbound(tmp_path):
    logger, _ = logger_and_lines()
    users = {"matt@example.com": "0123", **{f"{form}@example.com": STORED[form] for form in STORED}}
    plugins = plugins_of(tmp_path, ["auth/flat_file"], {"auth_flat_file.ini": ini(users)}, logger)
    with Inbound([*plugins, Local()]) as running:
        yield running


@pytest.mark.parametrize("form", ["argon2", "bcrypt", "sha512", "scram", "plain"])
def test_smtplib_sends_mail(inbound, form):
    with smtplib.SMTP("127.0.0.1", inbound.port, timeout=10) as client:
        # A hash is no good for CRAM-MD5, which smtplib would try first and be made to wait for.
        client.ehlo_or_helo_if_needed()
        client.esmtp_features["auth"] = "PLAIN"
        assert client.login(f"{form}@example.com", PASSWORD)[0] == 235
        assert client.sendmail(f"{form}@example.com", ["bob@elsewhere.example"], "Subject: x\n\nx\n") == {}
        with pytest.raises(smtplib.SMTPSenderRefused, match="doesn't match AUTH domain"):
            client.sendmail("matt@example.org", ["bob@elsewhere.example"], "Subject: x\n\nx\n")


def test_smtplib_falls_back_from_what_a_hash_cannot_do(inbound):
    with smtplib.SMTP("127.0.0.1", inbound.port, timeout=10) as client:
        assert client.login("argon2@example.com", PASSWORD)[0] == 235


@pytest.mark.parametrize(("user", "password"), [("scram", PASSWORD), ("matt", "0123"), ("plain", PASSWORD)])
def test_scram(inbound, user, password):
    def exchange(password):
        client = inbound.client()
        client.ask("EHLO client.test")
        them = ScramClient(["SCRAM-SHA-256"], f"{user}@example.com", password)
        first = client.ask(
            "AUTH SCRAM-SHA-256 " + base64.b64encode(them.get_client_first().encode()).decode()
        )
        them.set_server_first(base64.b64decode(first[4:]).decode())
        last = client.ask(base64.b64encode(them.get_client_final().encode()).decode())
        if last.startswith("334"):
            them.set_server_final(base64.b64decode(last[4:]).decode())
            last = client.ask("")
        client.close()
        return last

    assert exchange(password).startswith("235 ")
    assert exchange(password + "4").startswith("535 ")


@pytest.mark.parametrize("user", ["nobody", "argon2@example.com"])
def test_scram_shows_nobody_who_exists(inbound, user):
    client = inbound.client()
    client.ask("EHLO client.test")
    for _ in range(2):
        them = ScramClient(["SCRAM-SHA-256"], user, PASSWORD)
        first = client.ask(
            "AUTH SCRAM-SHA-256 " + base64.b64encode(them.get_client_first().encode()).decode()
        )
        them.set_server_first(base64.b64decode(first[4:]).decode())
        assert client.ask(base64.b64encode(them.get_client_final().encode()).decode()).startswith("535 ")
    client.close()
