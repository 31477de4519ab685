"""Domains as configuration spells them, and as addresses have them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mta.smtp.address import Address, AddressError

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


def domain_key(text: str) -> str:
    """A domain in the form of `rcpt.host`, lower case and A-labels; what is not a domain is only lowered."""
    try:
        return Address("postmaster", text.strip()).host
    except AddressError:
        return text.strip().lower()


def organizational_domain(domain: str) -> str:
    """The domain that somebody registered, `example.co.uk` for `mail.example.co.uk`; the domain itself if there is none."""
    key = domain_key(domain)
    return _public_suffixes().privatesuffix(key) or key


@cache
def _public_suffixes() -> PublicSuffixList:
    """The list of publicsuffix.org, which is read when it is first needed."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
