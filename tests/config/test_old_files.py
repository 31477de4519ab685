"""Files of earlier Haraka releases with one value each: read below the key that took their place, with a notice."""

from __future__ import annotations

import gevent
import pytest

from mta.config import watch
from mta.config.old_files import OLD_FILES
from mta.config.schema import ConnectionSettings, OutboundSettings, TooBusySettings
from mta.config.spec import specs
from mta.paths import DOCS
from tests.support.install import Install, eventually

IN_OUTBOUND_INI = [
    ("outbound.disabled", "true", "disabled", True),
    ("outbound.disabled", "1", "disabled", True),
    ("outbound.enable_tls", "false", "enable_tls", False),
    ("outbound.temp_fail_intervals", "1m*2, 1h", "temp_fail_intervals", (60, 60, 3600)),
    ("outbound.maxTempFailures", "5", "max_temp_failures", 5),
    ("outbound.concurrency_max", "; ten at a time\n10\n", "concurrency_max", 10),
    ("outbound.received_header", "my relay", "received_header", "my relay"),
]
IN_CONNECTION_INI = [
    ("haproxy_hosts", "192.0.2.1\n; the other one\n192.0.2.2\n", "haproxy_hosts", ("192.0.2.1", "192.0.2.2")),
    ("smtpgreeting", "hello\nthere\n", "greeting", ("hello", "there")),
    ("ehlo_hello_message", "Hi.", "helo", "Hi."),
    ("connection_close_message", "bye", "close", "bye"),
    ("databytes", "1000", "max_bytes", 1000),
    ("max_mime_parts", "7", "max_mime_parts", 7),
    ("max_line_length", "1024", "max_line_length", 1024),
    ("max_data_line_length", "500", "data_line_length", 500),
    ("max_unrecognized_commands", "5", "max_unrecognized", 5),
]
IN_TOOBUSY_INI = [("toobusy.maxlag", "100", "maxlag", 100)]


@pytest.mark.parametrize(
    ("cls", "name", "text", "field", "value"),
    [
        *((OutboundSettings, *row) for row in IN_OUTBOUND_INI),
        *((ConnectionSettings, *row) for row in IN_CONNECTION_INI),
        *((TooBusySettings, *row) for row in IN_TOOBUSY_INI),
    ],
)
def test_an_old_file_counts_and_is_told(
    install: Install, cls: type, name: str, text: str, field: str, value: object
) -> None:
    install.write(name, text)
    assert getattr(install.config.settings(cls), field) == value
    (problem,) = install.problems
    assert problem.startswith(f"{name}: an old file") and problem.endswith(f"in {cls.FILE}")
    assert not install.reported[0].fatal


def test_the_tables_above_and_the_docs_have_every_old_file() -> None:
    rows = IN_OUTBOUND_INI + IN_CONNECTION_INI + IN_TOOBUSY_INI
    assert {row[0] for row in rows} == {old.name for old in OLD_FILES}
    page = (DOCS / "CoreConfig.md").read_text(encoding="utf-8").splitlines()
    for old in OLD_FILES:
        assert f"| `{old.name}` | {old.ini} [{old.section}] {old.key}{'[]' if old.lines else ''} |" in page


def test_every_key_that_took_a_place_exists() -> None:
    known = {
        (cls.FILE, spec.section, spec.key)
        for cls in (OutboundSettings, ConnectionSettings, TooBusySettings)
        for _, spec in specs(cls)
    }
    assert {(old.ini, old.section, old.key) for old in OLD_FILES} <= known


@pytest.mark.parametrize(
    ("ini", "name", "text", "field", "value"),
    [
        ("concurrency_max=7", "outbound.concurrency_max", "5", "concurrency_max", 7),
        ("received_header=disabled", "outbound.received_header", "x", "received_header", "disabled"),
        ("temp_fail_intervals=none", "outbound.temp_fail_intervals", "1m", "temp_fail_intervals", ()),
        ("disabled=true", "outbound.disabled", "false", "disabled", True),
    ],
)
def test_the_key_in_the_ini_file_wins(
    install: Install, ini: str, name: str, text: str, field: str, value: object
) -> None:
    install.write("outbound.ini", f"{ini}\n")
    install.write(name, text)
    assert getattr(install.config.settings(OutboundSettings), field) == value
    assert install.problems == [f"{name}: not read, because outbound.ini says {ini.partition('=')[0]}"]


@pytest.mark.parametrize("ini", ["disabled=false", "disabled=", "disabled"])
def test_unless_it_says_no(install: Install, ini: str) -> None:
    install.write("outbound.ini", f"{ini}\n")
    install.write("outbound.disabled", "true")
    assert install.config.settings(OutboundSettings).disabled


def test_an_empty_old_file_means_nothing(install: Install) -> None:
    install.write("outbound.concurrency_max", "\n; 5\n")
    assert install.config.settings(OutboundSettings) == OutboundSettings()
    assert install.problems == []


def test_a_bad_value_names_the_old_file(install: Install) -> None:
    install.write("outbound.concurrency_max", "many")
    assert install.config.settings(OutboundSettings).concurrency_max == 100
    assert "outbound.concurrency_max:1: [main] concurrency_max: 'many' is not a whole number" in "".join(
        install.problems
    )
    assert [problem.fatal for problem in install.reported] == [False, True]


def test_old_files_are_followed(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "QUIET", 0.02)
    seen: list[OutboundSettings] = []
    install.config.settings(OutboundSettings, seen.append)
    install.config.watch()
    gevent.sleep(0)
    path = install.write("outbound.concurrency_max", "5")
    assert eventually(lambda: seen and seen[-1].concurrency_max == 5)
    path.unlink()
    assert eventually(lambda: seen[-1].concurrency_max == 100)
    install.config.close()
