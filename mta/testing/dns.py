"""A DNS in memory: what plugins and the server are told when they look something up."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.resolver
import dns.reversename

from mta.testing.replacing import replaced

NXDOMAIN, SERVFAIL, REFUSED, TIMEOUT = "NXDOMAIN", "SERVFAIL", "REFUSED", "TIMEOUT"
_FAILURES = {
    NXDOMAIN: dns.rcode.NXDOMAIN,
    SERVFAIL: dns.rcode.SERVFAIL,
    REFUSED: dns.rcode.REFUSED,
}
TTL = 300
_FAMILIES = {"A": socket.AF_INET, "AAAA": socket.AF_INET6}
_LOOPBACK = ("localhost", "ip6-localhost")

Records = Iterable[str] | str
Zone = Mapping[str, "Mapping[str, Records] | str"]
NO_ANSWERS: Zone = MappingProxyType({})


class Question(NamedTuple):
    """What somebody asked: a name in lower case without the final dot, and a type such as MX."""

    name: str
    type: str


class FakeDns:
    """Answers dnspython and the functions of the module socket, without a network.

    zone: name -> type -> records in zone file syntax, such as {"a.test": {"MX": "10 mx.a.test.", "TXT": ['"v=spf1 -all"']}}.
    A name may be an address: its PTR records then. Instead of records, or of all types, NXDOMAIN, SERVFAIL, REFUSED or
    TIMEOUT. A name that is missing does not exist. questions: whatever was asked, in order.
    """

    def __init__(self, zone: Zone | None = None) -> None:
        self._zone: dict[str, dict[str, list[str]] | str] = {}
        self.questions: list[Question] = []
        for name, records in (zone or {}).items():
            if isinstance(records, str):
                self.fail(name, records)
            else:
                for kind, values in records.items():
                    self.add(name, kind, values)

    def add(self, name: str, type: str, records: Records) -> None:
        """Add records of one type. TXT needs no quotes, and names no final dot."""
        values = [records] if isinstance(records, str) else list(records)
        known = self._zone.setdefault(_key(name), {})
        if isinstance(known, str):
            known = self._zone[_key(name)] = {}
        known.setdefault(type.upper(), []).extend(_value(type.upper(), value) for value in values)

    def fail(self, name: str, failure: str) -> None:
        """Answer every question about a name with NXDOMAIN, SERVFAIL, REFUSED or, after no time, TIMEOUT."""
        if failure not in (*_FAILURES, TIMEOUT):
            raise ValueError(
                f"not a failure of the DNS: {failure!r}; there are {', '.join(_FAILURES)}, {TIMEOUT}"
            )
        self._zone[_key(name)] = failure

    def remove(self, name: str) -> None:
        """Let a name no longer exist."""
        self._zone.pop(_key(name), None)

    def answer(self, request: dns.message.Message) -> dns.message.Message:
        """The reply to a query. Raises dns.exception.Timeout where the zone says so."""
        response = dns.message.make_response(request)
        response.flags |= dns.flags.RA
        question = request.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append(Question(_key(question.name.to_text()), kind))
        response.set_rcode(self._fill(response, question.name, kind))
        return response

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: str) -> dns.rcode.Rcode:
        """Follow aliases and put records in; what became of the last name."""
        for _ in range(8):
            found = self._zone.get(_key(name.to_text()))
            if found is None:
                return dns.rcode.NXDOMAIN if not self._has_below(name) else dns.rcode.NOERROR
            failure = (
                found
                if isinstance(found, str)
                else next((value for value in found.get(kind, ()) if value in (*_FAILURES, TIMEOUT)), None)
            )
            if failure == TIMEOUT:
                raise dns.exception.Timeout
            if failure is not None or isinstance(found, str):
                return _FAILURES[str(failure)]
            given = kind if kind in found else "CNAME"
            if given not in found:
                return dns.rcode.NOERROR
            records = dns.rdataset.from_text_list("IN", given, TTL, found[given])
            rrset = response.find_rrset(response.answer, name, records.rdclass, records.rdtype, create=True)
            for record in records:
                rrset.add(record, TTL)
            if given == kind:
                return dns.rcode.NOERROR
            name = dns.name.from_text(found["CNAME"][0])
        return dns.rcode.SERVFAIL

    def _has_below(self, name: dns.name.Name) -> bool:
        return any(known.endswith(f".{_key(name.to_text())}") for known in self._zone)

    def addresses(self, host: str) -> list[tuple[socket.AddressFamily, str]]:
        """The addresses of a host as getaddrinfo finds them. Raises socket.gaierror."""
        resolver = _resolver()
        found: list[tuple[socket.AddressFamily, str]] = []
        for kind, family in _FAMILIES.items():
            try:
                answer = resolver.resolve(host, kind, search=False, raise_on_no_answer=False)
            except dns.resolver.NXDOMAIN:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
            except (dns.exception.DNSException, ValueError):
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution") from None
            found += [(family, record.address) for record in answer.rrset or ()]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer everybody in this process as long as the block lasts."""

        def ask(request: dns.message.Message, *args: object, **options: object) -> dns.message.Message:
            return self.answer(request)

        with ExitStack() as stack:
            for transport in ("udp", "tcp"):
                stack.enter_context(replaced(dns.query, transport, ask))
            stack.enter_context(replaced(dns.resolver, "default_resolver", _resolver()))
            stack.enter_context(replaced(dns.resolver.Resolver, "read_resolv_conf", _no_file))
            for name, function in _socket_functions(self, socket.getaddrinfo).items():
                stack.enter_context(replaced(socket, name, function))
            yield


