"""One question to the recursive name servers at a time, with dnspython; equal questions are asked once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import dns.exception
import dns.flags
import dns.name
import dns.resolver
import dns.reversename

from mta.net.dns_answers import Answer, LookupFailed, NotFound, Tempfail

CACHE_SIZE = 10_000


class DnsClient:
    """Asks, and remembers for as long as the answer may be kept; the arguments are those of dns.Resolver."""

    def __init__(self, nameservers: Sequence[str] | None, port: int, timeout: float, lifetime: float) -> None:
        self._resolver = _configured(nameservers, port)
        self._resolver.timeout = timeout
        self._resolver.lifetime = lifetime
        self._resolver.flags = dns.flags.RD | dns.flags.AD  # RFC 6840 5.7: tell us what was validated
        self._resolver.cache = dns.resolver.LRUCache(CACHE_SIZE)
        self._asked: dict[tuple[dns.name.Name, str], _Question] = {}

    @property
    def nameservers(self) -> list[str]:
        """Whom it asks."""
        return [str(server) for server in self._resolver.nameservers]

    def resolve(self, name: str, kind: str) -> Answer:
        """The records of one type. Raises NotFound, Tempfail."""
        return self._resolve(_name(name), kind)

    def reverse(self, ip: str) -> Answer:
        """The PTR records of an address. Raises NotFound, Tempfail."""
        try:
            name = dns.reversename.from_address(ip)
        except (dns.exception.SyntaxError, ValueError) as error:
            raise NotFound(f"not an IP address: {ip!r}") from error
        return self._resolve(name, "PTR")

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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
