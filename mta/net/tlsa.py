"""TLSA records: RFC 6698 as far as RFC 7672 lets SMTP use them; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

DANE_TA, DANE_EE = 2, 3
FULL_CERTIFICATE, PUBLIC_KEY = 0, 1
EXACT, SHA256, SHA512 = 0, 1, 2
_DIGEST_SIZES = {SHA256: 32, SHA512: 64}


class Tlsa(NamedTuple):
    """One TLSA record (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """The records that SMTP can use (RFC 7672 3.1), only the strongest digest of each kind (RFC 7671 section 9)."""
    known = [record for record in dict.fromkeys(records) if _is_usable(record)]
    best: dict[tuple[int, int], int] = {}
    for usage, selector, matching, _ in known:
        best[usage, selector] = max(best.get((usage, selector), EXACT), matching)
    return tuple(
        record for record in known if record.matching in (EXACT, best[record.usage, record.selector])
    )


def _is_usable(record: Tlsa) -> bool:
    # RFC 7672 3.1.3: PKIX-TA(0) and PKIX-EE(1) are not for SMTP.
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (FULL_CERTIFICATE, PUBLIC_KEY):
        return False
    if record.matching == EXACT:
        return bool(record.data)
    return _DIGEST_SIZES.get(record.matching) == len(record.data)
