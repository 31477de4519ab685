"""haproxy in front: every form of the PROXY protocol that it speaks, and its health checks; swaks for XCLIENT and PROXY."""

from __future__ import annotations

import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.support import needs, server
from tests.support.ports import free_port
from tests.support.server import Server, eventually
from tests.support.sink import RecordingSink

MESSAGE = b"From: <a@example.org>\r\nTo: <b@example.com>\r\nSubject: behind a load balancer\r\n\r\nbody\r\n"
FRIEND, STRANGER = "127.0.0.5", "127.0.0.6"  # clients; the load balancer itself is 127.0.0.1
TROUBLE = ("[WARN]", "[ERROR]", "[CRIT]", "[ALERT]", "[EMERG]")

NOTES_PLUGIN = """
from mta.plugin import Plugin


class Noted(Plugin):
    def hook_connect(self, connection):
        tlvs = dict(connection.notes.get("proxy", {}).get("tlvs", ()))
        self.lognotice("tlvs " + " ".join(f"{kind:#04x}" for kind in tlvs), connection)
"""


class HaProxy:
    """One haproxy with a frontend for each of `ways`: (options of bind, options of server), all but smtps to one port."""

    def __init__(
        self, directory: Path, backend: int, ways: dict[str, tuple[str, str]], tls_port: int = 0
    ) -> None:
        program = needs.program("haproxy", "haproxy")
        self.ports = {name: free_port() for name in ways}
        self.control = directory / "control"
        config = directory / "haproxy.cfg"
        config.write_text(self._config(backend, ways, tls_port))
        self._log = (directory / "haproxy.log").open("wb")
        command = [program, "-W", "-db", "-f", str(config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)

    def _config(self, backend: int, ways: dict[str, tuple[str, str]], tls_port: int) -> str:
        lines = [
            "global",
            f"  stats socket {self.control} mode 600",
            "  maxconn 200",
            "defaults",
            "  mode tcp",
        ]
        lines += ["  timeout connect 5s", "  timeout client 30s", "  timeout server 30s"]
        for name, (bind, options) in ways.items():
            host = "[::1]" if name.endswith("_6") else "127.0.0.1"
            lines += [
                f"listen {name}",
                f"  bind {host}:{self.ports[name]} {bind}",
                "  unique-id-format uid-%rt",
            ]
            lines += ["  option smtpchk EHLO check.test"] if name == "smtpchk" else []
            lines += [f"  server mta 127.0.0.1:{tls_port if name == 'smtps' else backend} {options}"]
        return "\n".join(lines) + "\n"

    def status(self, name: str) -> dict[str, str]:
        """What haproxy thinks of the server behind one frontend."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.control))
            sock.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        header, *rows = answer.removeprefix("# ").strip().split("\n")
        stats = [dict(zip(header.split(","), row.split(","), strict=False)) for row in rows]
        return next(row for row in stats if (row["pxname"], row["svname"]) == (name, "mta"))

    def ready(self) -> bool:
        try:
            return all(self.status(name)["status"] in ("UP", "no check") for name in self.ports)
        except OSError:
            return False

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()


CHECK = "check inter 150ms fall 1 rise 1"
WAYS = {
    "v1": ("", "send-proxy"),
    "v1_6": ("", "send-proxy"),
    "v2": ("", "send-proxy-v2"),
    "v2_6": ("", "send-proxy-v2"),
    "v2_crc": ("", "send-proxy-v2 proxy-v2-options crc32c,unique-id"),
    "v2_tls": (
        "ssl crt {pem}",
        "send-proxy-v2-ssl-cn proxy-v2-options crc32c,ssl,cert-cn,ssl-cipher,authority",
    ),
    "smtps": ("", "send-proxy-v2"),
}


@contextmanager
def load_balancer(
    directory: Path, backend: int, ways: dict[str, tuple[str, str]], tls_port: int = 0
) -> Iterator[HaProxy]:
    haproxy = HaProxy(directory, backend, ways, tls_port)
    try:
        assert eventually(haproxy.ready), (directory / "haproxy.log").read_text()
        yield haproxy
    finally:
        haproxy.stop()


CONFIG = {
    "connection.ini": "[haproxy]\nhosts[]=127.0.0.1\n",
    "plugins": "noted\nrelay\n",
    "relay_acl_allow": f"{FRIEND}\n::1\n",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    authority = trustme.CA()
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
    return authority, pem


class Behind(Server):
    """This server, whose start cannot be told by a banner: nobody but the load balancer may come in."""

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as sock:
                sock.sendall(b"PROXY UNKNOWN\r\n")
                return sock.recv(512).startswith(b"220")
        except OSError:
            return False


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[trustme.CA, Path]
) -> Iterator[tuple[HaProxy, Behind, RecordingSink]]:
    directory = tmp_path_factory.mktemp("site")
    ways = {name: (bind.format(pem=certificate[1]), options) for name, (bind, options) in WAYS.items()}
    with RecordingSink() as sink:
        tls_port, pem = free_port(), certificate[1].read_text()
        files = {
            **server.RELAY_CONFIG,
            "outbound.ini": server.outbound_ini(sink.port),
            **CONFIG,
            "smtp.ini": f"listen=127.0.0.1:{{port}},127.0.0.1:{tls_port}\nsmtps_port={tls_port}\n",
            "tls_key.pem": pem,
            "tls_cert.pem": pem[pem.index("-----BEGIN CERTIFICATE") :],
        }
        with (
            Behind(directory / "mta", files, {"noted.py": NOTES_PLUGIN}) as mta,
            load_balancer(directory, mta.port, ways, tls_port) as haproxy,
        ):
            yield haproxy, mta, sink
        assert "Traceback" not in mta.log


def client_of(haproxy: HaProxy, way: str, source: str, authority: trustme.CA) -> smtplib.SMTP:
    host = "::1" if way.endswith("_6") else "127.0.0.1"
    where = {"host": host, "port": haproxy.ports[way], "local_hostname": "client.test", "timeout": 20}
    bind = None if way.endswith("_6") else (source, 0)
    if way not in ("v2_tls", "smtps"):
        return smtplib.SMTP(**where, source_address=bind)
    context = ssl.create_default_context()
    context.check_hostname = False
    authority.configure_trust(context)
    return smtplib.SMTP_SSL(**where, source_address=bind, context=context)


def logs(mta: Server, text: str) -> bool:
    """Log lines are written a moment later."""
    return eventually(lambda: text in mta.log)


@pytest.mark.parametrize("way", WAYS)
def test_the_server_sees_the_client(
    site: tuple[HaProxy, Behind, RecordingSink], certificate: tuple[trustme.CA, Path], way: str
) -> None:
    haproxy, mta, sink = site
    address = "::1" if way.endswith("_6") else FRIEND
    before = len(sink.messages)
    with client_of(haproxy, way, FRIEND, certificate[0]) as client:
        _, hello = client.ehlo()
        assert f"[{address}]".encode() in hello
        assert client.sendmail("a@example.org", ["b@example.com"], MESSAGE) == {}
        port = client.sock.getsockname()[1]
    received = sink.wait_for(before + 1)[-1].data
    assert f"localhost [{address}])".encode() in received  # in the Received field, with the name from its PTR
    assert logs(mta, f"src_ip={address} src_port={port} ")
    assert logs(mta, f"dst_port={haproxy.ports[way]} proxy_ip=127.0.0.1")


def test_rights_are_those_of_the_client(
    site: tuple[HaProxy, Behind, RecordingSink], certificate: tuple[trustme.CA, Path]
) -> None:
    haproxy, _, _ = site
    with client_of(haproxy, "v2", STRANGER, certificate[0]) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@example.org", ["b@example.com"], MESSAGE)
        assert client.docmd("PROXY", "TCP4 127.0.0.5 127.0.0.1 1 25")[0] == 421


def test_tlvs_arrive(
    site: tuple[HaProxy, Behind, RecordingSink], certificate: tuple[trustme.CA, Path]
) -> None:
    haproxy, mta, _ = site
    for way, kinds in (("v2_crc", {"0x03", "0x05"}), ("v2_tls", {"0x03", "0x20"})):
        with client_of(haproxy, way, FRIEND, certificate[0]) as client:
            client.noop()
        assert eventually(lambda kinds=kinds: kinds in tlv_lines(mta)), tlv_lines(mta)


def tlv_lines(mta: Server) -> list[set[str]]:
    return [set(line.partition("tlvs ")[2].split()) for line in mta.log.splitlines() if "tlvs " in line]


def test_the_port_is_closed_to_whoever_is_no_load_balancer(
    site: tuple[HaProxy, Behind, RecordingSink],
) -> None:
    _, mta, _ = site
    with smtplib.SMTP("127.0.0.1", mta.port, timeout=20, source_address=(STRANGER, 0)) as client:
        assert client.docmd("PROXY", "TCP4 127.0.0.5 127.0.0.1 1 25") == (
            421,
            f"4.7.0 PROXY not allowed from {STRANGER}".encode(),
        )


CHECKS = {
    "v1": ("", f"send-proxy {CHECK}"),
    "v2": ("", f"send-proxy-v2 {CHECK}"),
    "v2_crc": ("", f"send-proxy-v2 proxy-v2-options crc32c {CHECK}"),
    "no_header": ("", f"send-proxy {CHECK} port {{port}}"),
    "smtpchk": ("", f"send-proxy-v2 {CHECK}"),
}


def test_health_checks_pass_and_are_no_errors(tmp_path: Path) -> None:
    files = {**server.RELAY_CONFIG, **CONFIG}
    with Behind(tmp_path / "mta", files, {"noted.py": NOTES_PLUGIN}) as mta:
        ways = {name: (bind, options.format(port=mta.port)) for name, (bind, options) in CHECKS.items()}
        with load_balancer(tmp_path, mta.port, ways) as haproxy:
            time.sleep(1.5)
            for way in ways:
                status = haproxy.status(way)
                assert (status["status"], status["chkfail"]) == ("UP", "0"), status
                result = status["check_status"].removeprefix("* ")  # another check is under way
                assert result == ("L7OK" if way == "smtpchk" else "L4OK"), status
        assert mta.stop() == 0
        assert mta.log.count("disconnect ") > 20
        assert "proto=LOCAL" in mta.log
        assert [line for line in mta.log.splitlines() if line.startswith(TROUBLE)] == []


# ---- swaks speaks both PROXY and XCLIENT


def swaks(port: int, *options: str) -> str:
    program = needs.program("swaks", "swaks")
    envelope = ["--helo", "client.test", "--from", "a@example.org", "--to", "b@example.com"]
    command = [program, "--server", "127.0.0.1", "--port", str(port), *envelope, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PROXY = (
    "--proxy-source",
    FRIEND,
    "--proxy-source-port",
    "40001",
    "--proxy-dest",
    "10.1.2.3",
    "--proxy-dest-port",
    "25",
)


@pytest.mark.parametrize("version", [("1", "TCP4"), ("2", "AF_INET")])
def test_swaks_as_a_load_balancer(
    site: tuple[HaProxy, Behind, RecordingSink], version: tuple[str, str]
) -> None:
    _, mta, _ = site
    said = swaks(mta.port, "--proxy-version", version[0], "--proxy-family", version[1], *PROXY)
    assert f"Hello localhost [{FRIEND}]" in said


def test_swaks_says_xclient(tmp_path: Path) -> None:
    config = {"plugins": "xclient\nrelay\nlocal\n"}
    accept = (
        "from mta.plugin import OK, Plugin\n\n\nclass Local(Plugin):\n"
        "    def hook_rcpt(self, connection, rcpt, params):\n        return OK\n\n"
        "    def hook_queue(self, connection):\n        return OK\n"
    )
    with (
        RecordingSink() as sink,
        server.relay(tmp_path, sink.port, config, plugins={"local.py": accept}) as mta,
    ):
        attributes = ("--xclient-addr", "203.0.113.5", "--xclient-name", "mail.example.com")
        rest = ("--xclient-port", "40001", "--xclient-proto", "ESMTP", "--xclient-login", "bob smith")
        said = swaks(
            mta.port, *attributes, *rest, "--xclient-destaddr", "10.1.2.3", "--xclient-destport", "25"
        )
        assert "LOGIN=bob+20smith" in said
        assert "Hello mail.example.com [203.0.113.5]" in said
        assert logs(mta, 'login="bob smith"')
