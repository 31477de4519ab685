"""Categories of replies: the grammar of rules, and what the shipped ones make of real-life answers."""

from __future__ import annotations

import re

import pytest

from mta.config.bounce_rules import MAX_TEXT, BounceRules, parse_rule
from mta.config.formats import parse
from mta.paths import ETC

SHIPPED, _ = parse("list", (ETC / "outbound.bounce_rules").read_bytes(), "outbound.bounce_rules")
RULES = BounceRules(SHIPPED)


@pytest.mark.parametrize(
    ("line", "reply", "fits"),
    [
        ("a: code=550", (550, "", ""), True),
        ("a: code=550", (551, "", ""), False),
        ("a: code=4xx", (421, "", ""), True),
        ("a: status=x.7.1", (550, "5.7.1", ""), True),
        ("a: status=x.7.1", (550, "5.7.15", ""), False),
        ("a: status=5.x.x", (450, "4.2.0", ""), False),
        ("a: status=x.7.x", (550, "5.7.606", ""), True),
        ("a: status=x.7.x", (550, "", ""), False),
        ("a: text=no  such =user", (550, "", "NO  SUCH =USER here"), True),
        ("a-2:   code=55x  status=5.1.1   text=gone", (550, "5.1.1", "gone"), True),
        ("a: code=55x status=5.1.1 text=gone", (550, "5.1.1", "here"), False),
        ("a: code=55x status=5.1.1 text=gone", (450, "5.1.1", "gone"), False),
        ("a: text=x$", (550, "", "y" * MAX_TEXT + "x"), False),
    ],
)
def test_conditions(line: str, reply: tuple[int, str, str], fits: bool) -> None:
    assert BounceRules([line]).classify(*reply) == ("a-2" if "a-2" in line else "a" if fits else "other")


