"""The listening side: addresses of all kinds, and what becomes of it when the system has nothing left to give."""

import gc
import os
import resource
import socket
import stat
import time

import gevent
import pytest

from mta.inbound.listener import Listener
from mta.net.endpoint import Endpoint
from tests.support.install import eventually
from tests.support.ports import free_port
from tests.support.server import Server
from tests.support.service import Inbound, Local


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


class Conversation:
    """A client of any socket: the banner is read, `ask` sends a line and returns the reply."""

    def __init__(self, family: int, address: object) -> None:
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(5)
        self.sock.connect(address)
        self.banner = self.sock.recv(512).decode()

    def ask(self, *lines: str) -> str:
        reply = ""
        for line in lines:
            self.sock.sendall(line.encode() + b"\r\n")
            reply = self.sock.recv(4096).decode()
        return reply


MAIL = (
    "EHLO client.test",
    "MAIL FROM:<a@example.org>",
    "RCPT TO:<b@example.com>",
    "DATA",
    "Subject: x\r\n\r\nx\r\n.",
)


def test_a_unix_socket_takes_mail(tmp_path) -> None:
    local = Local()
    with Inbound([local]) as inbound:
        path = str(tmp_path / "smtp.sock")
        listener = Listener([Endpoint.parse(f"{path}:620").bind()], inbound.service)
        listener.start()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o620
        client = Conversation(socket.AF_UNIX, path)
        assert client.banner.startswith("220 mx.example.test ESMTP")
        assert client.ask(*MAIL).startswith("250 2.0.0 Message Queued")
        assert client.ask("QUIT").startswith("221")
        assert eventually(lambda: any("disconnect" in line for line in inbound.lines))
        listener.stop()
    assert len(local.mails) == 1
    assert b"Received: from client.test (" in local.mails[0][2]


def test_one_listener_serves_several_addresses(tmp_path) -> None:
    path = str(tmp_path / "smtp.sock")
    with Inbound() as inbound:
        texts = ["127.0.0.1:0", "127.0.0.2:0", path] + (["[::1]:0"] if has_ipv6() else [])
        sockets = [Endpoint.parse(text).bind() for text in texts]
        listener = Listener(sockets, inbound.service)
        listener.start()
        clients = [Conversation(sock.family, sock.getsockname()) for sock in sockets]
        assert [client.ask("NOOP") for client in clients] == ["250 2.0.0 OK\r\n"] * len(texts)
        assert listener.count == len(texts)
        listener.stop()
        assert [client.sock.recv(512)[:9] for client in clients] == [b"421 4.3.2"] * len(texts)
        listener.join(2)
        assert listener.count == 0


@pytest.mark.parametrize(("shared", "fewest"), [(True, 5), (False, 0)])
def test_those_who_share_a_socket_share_the_clients_that_come_together(shared: bool, fewest: int) -> None:
    with Inbound() as inbound:
        sock = Endpoint.parse("127.0.0.1:0").bind()
        again = socket.socket(fileno=os.dup(sock.fileno()))
        both = [Listener([each], inbound.service, shared=shared) for each in (sock, again)]
        clients = [socket.create_connection(sock.getsockname()) for _ in range(10)]
        for listener in both:
            listener.start()
        assert eventually(lambda: sum(listener.count for listener in both) == 10)
        assert min(listener.count for listener in both) == fewest
        for client in clients:
            client.close()
        for listener in both:
            listener.stop()
            listener.join(2)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv4_clients_of_an_ipv6_socket_have_ipv4_addresses() -> None:
    with Inbound() as inbound:
        sock = Endpoint.parse("[::0]:0").bind()
        listener = Listener([sock], inbound.service)
        listener.start()
        port = sock.getsockname()[1]
        assert "[127.0.0.1]" in Conversation(socket.AF_INET, ("127.0.0.1", port)).ask("HELO a")
        assert "[::1]" in Conversation(socket.AF_INET6, ("::1", port)).ask("HELO a")
        assert any("connect ip=127.0.0.1 " in line for line in inbound.lines)
        assert any("connect ip=::1 " in line for line in inbound.lines)
        listener.stop()


