"""From files to typed settings, and the line that the operator gets for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from mta.config.kinds import CPUS, Kind
from mta.config.routes import Route
from mta.config.schema import (
    ANTI_SPOOF,
    LOGLEVEL,
    PLUGIN_TIMEOUT,
    ConnectionSettings,
    LogSettings,
    OutboundSettings,
    RelayDestDomainsSettings,
    RelaySettings,
    SmtpForwardSettings,
    SmtpSettings,
    TlsSettings,
)
from mta.config.spec import Settings, ValueFile
from tests.support.install import Install


def test_what_is_written_and_defaults_for_the_rest(install: Install) -> None:
    install.write(
        "connection.ini",
        "spool_after=0\nsmtputf8=no\n[headers]\nmax_lines=5\n[max]\nbytes=10\n"
        "[message]\ngreeting[]=mail.example.com, the best\ngreeting[]=007\nhelo=\n",
    )
    settings = install.config.settings(ConnectionSettings)
    assert settings.greeting == ("mail.example.com, the best", "007")
    assert (settings.spool_after, settings.smtputf8, settings.max_header_lines) == (0, False, 5)
    assert (settings.max_bytes, settings.helo, settings.max_received) == (10, "", 100)
    assert install.problems == []


@pytest.mark.parametrize(
    ("cls", "text", "problem"),
    [
        (OutboundSettings, "concurrency_max=many", "outbound.ini:1: [main] concurrency_max: 'many' is not a whole number; allowed: a whole number from 1 up"),
        (OutboundSettings, "\nconcurrency_max=0", "outbound.ini:2: [main] concurrency_max: 0 is out of range; allowed: a whole number from 1 up"),
        (OutboundSettings, "disabled=perhaps", "outbound.ini:1: [main] disabled: 'perhaps' is neither true nor false; allowed: true, false"),
        (OutboundSettings, "inet_prefer=v5", "outbound.ini:1: [main] inet_prefer: 'v5' is not one of them; allowed: default, v4, v6"),
        (OutboundSettings, "concurrency=5", "outbound.ini:1: [main] concurrency: unknown key, did you mean concurrency_max?; allowed: always_split, "),
        (OutboundSettings, "connect_timeout[]=5\nconnect_timeout[]=6", "outbound.ini:1: [main] connect_timeout: there is more than one value; allowed: "),
        (OutboundSettings, "temp_fail_intervals=1m, soon", "outbound.ini:1: [main] temp_fail_intervals: syntax error in element 2: invalid number or symbol in \"soon\"; allowed: none, or a list"),
        (OutboundSettings, "temp_fail_intervals=4s", "outbound.ini:1: [main] temp_fail_intervals: syntax error in element 1: delay time too small"),
        (OutboundSettings, "[smarthosts]\nhost=a", "outbound.ini:2: [smarthosts] host: unknown section, did you mean smarthost?; allowed: [main], "),
        (OutboundSettings, "[smarthost]\nhost=a:b", "outbound.ini:2: [smarthost] host: a:b is not a host name or address; allowed: host:port, host:port"),
        (OutboundSettings, "[smarthost]\ntls=always", "outbound.ini:2: [smarthost] tls: 'always' is not one of them; allowed: opportunistic, required, off"),
        (OutboundSettings, "maximum_age=5 weeks", "outbound.ini:1: [main] maximum_age: '5 weeks' is not a span of time; allowed: 0, or a time such as 90s, 30m, 4h, 5d; a number alone is seconds"),
        (OutboundSettings, "[reports]\ndelay_warning=2s", "outbound.ini:2: [reports] delay_warning: '2s' is not between 5 seconds and 365 days; allowed: 0, or a time"),
        (OutboundSettings, "[reports]\ndouble_bounce=return", "outbound.ini:2: [reports] double_bounce: 'return' is not one of them; allowed: drop, postmaster"),
        (OutboundSettings, "[reports]\npostmaster_address=<boss@a.test>", "outbound.ini:2: [reports] postmaster_address: '<boss@a.test>' is not an address; allowed: an address such as"),
        (OutboundSettings, "pool_timeout=5", "outbound.ini:1: [main] pool_timeout: Haraka 3 dropped this setting; it has no effect"),
        (SmtpSettings, "[headers]\nadd_received=no", "smtp.ini:2: [headers] add_received: not read here; Haraka 3.1 moved it to connection.ini"),
        (SmtpSettings, "nodes=many", "smtp.ini:1: [main] nodes: 'many' is not a whole number; allowed: 0, a whole number up to 1024, or cpus"),
        (SmtpSettings, "nodes=-1", "smtp.ini:1: [main] nodes: -1 is out of range; allowed: 0, a whole"),
        (SmtpSettings, "user=smtp", "smtp.ini:1: [main] user: a Haraka setting that this release does not honour yet"),
        (ConnectionSettings, "[haproxy]\nhosts[]=10.0.0.1\nhosts[]=lb.example", "connection.ini:2: [haproxy] hosts: 'lb.example' is neither an address nor a network; allowed: an address or a network"),
        (ConnectionSettings, "bare_newline=ignore", "connection.ini:1: [main] bare_newline: 'ignore' is not one of them; allowed: reject, repair"),
        (LogSettings, "level=loud", "log.ini:1: [main] level: 'loud' is not a log level; allowed: data, protocol, debug, info"),
        (RelayDestDomainsSettings, "[domains]\na.example=accept", "relay_dest_domains.ini:2: [domains] a.example: this is not JSON; allowed: JSON such as "),
        (RelayDestDomainsSettings, '[domains]\na.example={"action":"drop"}', "relay_dest_domains.ini:2: [domains] a.example: the action 'drop' is not one of them; allowed: JSON such as "),
        (RelayDestDomainsSettings, '[domains]\na.example={"next":"b"}', "relay_dest_domains.ini:2: [domains] a.example: 'next' is not known; allowed: JSON such as "),
    ],
)  # fmt: skip
def test_one_mistake_is_one_line_and_leaves_the_default(
    install: Install, cls: type[Settings], text: str, problem: str
) -> None:
    install.write(cls.FILE, text)
    assert install.config.settings(cls) == cls()
    assert len(install.problems) == 1
    assert install.problems[0].startswith(problem)
    about_the_key = any(words in problem for words in ("unknown", "Haraka"))
    assert install.reported[0].fatal is not about_the_key


def test_an_empty_value_is_an_unset_one(install: Install) -> None:
    """Haraka's own connection.ini has a `hosts[] =`, and a `spool_after=` to be uncommented."""
    install.write("connection.ini", "spool_after=\n[haproxy]\nhosts[] =\n[message]\ngreeting[]=\n")
    install.write("smtp.ini", "public_ip=\n")
    assert install.config.settings(ConnectionSettings) == ConnectionSettings()
    assert install.config.settings(SmtpSettings) == SmtpSettings()
    install.write("connection.ini", "[haproxy]\nhosts[] =\nhosts[] = 192.0.2.4\n")
    assert install.config.settings(ConnectionSettings).haproxy_hosts == ("192.0.2.4",)
    assert install.problems == []