def _no_file(resolver: dns.resolver.Resolver, _path: object) -> None:
    resolver.nameservers = ["192.0.2.53"]


def _resolver() -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["192.0.2.53"]  # RFC 5737: nobody's, and nobody is asked
    return resolver


def _socket_functions(zone: FakeDns, real: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """What the module socket offers for names; numbers and this machine's own name are left to the real one."""

    def getaddrinfo(host: Any, port: Any, family: int = 0, *rest: int, **more: int) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or _is_number(name) or name.lower() in _LOOPBACK:
            return real(host, port, family, *rest, **more)
        return [
            entry
            for kind, address in zone.addresses(name)
            if family in (0, kind)
            for entry in real(address, port, kind, *rest, **more)
        ]

    def gethostbyname(host: str) -> str:
        return str(getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])

    def gethostbyaddr(address: str) -> tuple[str, list[str], list[str]]:
        ip = address if _is_number(address) else gethostbyname(address)
        try:
            names = [str(record.target)[:-1] for record in _resolver().resolve_address(ip)]
        except dns.exception.DNSException:
            raise socket.herror(1, "Unknown host") from None
        return names[0], names[1:], [ip]

    def gethostbyname_ex(host: str) -> tuple[str, list[str], list[str]]:
        entries = getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
        return host, [], [str(entry[4][0]) for entry in entries]

    return {
        "getaddrinfo": getaddrinfo,
        "gethostbyname": gethostbyname,
        "gethostbyname_ex": gethostbyname_ex,
        "gethostbyaddr": gethostbyaddr,
    }


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0] or "0.0.0.0")
    except ValueError:
        return False
    return True


def _key(name: str) -> str:
    if _is_number(name) and name:
        name = dns.reversename.from_address(name).to_text()
    try:
        return dns.name.from_text(name).to_text(omit_final_dot=True).lower()
    except dns.exception.DNSException as error:
        raise ValueError(f"not a domain name: {name!r}") from error


def _value(kind: str, value: str) -> str:
    """Records as people write them, as a zone file has them."""
    if value in (*_FAILURES, TIMEOUT):
        return value
    if kind == "TXT" and not value.startswith('"'):
        parts = [value[at : at + 255] for at in range(0, len(value), 255)] or [""]
        return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    if kind in ("MX", "PTR", "CNAME", "NS", "SRV") and not value.endswith("."):
        return f"{value}."
    return value
