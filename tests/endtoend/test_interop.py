"""Clients that people really use, against the server itself: in clear and over TLS, with and without logging in."""

from __future__ import annotations

import itertools
import smtplib
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.conftest import check_end
from tests.support import nodemailer
from tests.support.exim import Exim
from tests.support.needs import program
from tests.support.ports import free_port
from tests.support.postfix import Postfix
from tests.support.server import Server, outbound_ini
from tests.support.sink import Received, RecordingSink
from tests.support.tls import Authority

USER, PASSWORD = "anna@client.test", "a secret w0rd"
SENDER, LOCAL, FAR = "anna@client.test", "bob@example.com", "carl@far.test"
TLS_MODES = ("none", "starttls", "implicit")
HOST = "localhost"

AUTH = """[core]
methods=PLAIN,LOGIN,CRAM-MD5,SCRAM-SHA-256
[users]
%s={PLAIN}%s
"""


class Site:
    """A server that takes mail for example.com, and anything from who logs in; all of it arrives at `sink`."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self.sink = stack.enter_context(RecordingSink())
        self.smtps = free_port()
        authority = Authority()
        key, chain = authority.pair(HOST, "127.0.0.1")
        self.ca = directory / "ca.pem"
        directory.mkdir(parents=True)
        self.ca.write_bytes(authority.root.cert_pem.bytes())
        self.server = Server(
            directory / "server",
            {
                "smtp.ini": f"listen=127.0.0.1:{{port}},127.0.0.1:{self.smtps}\nsmtps_port={self.smtps}\n",
                "me": "mx.example.test\n",
                "log.ini": "[main]\nlevel=info\n",
                "plugins": "tls\nauth/flat_file\nrcpt_to.in_host_list\nqueue/smtp_forward\n",
                "host_list": "example.com\n",
                "smtp_forward.ini": f"[main]\nhost=127.0.0.1\nport={self.sink.port}\n",
                "outbound.ini": outbound_ini(self.sink.port),
                "auth_flat_file.ini": AUTH % (USER, PASSWORD),
                "tls_key.pem": key,
                "tls_cert.pem": chain,
            },
        )
        stack.callback(self.server.kill)
        self.server.start()
        self.seen = 0

    def port(self, tls: str) -> int:
        return self.smtps if tls == "implicit" else self.server.port

    def next(self) -> Received:
        """Wait for one more message."""
        self.seen += 1
        return self.sink.wait_for(self.seen)[self.seen - 1]

    def arrived(self, tls: str, auth: str = "") -> Received:
        """The next message that arrived, whose Received field must tell how it came."""
        got = self.next()
        protocol = "ESMTP" + ("S" if tls != "none" else "") + ("A" if auth else "")
        assert b"with %s id " % protocol.encode() in got.data, got.data
        assert (b"(authenticated bits=0)" in got.data) == bool(auth), got.data
        assert (b"\r\n\ttls " in got.data) == (tls != "none"), got.data
        assert got.mail_from == SENDER
        assert got.rcpts == (FAR if auth else LOCAL,)
        assert b"\r\nhow it came: " in got.data
        return got


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        made = Site(stack, tmp_path_factory.mktemp("site") / "site")
        yield made
        assert len(made.sink.messages) == made.seen, "more arrived than was sent"
        check_end(made.server)


def run(command: Sequence[str], text: str = "", *, status: int = 0) -> str:
    """Run a client to its end; what it printed. Raises AssertionError for another exit status."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=40)
    assert done.returncode == status, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def content(tls: str, auth: str = "") -> str:
    return f"From: <{SENDER}>\nTo: <{LOCAL}>\nSubject: interop\n\nhow it came: {tls} {auth}\n.\n..two dots\n"


# ---- swaks

SWAKS_TLS: dict[str, list[str]] = {"none": [], "starttls": ["-tls"], "implicit": ["-tlsc"]}
SWAKS_AUTH = ("", "PLAIN", "LOGIN", "CRAM-MD5")


def swaks(site: Site, tls: str, *more: str, status: int = 0) -> str:
    command = [
        program("swaks", "swaks"),
        "--server",
        HOST,
        "--port",
        str(site.port(tls)),
        "--helo",
        "client.test",
    ]
    verify = [] if tls == "none" else ["--tls-verify", "--tls-ca-path", str(site.ca), "--tls-sni", HOST]
    return run([*command, *SWAKS_TLS[tls], *verify, "--from", SENDER, *more], status=status)


def swaks_login(method: str, password: str = PASSWORD) -> list[str]:
    return ["--auth", method, "--auth-user", USER, "--auth-password", password]