@pytest.mark.parametrize("text", ["smtputf8=\n", "bare_newline=\n"])
def test_an_empty_switch_is_a_mistake(install: Install, text: str) -> None:
    """Haraka takes it for false; whoever wrote it may have meant anything."""
    install.write("connection.ini", text)
    install.config.settings(ConnectionSettings)
    assert len(install.problems) == 1 and install.reported[0].fatal


@pytest.mark.parametrize(("text", "nodes"), [("0", 0), ("8", 8), ("cpus", CPUS), ("CPUs", CPUS)])
def test_nodes(install: Install, text: str, nodes: int) -> None:
    install.write("smtp.ini", f"nodes={text}")
    assert install.config.settings(SmtpSettings).nodes == nodes
    assert install.problems == []


def test_a_problem_is_said_once_until_the_file_changes(install: Install) -> None:
    install.write("log.ini", "level=loud")
    install.config.settings(LogSettings)
    install.config.settings(LogSettings)
    assert len(install.problems) == 1
    install.write("log.ini", "level=loud \n")
    install.config.settings(LogSettings)
    assert len(install.problems) == 2


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("", ("[::0]:25",)),
        ("listen=127.0.0.1:2525, [::1]:2525", ("127.0.0.1:2525", "[::1]:2525")),
        ("port=2525", ("[::0]:2525",)),
        ("port=2525\nlisten_host=127.0.0.1\nlisten=10.0.0.1:25", ("127.0.0.1:2525", "10.0.0.1:25")),
        ("port=2525\nlisten=[::0]:25", ("[::0]:2525", "[::0]:25")),
    ],
)
def test_listen_and_its_older_spelling(install: Install, text: str, listen: tuple[str, ...]) -> None:
    install.write("smtp.ini", text)
    assert install.config.settings(SmtpSettings).listen == listen


