"""A name server on a loopback port, UDP and TCP, that answers from a dictionary and misbehaves where told to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

# Instead of records, for one type of a name or for the whole name.
NXDOMAIN = "NXDOMAIN"
SERVFAIL = "SERVFAIL"
REFUSED = "REFUSED"
TIMEOUT = "TIMEOUT"  # no answer at all
GARBAGE = "GARBAGE"  # an answer that is no DNS message
TRUNCATED = "TRUNCATED"  # prefix of records: over UDP the answer is cut, `[TRUNCATED, "10 mx.test."]`

Records = Sequence[str] | str
Zone = Mapping[str, Mapping[str, Records] | str]


class DnsServer:
    """Listens from construction to close(); a context manager.

    zone: name without final dot -> type -> records in zone file syntax, or one of the words above; a name that is missing
    does not exist, a type that is missing gives an empty answer. CNAMEs are followed. Change the zone at any time.
        DnsServer({"a.test": {"MX": ["10 mx.a.test."]}, "mx.a.test": {"A": ["127.0.0.2"]}, "b.test": SERVFAIL})
    queries: every question that came, as (name, type), in lower and upper case.
    """

    host = "127.0.0.1"

    def __init__(self, zone: Zone, ttl: int = 300) -> None:
        self.zone = dict(zone)
        self.ttl = ttl
        self.queries: list[tuple[str, str]] = []
        self._udp, self._tcp = _sockets(self.host)
        self.port: int = self._udp.getsockname()[1]
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        for sock in (self._udp, self._tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def __enter__(self) -> DnsServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def count(self, name: str, kind: str) -> int:
        """How often a question came."""
        return self.queries.count((name, kind))

    def _serve_udp(self) -> None:
        while True:
            try:
                wire, client = self._udp.recvfrom(4096)
                answer = self._answer(wire, udp=True)
                if answer:
                    self._udp.sendto(answer, client)
            except OSError:
                return

    def _serve_tcp(self) -> None:
        while True:
            try:
                sock, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(sock,), daemon=True).start()

    def _serve_stream(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            while length := stream.read(2):
                answer = self._answer(stream.read(struct.unpack("!H", length)[0]), udp=False)
                if answer is None:
                    return
                sock.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The reply, None when there shall be none."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, kind))
        response = dns.message.make_response(query, recursion_available=True)
        verdict = self._fill(response, name, kind)
        if verdict == TIMEOUT:
            return None
        if verdict == GARBAGE:
            return b"this is no DNS message"
        if verdict == TRUNCATED and udp:
            response.answer.clear()
            response.flags |= dns.flags.TC
        elif verdict in (NXDOMAIN, SERVFAIL, REFUSED):
            response.set_rcode(dns.rcode.from_text(verdict))
        return response.to_wire(max_size=65535)

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> str:
        """Add the records, following CNAMEs; returns the word of the zone that applies, or ""."""
        entry = self.zone.get(name, NXDOMAIN)
        if isinstance(entry, str):
            return entry
        used = "CNAME" if "CNAME" in entry and kind != "CNAME" else kind
        records = entry.get(used, [])
        if isinstance(records, str):
            return records
        texts = [text for text in records if text != TRUNCATED]
        if texts:
            response.answer.append(dns.rrset.from_text_list(f"{name}.", self.ttl, "IN", used, texts))
        if used != kind:
            return self._fill(response, texts[0].rstrip(".").lower(), kind)
        return TRUNCATED if TRUNCATED in records else ""


def _sockets(host: str) -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket on the same free port."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((host, 0))
        try:
            return udp, socket.create_server((host, udp.getsockname()[1]))
        except OSError:
            udp.close()
