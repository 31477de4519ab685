"""Which mail counts as sent to the same place."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mta.net.next_hop import NextHop
from mta.outbound.site import site_of_hops, site_of_hosts


@pytest.mark.parametrize(
    ("hosts", "site"),
    [
        (["gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"], "google.com"),
        (["ASPMX.L.GOOGLE.COM."], "google.com"),
        (["a-com.mail.protection.outlook.com"], "outlook.com"),
        (["mx1.example.co.uk", "mx2.example.co.uk"], "example.co.uk"),
        (["mx.b.test", "mx.a.test", "mx2.b.test"], "a.test+b.test"),
        (["192.0.2.1"], "192.0.2.1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["localhost"], "localhost"),
    ],
)
def test_hosts_of_one_organisation_are_one_site(hosts: Sequence[str], site: str) -> None:
    assert site_of_hosts(hosts) == site


def test_chosen_hops_are_a_site_of_their_own() -> None:
    hops = [NextHop("192.0.2.1", from_dns="relay.test"), NextHop("b.test"), NextHop("relay.test")]
    assert site_of_hops(hops) == "relay.test+b.test"
    assert site_of_hops([NextHop("", path="/run/lmtp.sock")]) == "/run/lmtp.sock"