@pytest.mark.parametrize(
    ("written", "level"),
    [("debug", "DEBUG"), ("LOGINFO", "INFO"), ("9", "DATA"), ("0", "EMERG"), ("Warn", "WARN")],
)
def test_levels(install: Install, written: str, level: str) -> None:
    install.write("log.ini", f"level={written}")
    assert install.config.settings(LogSettings).level == level


def test_smarthost(install: Install) -> None:
    install.write(
        "outbound.ini",
        "[smarthost]\nhost=mx1.example.net:587, mx2.example.net\nauth_user=007\nauth_pass=0123\n",
    )
    smarthost = install.config.settings(OutboundSettings).smarthost
    assert smarthost.host == ("mx1.example.net:587", "mx2.example.net:25")
    assert (smarthost.auth_user, smarthost.auth_pass) == ("007", "0123")
    assert "0123" not in repr(install.config.settings(OutboundSettings))


def test_no_problem_shows_a_password(install: Install) -> None:
    install.write("outbound.ini", "[smarthost]\nauth_pass[]=hunter2\nauth_pass[]=hunter3\n")
    install.config.settings(OutboundSettings)
    assert install.problems == ["outbound.ini:2: [smarthost] auth_pass: not usable; allowed: text"]


@pytest.mark.parametrize("raw", [b"# 0123 \n", b"# 0123 \r\nignored", b"# 0123 "])
def test_a_password_in_a_file_is_its_first_line_as_it_stands(
    install: Install, tmp_path: Path, raw: bytes
) -> None:
    install.write("secret", raw)
    for name in ("secret", str(install.path("secret"))):
        install.write("smtp_forward.ini", f"auth_pass=other\nauth_pass_file={name}\n")
        assert install.config.settings(SmtpForwardSettings).auth_pass == "# 0123 "
    assert install.problems == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "missing holds no password"),
        ("empty", "empty holds no password"),
        ("../outside", "config name '../outside' escapes the config directory"),
    ],
)
def test_a_password_file_that_is_none_is_fatal(install: Install, name: str, message: str) -> None:
    install.write("empty", "\nsecond line")
    install.write("outbound.ini", f"[smarthost]\nauth_pass_file={name}\n")
    assert install.config.settings(OutboundSettings).smarthost.auth_pass == ""
    assert install.problems[0].startswith(f"outbound.ini:2: [smarthost] auth_pass_file: {message}")
    assert install.reported[0].fatal


def test_a_plugin_that_reads_the_file_itself_gets_text_for_what_the_schema_calls_text(
    install: Install,
) -> None:
    install.write("smtp_forward.ini", "auth_pass=0123\nauth_user=5\nport=0025\n")
    main = install.config.get("smtp_forward.ini")["main"]
    assert (main["auth_pass"], main["auth_user"], main["port"]) == ("0123", "5", 25)


def test_sections_that_repeat_another_are_checked_like_it(install: Install) -> None:
    install.write(
        "smtp_forward.ini", "host=a\n[example.com]\nhost=b\nport=many\n[b.example]\nprot=5\nqueue=x\nbind=y\n"
    )
    assert install.config.get("smtp_forward.ini")["example.com"] == {"host": "b", "port": "many"}
    assert sorted(problem.split(";")[0] for problem in install.problems) == [
        "smtp_forward.ini:4: [example.com] port: 'many' is not a whole number",
        "smtp_forward.ini:6: [b.example] prot: unknown key, did you mean port?",
        "smtp_forward.ini:8: [b.example] bind: 'y' is not an IP address",
    ]


def test_relay(install: Install) -> None:
    install.write("relay.ini", "[relay]\nacl=false\ndest_domains=true\n")
    settings = install.config.settings(RelaySettings)
    assert (settings.acl, settings.force_routing, settings.all, settings.dest_domains) == (
        False,
        True,
        False,
        True,
    )


def test_routes(install: Install) -> None:
    install.write(
        "relay_dest_domains.ini",
        '[domains]\nexample.com={"action":"accept","nexthop":"10.0.0.1:26"}\nb.example = { "action" : "deny" }\nc.example={}\n',
    )
    assert install.config.settings(RelayDestDomainsSettings).domains == {
        "example.com": Route("accept", "10.0.0.1:26"),
        "b.example": Route("deny"),
        "c.example": Route(""),
    }


