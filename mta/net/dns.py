"""Questions to the DNS, in blocking style, with a cache that obeys the time to live."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import dns.exception
import dns.flags
import dns.name
import dns.resolver
import dns.reversename

from mta.net.dane import Tlsa
from mta.net.ip import address_literal, is_ip, is_loopback

Family = Literal["default", "v4", "v6"]

CACHE_SIZE = 10_000
_TYPES: dict[Family, tuple[str, str]] = {
    "default": ("AAAA", "A"),
    "v6": ("AAAA", "A"),
    "v4": ("A", "AAAA"),
}
_LOOPBACK = {"AAAA": "::1", "A": "127.0.0.1"}


class MX(NamedTuple):
    """One MX record; host is "" in a null MX (RFC 7505), else a name in lower case without the final dot."""

    priority: int
    host: str


class Answer(NamedTuple):
    """What the DNS said. secure: the name server has validated all of it (RFC 4035 3.2.3); name: at the end of CNAMEs."""

    records: Sequence[Any]
    secure: bool
    name: str


class LookupFailed(Exception):
    """No answer that could be used; the message is one line for the log and the operator."""


class NotFound(LookupFailed):
    """The name does not exist, or is none: asking again will not help."""


class Tempfail(LookupFailed):
    """Timeout, SERVFAIL, REFUSED, a reply that makes no sense: ask again later."""


class Resolver:
    """Asks recursive name servers. One for the whole process, shared by all: equal questions are asked once.

    nameservers: addresses, by default those of /etc/resolv.conf; timeout: seconds to wait for one reply; lifetime:
    seconds for one question with all its repetitions. Raises ValueError for a name server that is no address.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        port: int = 53,
        timeout: float = 5.0,
        lifetime: float = 20.0,
    ) -> None:
        self._resolver = _configured(nameservers, port)
        self._resolver.timeout = timeout
        self._resolver.lifetime = lifetime
        self._resolver.flags = dns.flags.RD | dns.flags.AD  # RFC 6840 5.7: tell us what was validated
        self._resolver.cache = dns.resolver.LRUCache(CACHE_SIZE)
        self._asked: dict[tuple[dns.name.Name, str], _Question] = {}

    @property
    def on_this_machine(self) -> bool:
        """True when nobody is between us and the name servers, so that their AD bit may be believed."""
        return all(is_loopback(str(server)) for server in self._resolver.nameservers)

    def mx_is_secure(self, domain: str) -> bool:
        """True when DNSSEC vouches for lookup_mx's answer, be it that there are no MX records. Raises NotFound, Tempfail."""
        return self._resolve(_name(domain), "MX").secure

    def lookup_secure_host(self, host: str) -> str | None:
        """The name at the end of a host's CNAMEs; None unless DNSSEC vouches for every address that it has.

        Raises NotFound, Tempfail.
        """
        answers = _all_answers(partial(self._resolve, _name(host), kind) for kind in _TYPES["default"])
        secure = bool(answers) and all(answer.secure for answer in answers)
        return answers[0].name if secure else None

    def lookup_tlsa(self, name: str) -> list[Tlsa]:
        """The TLSA records that DNSSEC vouches for; [] when there are none. Raises NotFound, Tempfail."""
        answer = self._resolve(_name(name), "TLSA")
        if not answer.secure:
            return []
        return [
            Tlsa(record.usage, record.selector, record.mtype, bytes(record.cert)) for record in answer.records
        ]

    def lookup_mx(self, domain: str) -> list[MX]:
        """The MX records in order of priority; [] when the domain exists but has none. Raises NotFound, Tempfail."""
        records = self._resolve(_name(domain), "MX").records
        found = {MX(int(record.preference), _text(record.exchange)) for record in records}
        return sorted(found)

    def lookup_ip(self, host: str, family: Family = "default") -> list[str]:
        """The addresses of a host, IPv6 first unless family is "v4"; [] when it exists but has none.

        An address, bare or as a literal in brackets, is its own answer; localhost is never asked for (RFC 6761 6.3).
        Raises NotFound; Tempfail only if no address was found at all.
        """
        literal = host if is_ip(host) else address_literal(host)
        if literal:
            return [literal]
        types = _TYPES[family]
        if _is_localhost(host):
            return [_LOOPBACK[kind] for kind in types]
        return _first_answers(partial(self._addresses, host, kind) for kind in types)

    def lookup_ptr(self, ip: str) -> list[str]:
        """The names of an address, in lower case without the final dot. Raises NotFound, Tempfail."""
        try:
            name = dns.reversename.from_address(ip)
        except (dns.exception.SyntaxError, ValueError) as error:
            raise NotFound(f"not an IP address: {ip!r}") from error
        return [_text(record.target) for record in self._resolve(name, "PTR").records]

    def lookup_txt(self, name: str) -> list[str]:
        """The TXT records, each with its strings joined; bytes that are not UTF-8 are surrogate escapes."""
        records = self._resolve(_name(name), "TXT").records
        return [b"".join(record.strings).decode("utf-8", "surrogateescape") for record in records]

    def _addresses(self, host: str, kind: str) -> list[str]:
        return [str(record.address) for record in self._resolve(_name(host), kind).records]

    def _resolve(self, name: dns.name.Name, kind: str) -> Answer:
        """Ask, or wait for whoever is asking the same already."""
        key = (name, kind)
        question = self._asked.get(key)
        if question is not None:
            return question.wait()
        question = self._asked[key] = _Question()
        try:
            return question.settle(lambda: self._ask(name, kind))
        finally:
            del self._asked[key]

    def _ask(self, name: dns.name.Name, kind: str) -> Answer:
        try:
            answer = self._resolver.resolve(name, kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            raise NotFound(f"{kind} {_text(name)}: no such name") from error
        except dns.exception.Timeout as error:
            raise Tempfail(f"{kind} {_text(name)}: timeout") from error
        except (dns.exception.DNSException, OSError) as error:
            raise Tempfail(f"{kind} {_text(name)}: {_one_line(error)}") from error
        secure = bool(answer.response.flags & dns.flags.AD)
        return Answer(list(answer.rrset or ()), secure, _text(answer.canonical_name))


class _Question:
    """A question on its way: the first who has it asks, the others wait for the outcome."""

    __slots__ = ("_answer", "_done", "_error")

    def __init__(self) -> None:
        self._done = threading.Event()
        self._answer = Answer((), False, "")
        # What the others get if the one who asks is ended from outside.
        self._error: LookupFailed | None = Tempfail("the lookup was interrupted")

    def settle(self, ask: Callable[[], Answer]) -> Answer:
        try:
            self._answer = ask()
            self._error = None
        except LookupFailed as error:
            self._error = error
            raise
        finally:
            self._done.set()
        return self._answer

    def wait(self) -> Answer:
        self._done.wait()
        if self._error is not None:
            # A new object: one exception raised in many places would gather all their tracebacks.
            raise type(self._error)(*self._error.args)
        return self._answer


def _configured(nameservers: Sequence[str] | None, port: int) -> dns.resolver.Resolver:
    if nameservers is None:
        try:
            return dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            nameservers = ["127.0.0.1"]  # what the C library does without resolv.conf
    resolver = dns.resolver.Resolver(configure=False)
    resolver.port = port
    resolver.nameservers = list(nameservers)
    return resolver


def _first_answers(asks: Iterable[Callable[[], list[str]]]) -> list[str]:
    """All answers; a failure counts only when nobody answered, and one that may pass counts more than one that will not."""
    found: list[str] = []
    failures: list[LookupFailed] = []
    for ask in asks:
        try:
            found += ask()
        except LookupFailed as failure:
            failures.append(failure)
    if not found and failures:
        raise next((failure for failure in failures if isinstance(failure, Tempfail)), failures[0])
    return found


def _all_answers(asks: Iterable[Callable[[], Answer]]) -> list[Answer]:
    """The answers with records in them; a failure counts only when there are none."""
    found: list[Answer] = []
    failure: LookupFailed | None = None
    for ask in asks:
        try:
            found.append(ask())
        except LookupFailed as error:
            failure = error
    with_records = [answer for answer in found if answer.records]
    if failure is not None and not with_records:
        raise failure
    return with_records


def _name(text: str) -> dns.name.Name:
    try:
        name = dns.name.from_text(text, origin=dns.name.root)
    except (dns.exception.DNSException, ValueError) as error:
        raise NotFound(f"not a domain name: {text!r}") from error
    if name == dns.name.root:
        raise NotFound(f"not a domain name: {text!r}")
    return name


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _is_localhost(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
