"""logging/syslog: sockets of every kind, a real rsyslogd, and servers that do not answer."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading

import pytest

from mta.logger import DATA, ERROR, INFO, NOTICE
from mta.plugin import PluginError
from tests.support.install import eventually
from tests.support.logged import Logged
from tests.support.ports import free_port
from tests.support.rsyslog import Rsyslog
from tests.support.tls import Authority

STAMP = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def syslog(tmp_path, ini, level=INFO):
    return Logged(tmp_path, ["logging/syslog"], {"syslog.ini": f"[general]\n{ini}"}, level=level)


@pytest.fixture
def local(tmp_path):
    """A datagram socket such as /dev/log, and its path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "log"))
        sock.settimeout(10)
        yield sock, tmp_path / "log"


@pytest.fixture
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock, sock.getsockname()[1]


class Stream:
    """Accepts connections, one after the other, and keeps what they sent."""

    def __init__(self, family=socket.AF_INET, address=("127.0.0.1", 0), context=None):
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen()
        self.context = context
        self.data = b""
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
                if self.context is not None:
                    sock = self.context.wrap_socket(sock, server_side=True)
            except OSError:
                if self.listener.fileno() < 0:
                    return
                continue
            self.connections.append(sock)
            threading.Thread(target=self.read, args=(sock,), daemon=True).start()

    def read(self, sock):
        try:
            while data := sock.recv(65536):
                self.data += data
        except OSError:
            return

    def close(self):
        self.listener.close()
        for sock in self.connections:
            sock.close()

    @property
    def messages(self):
        """What came, by octet counts."""
        rest, found = self.data, []
        while rest:
            count, _, rest = rest.partition(b" ")
            found.append(rest[: int(count)].decode())
            rest = rest[int(count) :]
        return found


# ---- the local socket


def test_a_line_in_the_form_of_the_c_library(tmp_path, local):
    sock, path = local
    with syslog(tmp_path, f"server={path}\n") as logged:
        logged.logger.notice("hello", {"k": "v"}, origin="x", uuid="U.1")
        message = sock.recv(9999).decode()
    assert re.fullmatch(rf"<21>{STAMP} haraka\[{os.getpid()}\]: \[U\.1\] \[x\] hello k=v", message)


@pytest.mark.parametrize(
    ("level", "severity"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 7), (9, 7)],
)
def test_levels_become_severities(tmp_path, local, level, severity):
    sock, path = local
    with syslog(tmp_path, f"server=unix:{path}\nloglevel=data\nfacility=LOG_LOCAL3\n") as logged:
        logged.logger.log(level, "m")
        assert sock.recv(9999).startswith(b"<%d>" % (19 * 8 + severity))


def test_name_pid_and_one_severity_for_all(tmp_path, local):
    sock, path = local
    ini = f"server={path}\nname=my mail\npid=false\npriority=error\nfacility=daemon\n"
    with syslog(tmp_path, ini) as logged:
        logged.logger.info("m")
        assert re.fullmatch(rf"<27>{STAMP} my_mail: \[-\] \[core\] m", sock.recv(9999).decode())


def test_a_level_of_its_own_and_instead_of_standard_output(tmp_path, local):
    sock, path = local
    with syslog(tmp_path, f"server={path}\nloglevel=data\nalways_ok=true\n", level=ERROR) as logged:
        assert logged.logger.level == DATA
        logged.logger.data("d")
        logged.logger.error("e")
        assert sock.recv(9999).endswith(b" d") and sock.recv(9999).endswith(b" e")
    assert logged.lines == []


def test_a_stream_socket_at_that_path(tmp_path):
    stream = Stream(socket.AF_UNIX, str(tmp_path / "log"))
    with syslog(tmp_path, f"server={tmp_path / 'log'}\n") as logged:
        logged.logger.info("one")
        logged.logger.info("two")
        assert eventually(lambda: stream.data.count(b"\n") == 2)
    stream.close()
    assert [line.split()[-1] for line in stream.data.decode().splitlines()] == ["one", "two"]


def test_long_lines_are_cut_between_characters(tmp_path, local):
    sock, path = local
    with syslog(tmp_path, f"server={path}\nmax_size=480\n") as logged:
        logged.logger.info("ü" * 5000)
        message = sock.recv(9999)
    assert 478 <= len(message) <= 480 and message.decode().endswith("ü")


@pytest.mark.parametrize("evil", ["a\n<0>b", "a\r\nb", "\x00", "\x1b[2J"])
def test_a_message_stays_one_message(tmp_path, local, evil):
    sock, path = local
    with syslog(tmp_path, f"server={path}\n") as logged:
        logged.logger.info("m", {"helo": evil})
        message = sock.recv(9999)
    assert not re.search(rb"[\x00-\x1f]", message)