@pytest.mark.parametrize(
    ("file", "text", "value", "problems"),
    [
        (PLUGIN_TIMEOUT, "2.5", 2.5, []),
        (PLUGIN_TIMEOUT, "; c\nsoon", 30.0, ["plugin_timeout:2: 'soon' is not a number of seconds; allowed: a number of seconds, 0 for no limit"]),
        (PLUGIN_TIMEOUT, None, 30.0, []),
        (ANTI_SPOOF, "false", False, []),
        (ANTI_SPOOF, "true", True, []),
        (LOGLEVEL, "debug", "DEBUG", []),
        (LOGLEVEL, "", "", []),
    ],
)  # fmt: skip
def test_value_files(
    install: Install, file: ValueFile[object], text: str | None, value: object, problems: list[str]
) -> None:
    if text is not None:
        install.write(file.name, text)
    assert install.config.value(file) == value
    assert install.problems == problems


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("relay_acl_allow", "; ours\n10.0.0.0/8\n10.0.0.0/99\n::1\n", "relay_acl_allow:3: '10.0.0.0/99' is neither an address nor a network; allowed: an address such as"),
        ("relay_acl_allow", "localhost\n", "relay_acl_allow:1: 'localhost' is neither an address nor a network"),
        ("host_list_regex", "good\\.example\n\nx(\n", "host_list_regex:3: 'x(' is not a regular expression: missing )"),
        ("smtp.yaml", '"!relay_acl_allow":\n  - 10.0.0.1\n  - here\n', "smtp.yaml:3: 'here' is neither an address nor a network"),
    ],
)  # fmt: skip
def test_a_list_names_each_entry_that_is_not_what_it_is_made_of(
    install: Install, name: str, text: str, problem: str
) -> None:
    install.write(name, text)
    install.config.get("host_list_regex" if name == "host_list_regex" else "relay_acl_allow", "list")
    assert len(install.problems) == 1
    assert install.problems[0].startswith(problem)
    assert install.reported[0].fatal


def test_sections_of_tls_ini_are_server_names(install: Install) -> None:
    install.write(
        "tls.ini",
        "minVersion=TLSv1.3\n[mail.test]\nciphers=X\n[no.test]\nminVersion=2\nrequireAuthorized[]=25\nx=1\n"
        "[mutual_auth_hosts]\nmx.test=x.test\n192.0.2.0/24=\n192.0.2.0/99=x\n[authorized_hosts]\n192.0.2.0/24=a, b\nhost.test=\n",
    )
    main = install.config.settings(TlsSettings)
    named = install.config.named(TlsSettings)
    assert main.authorized_hosts == {"192.0.2.0/24": ("a", "b")}
    assert main.mutual_auth_hosts == {"mx.test": "x.test", "192.0.2.0/24": ""}
    assert set(named) == {"mail.test", "no.test"}
    assert (named["mail.test"].min_version, named["mail.test"].ciphers) == ("TLSv1.3", "X")
    assert (named["no.test"].min_version, named["no.test"].require_authorized) == ("TLSv1.3", ())
    said = "\n".join(install.problems)
    for expected in (
        "[no.test] minVersion: '2' is not one of them",
        "[no.test] requireAuthorized: this counts in [main] only",
        "[no.test] x: unknown key",
        "[authorized_hosts] host.test: 'host.test' is neither an address nor a network",
        "[mutual_auth_hosts] 192.0.2.0/99: '192.0.2.0/99' is neither an address nor a network",
    ):
        assert expected in said
    assert len(install.problems) == 5


def test_the_survey_names_files_that_are_not_read(install: Install) -> None:
    install.write("results.ini", "x=80")
    install.write("deny_includes_uuid", "true")
    install.write("greylist.ini", "")
    install.config.survey()
    assert install.problems == [
        "results.ini: a Haraka file that this release does not read yet",
        "deny_includes_uuid: not read; write [uuid] deny_chars in connection.ini",
    ]


def test_every_kind_says_what_it_allows_in_one_line() -> None:
    from mta.config import kinds

    found = [value for value in vars(kinds).values() if isinstance(value, Kind)]
    assert found and all(kind.allowed and "\n" not in kind.allowed for kind in found)