def test_the_first_rule_that_fits_counts() -> None:
    assert BounceRules(["a: code=550", "b: text=x"]).classify(550, "", "x") == "a"
    assert BounceRules(["b: text=x", "a: code=550"]).classify(550, "", "x") == "b"
    assert BounceRules([]).classify(550, "", "x") == "other"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("spam", "this is not a category, a colon and conditions"),
        ("Spam: code=550", "this is not a category, a colon and conditions"),
        ("spam: ", "there is no condition"),
        ("spam: blocked", "'blocked' is no condition"),
        ("spam: code=550 blocked", "'blocked' is no condition"),
        ("spam: code=5500", "'5500' is not a code"),
        ("spam: code=", "'' is not a code"),
        ("spam: status=5.1", "'5.1' is not a status"),
        ("spam: status=3.1.1", "'3.1.1' is not a status"),
        ("spam: code=550 code=551", "code stands there twice"),
        ("spam: text=", "text= is empty"),
        ("spam: text=(", "'(' is not a regular expression: missing ), unterminated subpattern at position 0"),
    ],
)
def test_what_is_no_rule(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        parse_rule(line)


# The words of servers in the field, paraphrased.
REPLIES = [
    (550, "5.1.1", "The email account that you tried to reach does not exist", "no-such-user"),
    (
        550,
        "5.1.1",
        "<joe@example.net>: Recipient address rejected: User unknown in local table",
        "no-such-user",
    ),
    (550, "", "No such user here", "no-such-user"),
    (550, "", "Requested action not taken: mailbox unavailable", "no-such-user"),
    (550, "5.4.1", "Recipient address rejected: Access denied", "no-such-user"),
    (550, "", "Unknown recipient", "no-such-user"),
    (551, "", "user not local; please try <joe@elsewhere.test>", "moved"),
    (550, "5.2.1", "The account is inactive", "inactive"),
    (554, "", "mailbox for joe has been disabled", "inactive"),
    (452, "4.2.2", "The recipient's inbox is out of storage space", "quota"),
    (552, "5.2.2", "Over quota", "quota"),
    (552, "", "user exceeded its disk quota", "quota"),
    (452, "4.2.2", "try again", "mailbox-full"),
    (552, "", "mailbox is full", "mailbox-full"),
    (450, "4.2.0", "Recipient address rejected: Greylisted, see the manual", "greylist"),
    (451, "4.7.1", "Grey-listing in effect, come back in 5 minutes", "greylist"),
    (421, "4.7.28", "an unusual rate of mail from your address", "rate-limit"),
    (421, "4.7.0", "temporarily deferred due to unexpected volume", "rate-limit"),
    (450, "", "too many connections from your host", "rate-limit"),
    (452, "4.5.3", "Too many recipients", "rate-limit"),
    (550, "5.7.26", "This mail is unauthenticated", "auth"),
    (550, "5.7.1", "SPF check failed for a.test", "auth"),
    (550, "", "rejected by the DMARC policy of a.test", "auth"),
    (550, "5.7.25", "the sending address has no PTR record", "reverse-dns"),
    (554, "", "cannot find your reverse DNS entry", "reverse-dns"),
    (454, "4.7.5", "certificate verify failed", "tls"),
    (530, "5.7.0", "Must issue a STARTTLS command first", "tls"),
    (550, "5.7.30", "REQUIRETLS support required", "tls"),
    (530, "5.7.0", "Authentication required", "login"),
    (535, "5.7.8", "bad credentials", "login"),
    (554, "5.7.1", "<joe@b.test>: Relay access denied", "relaying-denied"),
    (550, "", "we are not permitted to relay for you", "relaying-denied"),
    (550, "5.1.8", "Sender address rejected: Domain not found", "bad-sender"),
    (554, "5.7.1", "Service unavailable; client host blocked using zen.spamhaus.org", "spam-block"),
    (550, "5.7.1", "your IP is on our block list", "spam-block"),
    (554, "", "poor reputation of the sending IP", "spam-block"),
    (550, "5.7.1", "message refused as spam", "spam-content"),
    (554, "", "message is likely unsolicited mail", "spam-content"),
    (554, "", "a virus was found in the message", "virus"),
    (552, "5.3.4", "message size exceeds fixed limit", "size"),
    (552, "", "message too large", "size"),
    (554, "5.6.0", "malformed header", "content"),
    (550, "", "attachment type not allowed", "content"),
    (550, "5.7.1", "not today", "policy"),
    (554, "5.7.1", "Recipient address rejected: Access denied", "policy"),
    (554, "", "denied by local policy", "policy"),
    (452, "4.3.1", "insufficient system storage", "disk-full"),
    (451, "4.3.0", "local error", "system"),
    (421, "4.3.2", "system not accepting messages", "system"),
    (421, "", "closing", "busy"),
    (451, "", "server busy", "busy"),
    (500, "5.5.2", "syntax error", "protocol"),
    (502, "", "not implemented", "protocol"),
    (554, "5.4.6", "too many hops", "loop"),
    (554, "", "hop count exceeded", "loop"),
    (550, "5.1.2", "No Such Domain: gone.test", "bad-domain"),
    (556, "5.1.10", "Domain a.test sends and receives no email (NULL MX)", "bad-domain"),
    (550, "5.4.4", "Nowhere to deliver mail to for domain: a.test", "bad-domain"),
    (451, "4.4.3", "DNS lookup failure: timeout", "dns"),
    (451, "4.4.1", "cannot connect to mx.b.test: refused", "no-connection"),
    (451, "4.4.2", "the connection was closed by the peer, phase mail", "connection-lost"),
    (550, "5.1.3", "bad address", "bad-address"),
    (554, "", "something went wrong", "other"),
]


@pytest.mark.parametrize(("code", "status", "text", "category"), REPLIES)
def test_what_the_shipped_rules_make_of(code: int, status: str, text: str, category: str) -> None:
    assert RULES.classify(code, status, text) == category


def test_each_shipped_category_is_used() -> None:
    named = {rule.category for rule in RULES.all}
    assert named <= {category for *_, category in REPLIES} | {"network", "expired"}
    assert len(RULES.all) >= 60


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.all if rule.text], ids=lambda rule: rule.text.pattern
)
def test_no_shipped_expression_is_dear(rule) -> None:
    """No repetition without a limit, none of a group: then a search takes steps in proportion to the text."""
    pattern = re.sub(r"\\.|\[[^]]*\]", "x", rule.text.pattern)
    assert not re.search(r"[*+]|\{\d+,\}|\)\{", pattern)
    assert len(re.findall(r"\{\d+,\d+\}", pattern)) <= 3