@pytest.mark.parametrize(("tls", "auth"), list(itertools.product(TLS_MODES, SWAKS_AUTH)))
def test_swaks(site: Site, tls: str, auth: str, tmp_path: Path) -> None:
    (tmp_path / "message").write_text(content(tls, auth))
    login = swaks_login(auth) if auth else []
    swaks(site, tls, "--to", FAR if auth else LOCAL, "--data", f"@{tmp_path / 'message'}", *login)
    site.arrived(tls, auth)


@pytest.mark.parametrize(
    "option", ["--tls-optional", "--tls-optional-strict", "--tls-protocol=tlsv1_2", "--tls-protocol=tlsv1_3"]
)
def test_swaks_other_tls_options(site: Site, option: str) -> None:
    words = [option] if "=" not in option else ["-tls", *option.split("=")]
    said = swaks(site, "none", "--to", LOCAL, "--body", "how it came: \\n", *words)
    assert "TLS started with cipher" in said
    site.arrived("starttls")


def test_swaks_pipelines(site: Site) -> None:
    swaks(site, "none", "--to", LOCAL, "--body", "how it came: \\n", "--pipeline")
    site.arrived("none")


def test_swaks_is_refused(site: Site) -> None:
    assert "550 5.7.1 I cannot deliver mail" in swaks(site, "none", "--to", FAR, status=24)
    assert "535 5.7.8" in swaks(site, "starttls", "--to", FAR, *swaks_login("PLAIN", "wrong"), status=28)


# ---- Python


def smtp_lib(site: Site, tls: str) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=str(site.ca))
    if tls == "implicit":
        return smtplib.SMTP_SSL(HOST, site.smtps, "client.test", context=context, timeout=30)
    client = smtplib.SMTP(HOST, site.server.port, "client.test", timeout=30)
    if tls == "starttls":
        client.starttls(context=context)
    return client


@pytest.mark.parametrize(
    ("tls", "auth"), list(itertools.product(TLS_MODES, ["", "plain", "login", "cram_md5"]))
)
def test_smtplib(site: Site, tls: str, auth: str) -> None:
    with smtp_lib(site, tls) as client:
        if auth:
            client.ehlo()
            client.user, client.password = USER, PASSWORD
            code, _ = client.auth(auth.upper().replace("_", "-"), getattr(client, f"auth_{auth}"))
            assert code == 235
        assert client.sendmail(SENDER, [FAR if auth else LOCAL], content(tls, auth)) == {}
    site.arrived(tls, auth)


def test_smtplib_utf8_and_eight_bits(site: Site) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, "jürgen@example.com", "grüße"
    message.set_content("how it came: über 8 bit\n", cte="8bit")
    with smtp_lib(site, "starttls") as client:
        assert client.send_message(message, SENDER, ["jürgen@example.com"]) == {}
    got = site.next()
    assert got.rcpts == ("jürgen@example.com",)
    assert "SMTPUTF8" in got.mail_params
    assert "Subject: grüße\r\n".encode() in got.data
    assert "über 8 bit".encode() in got.data


# ---- nodemailer


def transport(site: Site, tls: str, auth: str = "", **more: Any) -> dict[str, Any]:
    found = {"host": HOST, "port": site.port(tls), "secure": tls == "implicit", "name": "client.test", **more}
    found |= (
        {"ignoreTLS": True} if tls == "none" else {"requireTLS": True, "tls": {"ca": site.ca.read_text()}}
    )
    return found | ({"auth": {"user": USER, "pass": PASSWORD}, "authMethod": auth} if auth else {})


@pytest.mark.parametrize(
    ("tls", "auth"), list(itertools.product(TLS_MODES, ["", "PLAIN", "LOGIN", "CRAM-MD5"]))
)
def test_nodemailer(site: Site, tls: str, auth: str) -> None:
    rcpt = FAR if auth else LOCAL
    message = {"from": SENDER, "to": rcpt, "subject": "interop", "text": f"first\nhow it came: {tls}\n.\n"}
    [result] = nodemailer.send(transport(site, tls, auth), message)
    assert result["accepted"] == [rcpt], result
    site.arrived(tls, auth)


def test_nodemailer_sends_many_over_one_pool(site: Site) -> None:
    attachment = {"filename": "ü.bin", "content": "x" * 200_000}
    messages = [
        {
            "from": SENDER,
            "to": LOCAL,
            "subject": f"pool {n}",
            "text": "\nhow it came: \n",
            "attachments": [attachment],
        }
        for n in range(8)
    ]
    results = nodemailer.send(transport(site, "starttls", pool=True, maxConnections=2), *messages)
    assert [result["accepted"] for result in results] == [[LOCAL]] * 8
    assert all(site.next().rcpts == (LOCAL,) for _ in results)