# ---- UDP, TCP and TLS


def test_udp_in_the_form_of_rfc_5424(tmp_path, udp):
    sock, port = udp
    with syslog(tmp_path, f"server=udp://127.0.0.1:{port}\n") as logged:
        logged.logger.notice("hello", {"k": "v"}, origin='x"]\\', uuid="U.1")
        message = sock.recv(9999).decode()
    head = rf"<21>1 {ISO} {re.escape(socket.gethostname())} haraka {os.getpid()} - "
    data = r'\[haraka@32473 level="NOTICE" uuid="U\.1" source="x\\"\\]\\\\"\] '
    assert re.match(head + data, message) and message.endswith("hello k=v")


def test_tcp_counts_octets(tmp_path):
    stream = Stream()
    with syslog(tmp_path, f"server=tcp://127.0.0.1:{stream.port}\n") as logged:
        for text in ("eins", "zwei ü", "drei"):
            logged.logger.info(text)
    assert eventually(lambda: len(stream.messages) == 3)
    assert [message.split("] ")[-1] for message in stream.messages] == ["eins", "zwei ü", "drei"]
    assert len(stream.connections) == 1
    stream.close()


def test_tcp_with_line_ends(tmp_path):
    stream = Stream()
    with syslog(tmp_path, f"server=tcp://localhost:{stream.port}\nframing=newline\n") as logged:
        logged.logger.info("eins")
        logged.logger.info("zwei")
    assert eventually(lambda: stream.data.count(b"\n") == 2)
    assert stream.data.startswith(b"<22>1 ")
    stream.close()


def test_a_server_that_comes_back_gets_what_waited(tmp_path):
    stream = Stream()
    port = stream.port
    with syslog(tmp_path, f"server=tcp://127.0.0.1:{port}\n") as logged:
        logged.logger.info("one")
        assert eventually(lambda: b"one" in stream.data)
        stream.close()
        assert eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0)
        for number in range(5):
            logged.logger.info(f"waits {number}")
        assert eventually(lambda: any("lines wait" in line for line in logged.lines))
        again = Stream(address=("127.0.0.1", port))
        assert eventually(lambda: len(again.messages) == 5, 20)
    assert [message[-7:] for message in again.messages] == [f"waits {number}" for number in range(5)]
    assert sum("lines wait" in line for line in logged.lines) == 1
    again.close()


def test_a_server_that_is_not_there_holds_up_no_session_and_costs_no_more_than_the_queue(tmp_path):
    port = free_port()
    with syslog(tmp_path, f"server=tcp://127.0.0.1:{port}\nmax_waiting=10\n") as logged:
        assert logged.session("bob@example.com")[-1].startswith("250 ")
        for _ in range(100):
            logged.logger.info("m")
        sender = logged.plugin("logging/syslog").sender
        assert sender.dropped >= 90
        dropped = sender.dropped
        stream = Stream(address=("127.0.0.1", port))
        assert eventually(lambda: any("were dropped" in line for line in logged.lines), 20)
    assert any(f"{dropped} log lines were dropped" in line for line in logged.lines)
    stream.close()


