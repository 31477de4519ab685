"""Domains as configuration spells them, and as addresses have them."""

from __future__ import annotations

from mta.smtp.address import Address, AddressError


def domain_key(text: str) -> str:
    """A domain in the form of `rcpt.host`, lower case and A-labels; what is not a domain is only lowered."""
    try:
        return Address("postmaster", text.strip()).host
    except AddressError:
        return text.strip().lower()