def test_nodemailer_hears_why_it_is_refused(site: Site) -> None:
    order = transport(site, "starttls", "PLAIN") | {"auth": {"user": USER, "pass": "wrong"}}
    [result] = nodemailer.send(order, {"from": SENDER, "to": FAR, "text": "x"})
    assert result["error"] == "EAUTH"
    assert "535 5.7.8" in result["response"]
    results = nodemailer.send(
        transport(site, "none"), {"from": SENDER, "to": [LOCAL, FAR], "text": "\nhow it came: \n"}
    )
    assert (results[0]["accepted"], results[0]["rejected"]) == ([LOCAL], [FAR])
    site.arrived("none")


# ---- msmtp

MSMTP_TLS = {"none": ["--tls=off"], "starttls": ["--tls=on"], "implicit": ["--tls=on", "--tls-starttls=off"]}


@pytest.mark.parametrize(
    ("tls", "auth"), list(itertools.product(TLS_MODES, ["", "plain", "login", "cram-md5", "scram-sha-256"]))
)
def test_msmtp(site: Site, tls: str, auth: str, tmp_path: Path) -> None:
    command = [
        program("msmtp", "msmtp"),
        f"--file={tmp_path / 'rc'}",
        f"--host={HOST}",
        f"--port={site.port(tls)}",
    ]
    command += ["--domain=client.test", f"--from={SENDER}", f"--tls-trust-file={site.ca}", *MSMTP_TLS[tls]]
    (tmp_path / "rc").write_text("")
    (tmp_path / "rc").chmod(0o600)
    if auth:
        command += [f"--auth={auth}", f"--user={USER}", f"--passwordeval=echo '{PASSWORD}'"]
    run([*command, FAR if auth else LOCAL], content(tls, auth))
    site.arrived(tls, auth)


# ---- Postfix


@pytest.mark.parametrize(
    ("chunking", "tls"),
    [
        (True, "none"),
        (False, "encrypt"),
        pytest.param(True, "encrypt", marks=pytest.mark.slow),
        pytest.param(False, "none", marks=pytest.mark.slow),
    ],
)
def test_postfix_relays_to_us(site: Site, chunking: bool, tls: str) -> None:
    settings = {"smtp_tls_security_level": tls, "smtp_tls_loglevel": "1", "smtp_tls_CAfile": str(site.ca)}
    if not chunking:
        settings["smtp_discard_ehlo_keywords"] = "chunking"
    with Postfix(site.server.port, settings) as postfix:
        with smtplib.SMTP("127.0.0.1", postfix.port, "client.test", timeout=30) as client:
            for number in range(3):
                client.sendmail(SENDER, [LOCAL], content(f"postfix {number}"))
        lines, log = postfix.sent(3), postfix.log
    assert all("dsn=2.0.0" in line and "250 2.0.0" in line for line in lines), lines
    assert ("TLS connection established" in log) == (tls == "encrypt")
    for _ in range(3):
        site.arrived("starttls" if tls == "encrypt" else "none")


# ---- Exim


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_exim_sends_bdat(site: Site, tls: str) -> None:
    body = (
        b"\nhow it came: \n.\n..two dots\n" + "über 8 bit\n".encode() + 4000 * (b"x" * 70 + b"\n") + b"\n.\n"
    )
    message = f"From: <{SENDER}>\nTo: <{LOCAL}>\nSubject: interop\n".encode() + body
    with Exim(HOST, site.server.port, tls=tls == "starttls", ca=site.ca) as exim:
        log = exim.send(SENDER, LOCAL, message)
    [sent] = [line for line in log.splitlines() if f" => {LOCAL} " in line]
    assert " K " in sent  # CHUNKING was used
    assert (" X=TLS1.3:" in sent and " CV=yes " in sent) == (tls == "starttls"), sent
    assert site.arrived(tls).data.endswith(body.replace(b"\n", b"\r\n"))


# ---- openssl


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client(site: Site, tls: str, version: str) -> None:
    command = [
        program("openssl", "openssl"),
        "s_client",
        "-connect",
        f"{HOST}:{site.port(tls)}",
        "-crlf",
        "-quiet",
        version,
    ]
    command += [
        "-servername",
        HOST,
        "-CAfile",
        str(site.ca),
        "-verify_return_error",
        "-verify_hostname",
        HOST,
    ]
    command += ["-starttls", "smtp", "-name", "client.test"] if tls == "starttls" else []
    session = ["EHLO client.test", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{LOCAL}>", "DATA"]
    session += [*content(tls).splitlines()[:-2], ".", "QUIT", ""]
    said = run(command, "\n".join(session))
    assert "250 2.0.0 " in said
    assert "221 2.0.0" in said
    site.arrived(tls)


def test_openssl_is_told_when_a_version_is_too_old(site: Site) -> None:
    command = [
        program("openssl", "openssl"),
        "s_client",
        "-connect",
        f"{HOST}:{site.smtps}",
        "-tls1_1",
        "-cipher",
        "ALL:@SECLEVEL=0",
    ]
    assert "alert protocol version" in run(command, "", status=1)
