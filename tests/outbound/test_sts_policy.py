"""MTA-STS as domains write it: RFC 8461 3.1, 3.2 and 4.1."""

from __future__ import annotations

import pytest

from mta.outbound.sts_policy import MAX_AGE, StsInvalid, StsPolicy, parse_policy, policy_id


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1; id=1"], "1"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ;\tid=1 ; "], "1"),
        (["v=STSv1; x.y=z!; id=1;"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1;"], "1"),  # others do not count
        (["v=STSv10; id=2;", "v=STSv1; id=1;"], "1"),
        (["v=STSv1; id=1;", "v=STSv1; id=1;"], None),  # two are none
        (["v=STSv1; id=1;", "v=STSv1; broken"], None),
        ([], None),
        (["v=STSv1"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a-b"], None),
        (["v=STSv1; id=" + "1" * 33], None),
        (["v=STSv1; id=1; junk"], None),
        (["v=STSv1; xid=1"], None),
        (["V=STSv1; id=1"], None),
        ([" v=STSv1; id=1"], None),
        (["id=1; v=STSv1;"], None),
        (["v=STSv1; id=1;\n"], None),
    ],
)
def test_the_txt_record(records: list[str], expected: str | None) -> None:
    assert policy_id(records) == expected


GOOD = "version: STSv1\nmode: enforce\nmx: mail.a.test\nmx: *.b.test\nmax_age: 604800\n"
ENFORCE = StsPolicy("enforce", ("mail.a.test", "*.b.test"), 604800)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, ENFORCE),
        (GOOD.replace("\n", "\r\n"), ENFORCE),
        (GOOD.rstrip("\n"), ENFORCE),
        (GOOD.replace(": ", ":"), ENFORCE),
        (GOOD.replace(": ", ": \t").replace("\n", " \n"), ENFORCE),
        (GOOD + "x_new-field.1: what \u00fcber\n", ENFORCE),
        (GOOD + "mode: none\nversion: STSv9\nmax_age: 1\n", ENFORCE),  # the first counts
        (GOOD + "mx: MAIL.a.test.\n", ENFORCE),
        (GOOD.replace("604800", "9999999999"), StsPolicy("enforce", ENFORCE.mx, MAX_AGE)),
        (GOOD.replace("604800", "0"), StsPolicy("enforce", ENFORCE.mx, 0)),
        (GOOD.replace("enforce", "testing"), StsPolicy("testing", ENFORCE.mx, 604800)),
        ("version: STSv1\nmode: none\nmax_age: 60", StsPolicy("none", (), 60)),
    ],
)
def test_a_policy(text: str, expected: StsPolicy) -> None:
    assert parse_policy(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "version"),
        (GOOD.replace("STSv1", "STSv2"), "version"),
        (GOOD.replace("version: STSv1\n", ""), "version"),
        (GOOD.replace("enforce", "Enforce"), "mode"),
        (GOOD.replace("mode: enforce\n", ""), "mode"),
        (GOOD.replace("604800", "1.5"), "max_age"),
        (GOOD.replace("604800", "-1"), "max_age"),
        (GOOD.replace("604800", "1" * 11), "max_age"),
        (GOOD.replace("max_age: 604800\n", ""), "max_age"),
        ("version: STSv1\nmode: enforce\nmax_age: 1", "no mx"),
        ("version: STSv1\nmode: testing\nmax_age: 1", "no mx"),
        (GOOD.replace("*.b.test", "*b.test"), "mx is"),
        (GOOD.replace("*.b.test", "a.*.test"), "mx is"),
        (GOOD.replace("*.b.test", "a b"), "mx is"),
        (GOOD.replace("mx: *.b.test", "mx:"), "not a field"),
        (GOOD + "\n" + GOOD, "not a field"),
        (GOOD.replace("mode: enforce", "mode enforce"), "not a field"),
        (GOOD.replace("mode: enforce", " mode: enforce"), "not a field"),
        (GOOD + "x: \x01\n", "not a field"),
        ("<html>404</html>", "not a field"),
        ("\ufeff" + GOOD, "not a field"),
        (GOOD + "".join(f"mx: h{n}.test\n" for n in range(2000)), "too many"),
    ],
)
def test_no_policy(text: str, reason: str) -> None:
    with pytest.raises(StsInvalid, match=reason):
        parse_policy(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("mail.a.test", True), ("x.b.test", True), ("b.test", False), ("x.y.b.test", False), ("", False)],
)
def test_which_hosts_it_allows(host: str, expected: bool) -> None:
    assert ENFORCE.allows(host) is expected


@pytest.mark.parametrize("policy", [ENFORCE, StsPolicy("none", (), 60)])
def test_its_lines_say_the_same(policy: StsPolicy) -> None:
    assert parse_policy("\n".join(policy.lines())) == policy
