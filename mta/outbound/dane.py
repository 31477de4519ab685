"""What DANE asks of one mail host (RFC 7672 2.2): the TLSA records for it, and whether they bind us."""

from __future__ import annotations

from typing import Literal, TypeAlias

from mta.net.dns import LookupFailed, NotFound, Resolver
from mta.net.tlsa import Tlsa, usable
from mta.record import record

DaneStatus: TypeAlias = Literal["absent", "usable", "unusable", "bogus"]


@record
class DaneAnswer:
    """absent: DANE says nothing; usable: TLS proved by `tlsa`; unusable: TLS, proved by nothing; bogus: send nothing.

    base: the name that the records were found at, which is also what to ask the host for; records: all of them.
    """

    status: DaneStatus
    base: str = ""
    tlsa: tuple[Tlsa, ...] = ()
    records: tuple[Tlsa, ...] = ()
    reason: str = ""


ABSENT = DaneAnswer("absent")


def dane_for(resolver: Resolver, host: str, port: int) -> DaneAnswer:
    """Ask the DNS about a host whose name came from a secure MX record, or is a secure domain's own."""
    try:
        expanded = resolver.lookup_secure_host(host)
    except LookupFailed:
        return ABSENT  # without addresses it is not tried anyway
    if expanded is None:
        return ABSENT
    # RFC 7672 2.2.2: at the end of the CNAMEs first, then where they begin.
    for base in dict.fromkeys((expanded, host.lower().rstrip("."))):
        try:
            records = tuple(resolver.lookup_tlsa(f"_{port}._tcp.{base}"))
        except NotFound:
            continue
        except LookupFailed as error:
            # RFC 7672 2.1.2: whoever can suppress the records must gain nothing by it.
            return DaneAnswer("bogus", base, reason=str(error))
        if records:
            return _answer(base, records)
    return ABSENT


def _answer(base: str, records: tuple[Tlsa, ...]) -> DaneAnswer:
    good = usable(records)
    return DaneAnswer("usable" if good else "unusable", base, good, records)
