"""A zone that knot signs and a resolver, unbound, that validates it: both on loopback ports of their own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import dns.exception
import dns.message
import dns.query

from tests.support.needs import program

HOST = "127.0.0.1"
_SOA = "@ 60 SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ 60 NS ns.test.\n"
# RFC 4034 5.1: no key of ours has this digest, so nothing below it can be validated.
_FALSE_DS = "DS 12345 13 2 " + "ab" * 32


class SignedDns:
    """Serves from construction to close().

    records: lines of the zone `test.`, which is signed. insecure, bogus: names of zones inside it, with their lines; the
    first are not signed, and may not be; the others should be signed, and are not. port: the resolver's.
    """

    def __init__(
        self,
        directory: Path,
        records: str,
        *,
        insecure: Mapping[str, str] | None = None,
        bogus: Mapping[str, str] | None = None,
    ) -> None:
        knotd, unbound = program("knotd", "knot"), program("unbound", "unbound")
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        below = {**(insecure or {}), **(bogus or {})}
        delegations = "".join(f"{zone}. 60 NS ns.test.\n" for zone in below)
        delegations += "".join(f"{zone}. 60 {_FALSE_DS}\n" for zone in bogus or {})
        self._zone_file("test", f"ns.test. 60 A {HOST}\n{delegations}{records}")
        for zone, lines in below.items():
            self._zone_file(zone, lines)
        self._authority = free_port()
        self.port = free_port()
        self._knot_conf(below)
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self._start([knotd, "-c", str(directory / "knot.conf")])
            anchor = self._anchor()
            self._unbound_conf(anchor, below)
            self._start([unbound, "-d", "-c", str(directory / "unbound.conf")])
            _answered(self.port, "ns.test.")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End both servers."""
        for process in self._processes:
            process.kill()
            process.wait()

    def __enter__(self) -> SignedDns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, command: list[str]) -> None:
        with open(self._directory / "log", "ab") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _zone_file(self, zone: str, lines: str) -> None:
        (self._directory / f"{zone}.zone").write_text(f"$ORIGIN {zone}.\n$TTL 60\n{_SOA}{lines}")

    def _knot_conf(self, below: Mapping[str, str]) -> None:
        unsigned = "".join(f"  - domain: {zone}\n" for zone in below)
        (self._directory / "knot.conf").write_text(
            f"""server:
  listen: {HOST}@{self._authority}
  rundir: {self._directory}
database:
  storage: {self._directory}
policy:
  - id: test
    algorithm: ecdsap256sha256
    single-type-signing: on
template:
  - id: default
    storage: {self._directory}
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
  - domain: test
    dnssec-signing: on
    dnssec-policy: test
{unsigned}"""
        )

    def _anchor(self) -> str:
        """The key that the zone is signed with, once it is."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            query = dns.message.make_query("test.", "DNSKEY", want_dnssec=True)
            try:
                answer = dns.query.tcp(query, HOST, port=self._authority, timeout=1)
            except (OSError, EOFError, dns.exception.DNSException):
                answer = None
            keys = [text for rrset in answer.answer if rrset.rdtype == 48 for text in rrset] if answer else []
            if keys:
                return f"test. DNSKEY {keys[0].to_text()}"
            time.sleep(0.02)
        raise TimeoutError((self._directory / "log").read_text(errors="replace"))

    def _unbound_conf(self, anchor: str, below: Mapping[str, str]) -> None:
        stubs = "".join(
            f'stub-zone:\n  name: "{zone}."\n  stub-addr: {HOST}@{self._authority}\n'
            for zone in ("test", *below)
        )
        (self._directory / "unbound.conf").write_text(
            f"""server:
  interface: {HOST}
  port: {self.port}
  username: ""
  chroot: ""
  directory: "{self._directory}"
  pidfile: "{self._directory}/unbound.pid"
  use-syslog: no
  num-threads: 1
  do-not-query-localhost: no
  module-config: "validator iterator"
  local-zone: "test." nodefault
  trust-anchor: "{anchor}"
remote-control:
  control-enable: no
{stubs}"""
        )


def free_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind((HOST, 0))
            try:
                tcp.bind((HOST, udp.getsockname()[1]))
            except OSError:
                continue
            return int(udp.getsockname()[1])


def _answered(port: int, name: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            dns.query.udp(dns.message.make_query(name, "A"), HOST, port=port, timeout=0.5)
            return
        except (OSError, dns.exception.DNSException):
            time.sleep(0.02)
    raise TimeoutError(f"the resolver on port {port} does not answer")
