"""Files in which every section is one of a kind."""

from __future__ import annotations

import pytest

from mta.config.schema import OutboundPoolSettings, OutboundRouteSettings, OutboundSettings
from mta.config.sources import Source
from tests.support.install import Install, eventually

ROUTES = """
[partner]
recipients=Partner.example, *.partner.example
host=mx1.partner.example 10, mx2.partner.example 20
tls=required
[bounces]
senders=<>
mx=true
"""


def test_sections_come_in_the_order_of_the_file(install: Install) -> None:
    assert install.config.sections(OutboundRouteSettings) == []
    install.write("outbound_routes.ini", ROUTES)
    assert install.config.sections(OutboundRouteSettings) == [
        (
            "partner",
            OutboundRouteSettings(
                recipients=("partner.example", "*.partner.example"),
                host=("mx1.partner.example:25 10", "mx2.partner.example:25 20"),
                tls="required",
            ),
        ),
        ("bounces", OutboundRouteSettings(senders=("<>",), mx=True)),
    ]
    install.write("outbound_pools.ini", "[a]\nsource[]=192.0.2.1\nsource[]=[2001:DB8::1] 10 six.example\n")
    assert install.config.sections(OutboundPoolSettings) == [
        (
            "a",
            OutboundPoolSettings(source=(Source("192.0.2.1"), Source("2001:db8::1", 10, "six.example"))),
        )
    ]
    assert install.problems == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a]\nrecipients=joe@b.test\n", "2: [a] recipients: 'joe@b.test' is not a domain; allowed: example.com, *.example.com or *"),
        ("[a]\nsenders=@b.test\n", "2: [a] senders: '@b.test' is not an address; allowed: "),
        ("[a]\nsenders=joe@*.b.test\n", "2: [a] senders: 'joe@*.b.test' is not an address; allowed: "),
        ("[a]\nsenders=a*.test\n", "2: [a] senders: 'a*.test' is not a domain; allowed: "),
        ("[a]\nhost=b:c\n", "2: [a] host: b:c is not a host name or address; allowed: host:port"),
        ("[a]\nmx=perhaps\n", "2: [a] mx: 'perhaps' is neither true nor false; allowed: true, false"),
        ("[a]\nbind=here\n", "2: [a] bind: 'here' is not an IP address; allowed: an IP address"),
        ("[a]\nauth_pass_env=NO_SUCH_VARIABLE\n", "2: [a] auth_pass_env: NO_SUCH_VARIABLE holds no password"),
        ("[a]\nauth_pass_file=pw\n", "2: [a] auth_pass_file: pw holds no password"),
    ],
)  # fmt: skip
def test_one_mistake_leaves_the_whole_file_as_it_was(install: Install, text: str, problem: str) -> None:
    install.write("outbound_routes.ini", ROUTES)
    before = install.config.sections(OutboundRouteSettings)
    assert before
    seen: list[object] = []
    install.config.sections(OutboundRouteSettings, seen.append)
    install.config.watch()
    install.write("outbound_routes.ini", f"{text}")
    assert eventually(lambda: install.problems)
    assert install.problems[0].startswith(f"outbound_routes.ini:{problem}")
    assert install.reported[0].fatal and seen == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("192.0.2", "'192.0.2' is not an IP address"),
        ("192.0.2.1 5 6", "'192.0.2.1 5 6' has more than an address, a weight and a name"),
        ("192.0.2.1 1001", "the weight 1001 is out of range"),
        ("192.0.2.1 5 -x", "'-x' is not a host name"),
        ("192.0.2.1\nsource[]=192.0.2.1", "192.0.2.1 comes twice"),
    ],
)
def test_sources_that_make_no_sense(install: Install, line: str, problem: str) -> None:
    install.write("outbound_pools.ini", f"[a]\nsource[]={line}\n")
    assert install.config.sections(OutboundPoolSettings) == []
    assert install.problems[0].startswith(f"outbound_pools.ini:2: [a] source: {problem}")


def test_a_key_that_nobody_knows_is_told_and_hurts_nothing(install: Install) -> None:
    install.write("outbound_routes.ini", "[a]\nrecipient=b.test\nmx=true\n")
    assert install.config.sections(OutboundRouteSettings) == [("a", OutboundRouteSettings(mx=True))]
    assert install.problems[0].startswith(
        "outbound_routes.ini:2: [a] recipient: unknown key, did you mean recipients?"
    )


def test_another_order_is_a_change(install: Install) -> None:
    first, second = "[a]\nrecipients=a.test\nmx=true\n", "[b]\nrecipients=b.test\nmx=true\n"
    install.write("outbound_routes.ini", first + second)
    seen: list[list[tuple[str, OutboundRouteSettings]]] = []
    install.config.sections(OutboundRouteSettings, seen.append)
    install.config.watch()
    install.write("outbound_routes.ini", second + first)
    assert eventually(lambda: seen)
    assert [name for name, _ in seen[0]] == ["b", "a"]


def test_a_password_in_the_environment(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_PASSWORD", "# 0123 ")
    text = "auth_user=me\nauth_pass_env=RELAY_PASSWORD\n"
    install.write("outbound.ini", f"[smarthost]\nhost=a\n{text}")
    install.write("outbound_routes.ini", f"[a]\nrecipients=*\nhost=a\n{text}")
    settings = install.config.settings(OutboundSettings).smarthost
    ((_, route),) = install.config.sections(OutboundRouteSettings)
    assert settings.auth_pass == route.auth_pass == "# 0123 "
    assert "0123" not in repr((settings, route))


def test_sections_in_the_file_that_holds_everything(install: Install) -> None:
    install.write(
        "smtp.yaml",
        '"!outbound_routes.ini":\n  shop:\n    recipients: [b.test, "*.c.test"]\n    host: a 10, b 20\n'
        '"!outbound_pools.ini":\n  p:\n    source:\n      - 192.0.2.1 5\n      - 192.0.2.2\n',
    )
    ((name, route),) = install.config.sections(OutboundRouteSettings)
    assert (name, route.recipients, route.host) == ("shop", ("b.test", "*.c.test"), ("a:25 10", "b:25 20"))
    ((name, pool),) = install.config.sections(OutboundPoolSettings)
    assert (name, pool.source) == ("p", (Source("192.0.2.1", 5), Source("192.0.2.2")))
    assert install.problems == []
