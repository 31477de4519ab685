from __future__ import annotations

import pytest

from mta.plugin import DENY, DENYSOFT, OK, Address, NextHop
from mta.plugin.verdict import CONT
from tests.support.plugins import connection_from, hmail_to, loaded, with_mail

DOMAINS = """[domains]
listed.example={"action":"accept","nexthop":"192.0.2.25:2525"}
Passed-On.example={"action":"continue","nexthop":"lmtp://192.0.2.24"}
refused.example={"action":"deny"}
bücher.example={"action":"accept"}
routed.example={"action":"accept","nexthop":"no such host"}
"""


def relay(tmp_path, ini, **files):
    return loaded("relay", tmp_path, {"relay.ini": f"[relay]\n{ini}\n", **files})


def rcpt(runner, connection, address):
    verdict = runner.run("rcpt", connection, Address.parse(address), {})
    return verdict.code, verdict.message


# ---- acl


@pytest.mark.parametrize(
    ("ip", "relaying"),
    [
        ("192.0.2.1", True),
        ("192.0.3.1", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("::ffff:192.0.2.1", True),
        ("2001:db8:1::5", True),
        ("2001:db8:2::5", False),
        ("2001:db8:3::1", True),
        ("2001:db8:3::2", False),
    ],
)
def test_clients_in_relay_acl_allow_may_relay(tmp_path, ip, relaying):
    acl = "192.0.2.0/24\n198.51.100.7\n2001:db8:1::/48\n2001:db8:3::1\n"
    runner, _ = relay(tmp_path, "acl=true", relay_acl_allow=acl)
    connection = connection_from(ip)
    runner.run("connect_init", connection)
    assert connection.relaying is relaying
    assert runner.run("connect", connection).code is (OK if relaying else CONT)
    found = connection.results.get("relay")
    assert found == ({"pass": ["acl"]} if relaying else {"skip": ["acl(unlisted)"]})


def test_an_entry_that_is_no_network_costs_only_itself(tmp_path):
    runner, _ = relay(tmp_path, "acl=true", relay_acl_allow="10.0.0.0/99\nlocalhost\n192.0.2.1\n")
    connection = connection_from("192.0.2.1")
    runner.run("connect_init", connection)
    assert connection.relaying


def test_nobody_may_relay_as_shipped(tmp_path):
    runner, _ = loaded("relay", tmp_path)
    connection = connection_from("203.0.113.7")
    runner.run("connect_init", connection)
    assert not connection.relaying


def test_what_is_off_is_not_registered(tmp_path):
    runner, _ = relay(tmp_path, "acl=false\nforce_routing=false")
    assert not any(runner.chains.values())


# ---- dest_domains


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("bob@listed.example", (OK, None)),
        ("bob@LISTED.example", (OK, None)),
        ("bob@passed-on.example", (OK, None)),
        ("bob@bücher.example", (OK, None)),
        ("bob@refused.example", (DENY, "You are not allowed to relay")),
        ("bob@elsewhere.example", (DENY, "You are not allowed to relay")),
        ("bob@sub.listed.example", (DENY, "You are not allowed to relay")),
    ],
)
def test_destinations(tmp_path, address, answer):
    runner, _ = relay(tmp_path, "dest_domains=true", **{"relay_dest_domains.ini": DOMAINS})
    assert rcpt(runner, with_mail(connection_from()), address) == answer


def test_a_client_that_may_relay_is_not_asked_about_destinations(tmp_path):
    runner, _ = relay(tmp_path, "dest_domains=true", **{"relay_dest_domains.ini": DOMAINS})
    assert rcpt(runner, with_mail(connection_from(relaying=True)), "bob@elsewhere.example") == (CONT, None)


def test_one_listed_recipient_does_not_open_the_relay_for_others(tmp_path):
    runner, _ = relay(tmp_path, "dest_domains=true", **{"relay_dest_domains.ini": DOMAINS})
    connection = with_mail(connection_from())
    assert rcpt(runner, connection, "bob@listed.example")[0] is OK
    assert not connection.relaying
    assert rcpt(runner, connection, "victim@elsewhere.example")[0] is DENY


def test_accepted_mail_goes_out_but_only_this_message(tmp_path):
    runner, _ = relay(tmp_path, "dest_domains=true", **{"relay_dest_domains.ini": DOMAINS})
    connection = with_mail(connection_from())
    rcpt(runner, connection, "bob@listed.example")
    runner.run("data", connection)
    assert connection.relaying
    assert not with_mail(connection).relaying
    runner.run("data", connection)
    assert not connection.relaying


def test_other_plugins_may_refuse_what_is_passed_on(tmp_path):
    runner, _ = relay(tmp_path, "dest_domains=true", **{"relay_dest_domains.ini": DOMAINS})
    first, last = runner.chains["rcpt"]
    assert (first.priority, last.priority) == (0, 100)
    connection = with_mail(connection_from())
    assert first.method(connection, Address.parse("bob@passed-on.example"), {}) is None
    assert last.method(connection, Address.parse("bob@elsewhere.example"), {}) is None


def test_a_domain_without_an_action_is_routed_but_not_accepted(tmp_path):
    domains = '[domains]\nonly-routed.example={"nexthop":"192.0.2.25"}\n'
    runner, _ = relay(tmp_path, "dest_domains=true", **{"relay_dest_domains.ini": domains})
    answer = rcpt(runner, with_mail(connection_from()), "bob@only-routed.example")
    assert answer == (DENY, "Mail for that recipient is not accepted here.")
    assert runner.run("get_mx", hmail_to("only-routed.example"), "only-routed.example").code is OK


# ---- all


def test_all_is_an_open_relay_for_this_message(tmp_path):
    runner, lines = relay(tmp_path, "all=true")
    connection = with_mail(connection_from())
    assert rcpt(runner, connection, "bob@elsewhere.example") == (OK, None)
    assert connection.relaying
    assert any("confirming recipient <bob@elsewhere.example>" in line for line in lines)


# ---- force_routing


@pytest.mark.parametrize(
    ("domain", "hop"),
    [
        ("listed.example", NextHop("192.0.2.25", 2525)),
        ("LISTED.example", NextHop("192.0.2.25", 2525)),
        ("passed-on.example", NextHop("192.0.2.24", 24, using_lmtp=True)),
        ("refused.example", None),
        ("elsewhere.example", None),
    ],
)
def test_next_hops(tmp_path, domain, hop):
    runner, _ = relay(tmp_path, "", **{"relay_dest_domains.ini": DOMAINS})
    verdict = runner.run("get_mx", hmail_to(domain), domain)
    assert (verdict.code, verdict.message) == ((OK, hop) if hop else (CONT, None))


def test_any_stands_for_every_other_domain(tmp_path):
    any_domain = DOMAINS + 'any={"action":"accept","nexthop":"smart.example:587"}\n'
    runner, _ = relay(tmp_path, "", **{"relay_dest_domains.ini": any_domain})
    assert runner.run("get_mx", hmail_to("x"), "elsewhere.example").message == NextHop("smart.example", 587)
    assert runner.run("get_mx", hmail_to("x"), "refused.example").code is CONT


def test_a_next_hop_that_is_none_defers(tmp_path):
    runner, lines = relay(tmp_path, "", **{"relay_dest_domains.ini": DOMAINS})
    assert any("[ERROR]" in line and "routed.example" in line for line in lines)
    verdict = runner.run("get_mx", hmail_to("routed.example"), "routed.example")
    assert verdict.code is DENYSOFT and "routed.example" in verdict.message