def test_a_server_that_reads_nothing_holds_up_no_session(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with syslog(tmp_path, f"server=tcp://127.0.0.1:{port}\nmax_waiting=50\n") as logged:
            for _ in range(3000):
                logged.logger.info("x" * 8000)
            assert logged.session("bob@example.com")[-1].startswith("250 ")
            assert logged.plugin("logging/syslog").sender.dropped > 2000


def test_lines_from_threads_arrive(tmp_path, udp):
    sock, port = udp
    with syslog(tmp_path, f"server=udp://127.0.0.1:{port}\n") as logged:
        logged.logger.info("first")
        assert sock.recv(9999).endswith(b"first")
        from mta.plugin.offload import Threads

        Threads().run(logged.logger.info, "in a thread")
        assert sock.recv(9999).endswith(b"in a thread")


@pytest.fixture
def authority(tmp_path):
    authority = Authority()
    authority.root.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    key, cert = authority.pair("localhost")
    (tmp_path / "server.key").write_bytes(key)
    (tmp_path / "server.pem").write_bytes(cert)
    return authority


def tls_stream(tmp_path, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return Stream(context=context)


def test_tls(tmp_path, authority):
    stream = tls_stream(tmp_path)
    ini = f"server=tls://localhost:{stream.port}\nca={tmp_path / 'ca.pem'}\nframing=newline\n"
    with syslog(tmp_path, ini) as logged:
        logged.logger.info("eins")
        assert eventually(lambda: len(stream.messages) == 1)
    assert stream.messages[0].endswith("eins") and stream.messages[0].startswith("<22>1 ")
    stream.close()


def test_tls_with_a_certificate_of_ours(tmp_path, authority):
    stream = tls_stream(tmp_path, tmp_path / "ca.pem")
    authority.client().private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    ini = f"server=tls://localhost:{stream.port}\nca={tmp_path / 'ca.pem'}\ncert={tmp_path / 'client.pem'}\n"
    with syslog(tmp_path, ini) as logged:
        logged.logger.info("eins")
        assert eventually(lambda: len(stream.messages) == 1)
    stream.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_that_is_not_who_it_should_be_gets_nothing(tmp_path, authority, host):
    stream = tls_stream(tmp_path)
    ca = tmp_path / "ca.pem" if host == "127.0.0.1" else tmp_path / "other.pem"
    Authority().root.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with syslog(tmp_path, f"server=tls://{host}:{stream.port}\nca={ca}\n") as logged:
        logged.logger.info("eins")
        assert eventually(lambda: any("certificate" in line.lower() for line in logged.lines))
    assert stream.data == b""
    stream.close()


def test_authorities_that_can_not_be_read_keep_the_server_from_starting(tmp_path):
    with pytest.raises(PluginError, match=r"syslog\.ini: cannot read ca"):
        syslog(tmp_path, "server=tls://localhost\nca=nothing.pem\n")


@pytest.mark.parametrize("server", ["localhost", "http://x", "udp://", "tcp://x:y"])
def test_a_server_that_makes_no_sense_is_refused(tmp_path, server):
    from mta.plugin import SyslogSettings
    from tests.support.plugins import config_of

    problems: list[str] = []
    config_of(tmp_path, {"syslog.ini": f"[general]\nserver={server}\n"}, problems).settings(SyslogSettings)
    assert len(problems) == 1 and "syslog.ini:2" in problems[0] and "tls://host:6514" in problems[0]


def test_sighup_connects_anew(tmp_path):
    stream = Stream()
    with syslog(tmp_path, f"server=tcp://127.0.0.1:{stream.port}\n") as logged:
        logged.logger.info("one")
        assert eventually(lambda: len(stream.messages) == 1)
        assert logged.plugin("logging/syslog").server.reopen() == []
        logged.logger.info("two")
        assert eventually(lambda: len(stream.messages) == 2)
    assert len(stream.connections) == 2
    stream.close()


# ---- a real server


def said(message):
    return message["msg"].strip().split("] ")[-1]


@pytest.mark.parametrize("kind", ["unix", "udp", "tcp", "newline"])
def test_rsyslog_understands_us(tmp_path, kind):
    with Rsyslog(tmp_path / "rsyslog") as rsyslog:
        server = {
            "unix": str(rsyslog.path),
            "udp": f"udp://127.0.0.1:{rsyslog.udp}",
        }.get(kind, f"tcp://127.0.0.1:{rsyslog.tcp}")
        framing = "newline" if kind == "newline" else "octet-counting"
        with syslog(tmp_path, f"server={server}\nframing={framing}\n", level=NOTICE) as logged:
            logged.logger.warn("hello", {"helo": "a\nb"}, uuid="U.1")
            logged.logger.notice("ü", origin="x")
            assert rsyslog.has(2)
        first, second = rsyslog.messages
    assert (first["program"], first["pid"]) == ("haraka", str(os.getpid()))
    assert (first["facility"], first["severity"], second["severity"]) == ("mail", "4", "5")
    assert said(first) == r'hello helo="a\nb"' and said(second) == "ü"
    if kind != "unix":
        assert 'uuid="U.1"' in first["data"] and first["host"] == socket.gethostname()


def test_rsyslog_understands_us_over_tls(tmp_path, authority):
    paths = [tmp_path / name for name in ("ca.pem", "server.pem", "server.key")]
    with Rsyslog(tmp_path / "rsyslog", *paths) as rsyslog:
        ini = f"server=tls://localhost:{rsyslog.tcp}\nca={paths[0]}\n"
        with syslog(tmp_path, ini) as logged:
            for number in range(100):
                logged.logger.info(f"m{number}")
            assert rsyslog.has(100)
        assert [said(message) for message in rsyslog.messages] == [f"m{number}" for number in range(100)]


def test_a_whole_session_in_rsyslog(tmp_path):
    with Rsyslog(tmp_path / "rsyslog") as rsyslog, syslog(tmp_path, f"server={rsyslog.path}\n") as logged:
        logged.session("bob@example.com")
        assert logged.idle()
        assert rsyslog.has(len(logged.lines))
        texts = [line.split("] ", 1)[1] for line in logged.lines]
        assert [message["msg"].strip() for message in rsyslog.messages] == texts