def test_without_descriptors_it_waits_and_does_not_spin() -> None:
    with Inbound() as inbound:
        gc.collect()  # descriptors of other tests must not come free in the middle
        waiting = [socket.socket() for _ in range(3)]
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        plugs: list[int] = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
            with pytest.raises(OSError):
                while True:
                    plugs.append(os.open("/dev/null", os.O_RDONLY))
            for sock in waiting:
                sock.connect(("127.0.0.1", inbound.port))
            used = time.process_time()
            gevent.sleep(1.2)
            assert time.process_time() - used < 0.3
            assert inbound.listener.count < len(waiting)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for plug in plugs:
                os.close(plug)
        for sock in waiting:
            sock.settimeout(5)
            assert sock.recv(512).startswith(b"220 ")
        told = [line for line in inbound.lines if "cannot accept connections" in line]
        assert len(told) == 1
        assert "Too many open files" in told[0]


def test_a_listener_that_is_stopped_while_it_waits_stays_stopped() -> None:
    with Inbound() as inbound:
        inbound.listener._accept_failed(OSError(24, "Too many open files"))
        inbound.listener.stop()
        gevent.sleep(0.7)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", inbound.port), timeout=1)


# -- the whole process ------------------------------------------------------------------------------------------------

PUBLIC_IP = """
from mta.plugin import Plugin

class Tell(Plugin):
    def hook_noop(self, connection, argument):
        self.lognotice(f"public address {self.server.public_ip}")
"""


def test_the_server_listens_wherever_it_is_told(tmp_path) -> None:
    path = tmp_path / "in.sock"
    v6 = ", [::1]:{port}" if has_ipv6() else ""
    listen = f"listen=127.0.0.1:{{port}}, 127.0.0.2:{{port}}, {path}:600{v6}\npublic_ip=192.0.2.25\n"
    config = {"smtp.ini": listen, "plugins": "tell\n", "me": "mx.test\n"}
    with Server(tmp_path / "haraka", config, {"tell.py": PUBLIC_IP}) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        places = [(socket.AF_UNIX, str(path)), (socket.AF_INET, ("127.0.0.2", server.port))]
        places += [(socket.AF_INET6, ("::1", server.port))] if v6 else []
        for family, address in places:
            assert Conversation(family, address).ask("NOOP").startswith("250")
        assert eventually(lambda: "public address 192.0.2.25" in server.log)
        assert f"Listening on {path}:600" in server.log
        assert server.stop() == 0
    # The socket file that the server left behind does not keep the next one from starting.
    with Server(tmp_path / "haraka", config, {"tell.py": PUBLIC_IP}, port=server.port):
        assert Conversation(socket.AF_UNIX, str(path)).banner.startswith("220 mx.test")


@pytest.mark.parametrize(
    ("listen", "told"),
    [
        ("127.0.0.1:{taken}", "cannot listen on 127.0.0.1:{taken}: another process listens there already"),
        ("192.0.2.1:2525", "cannot listen on 192.0.2.1:2525: "),
        ("/nowhere/at/all.sock", "cannot listen on /nowhere/at/all.sock: No such file or directory"),
        ("127.0.0.1:99999", "port out of range"),
        ("[mail]:25", "not an address in brackets"),
    ],
)
def test_where_it_cannot_listen_it_says_so_in_one_line(tmp_path, listen: str, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        config = {"smtp.ini": f"listen={listen.replace('{taken}', taken)}\n", "plugins": "\n"}
        status, output = Server(tmp_path, config, port=free_port()).run_to_end()
    assert status == 1
    assert told.replace("{taken}", taken) in output
    assert "Traceback" not in output


def test_few_descriptors_are_told_once(tmp_path) -> None:
    limit = ("/bin/sh", "-c", 'ulimit -n 512; exec "$@"', "sh")
    config = {"smtp.ini": "listen=127.0.0.1:{port}\n", "plugins": "\n"}
    server = Server(tmp_path, config)
    server.command = [*limit, *server.command]
    with server:
        assert eventually(lambda: "only 512 files may be open" in server.log)
        assert server.log.count("files may be open") == 1
