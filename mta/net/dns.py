"""Questions to the DNS, in blocking style, with a cache that obeys the time to live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mta.net.dns_answers import Answer, LookupFailed, NotFound, Tempfail
from mta.net.ip import address_literal, is_ip, is_loopback
from mta.net.tlsa import Tlsa

if TYPE_CHECKING:
    from mta.net.dns_client import DnsClient

__all__ = ["MX", "Family", "LookupFailed", "NotFound", "Resolver", "Tempfail"]

Family = Literal["default", "v4", "v6"]

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
        self._arguments = (nameservers, port, timeout, lifetime)
        self._made: DnsClient | None = None
        if nameservers is not None:
            self.prepare()

    def prepare(self) -> DnsClient:
        """Load what asks the questions, now rather than with the first of them."""
        if self._made is None:
            # dnspython is a tenth of a start, and most banners need no DNS.
            from mta.net.dns_client import DnsClient

            self._made = DnsClient(*self._arguments)
        return self._made

    @property
    def on_this_machine(self) -> bool:
        """True when nobody is between us and the name servers, so that their AD bit may be believed."""
        return all(is_loopback(str(server)) for server in self.prepare().nameservers)

    def mx_is_secure(self, domain: str) -> bool:
        """True when DNSSEC vouches for lookup_mx's answer, be it that there are no MX records. Raises NotFound, Tempfail."""
        return self._ask(domain, "MX").secure

    def lookup_secure_host(self, host: str) -> str | None:
        """The name at the end of a host's CNAMEs; None unless DNSSEC vouches for every address that it has.

        Raises NotFound, Tempfail.
        """
        answers = _all_answers(partial(self._ask, host, kind) for kind in _TYPES["default"])
        secure = bool(answers) and all(answer.secure for answer in answers)
        return answers[0].name if secure else None

    def lookup_tlsa(self, name: str) -> list[Tlsa]:
        """The TLSA records that DNSSEC vouches for; [] when there are none. Raises NotFound, Tempfail."""
        answer = self._ask(name, "TLSA")
        if not answer.secure:
            return []
        return [
            Tlsa(record.usage, record.selector, record.mtype, bytes(record.cert)) for record in answer.records
        ]

    def lookup_mx(self, domain: str) -> list[MX]:
        """The MX records in order of priority; [] when the domain exists but has none. Raises NotFound, Tempfail."""
        records = self._ask(domain, "MX").records
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
        return [_text(record.target) for record in self.prepare().reverse(ip).records]

    def lookup_txt(self, name: str) -> list[str]:
        """The TXT records, each with its strings joined; bytes that are not UTF-8 are surrogate escapes."""
        records = self._ask(name, "TXT").records
        return [b"".join(record.strings).decode("utf-8", "surrogateescape") for record in records]

    def _ask(self, name: str, kind: str) -> Answer:
        return self.prepare().resolve(name, kind)

    def _addresses(self, host: str, kind: str) -> list[str]:
        return [str(record.address) for record in self._ask(host, kind).records]


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


def _is_localhost(host: str) -> bool:
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost")


def _text(name: Any) -> str:
    """A name in a record, in lower case without the final dot; "" for the root."""
    return str(name).lower().removesuffix(".")
