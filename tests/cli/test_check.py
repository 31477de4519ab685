"""`haraka check -c DIR` from outside: lines, summary, exit status, JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import haraka


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """As it is made, but for the port: 25 is not everybody's."""
    assert haraka("-i", str(tmp_path)).returncode == 0
    smtp_ini = tmp_path / "config" / "smtp.ini"
    as_made = smtp_ini.read_text()
    assert "\nlisten=[::0]:25\n" in as_made
    smtp_ini.write_text(as_made.replace("\nlisten=[::0]:25\n", "\nlisten=127.0.0.1:0\n"))
    return tmp_path


def test_a_fresh_installation_is_clean(house: Path) -> None:
    result = haraka("check", "-c", str(house), "--strict")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{house}: no problems found\n", "")


def test_warnings_fail_with_strict_only(house: Path) -> None:
    (house / "config" / "smtp.ini").write_text("listen=127.0.0.1:0\nlissten=25\n")
    relaxed, strict = haraka("check", "-c", str(house)), haraka("check", "--strict", "-c", str(house))
    assert (relaxed.returncode, strict.returncode) == (0, 1)
    assert relaxed.stdout == strict.stdout
    first, last = relaxed.stdout.splitlines()
    assert first.startswith(f"{house}/config/smtp.ini:2: warning: [main] lissten: unknown key")
    assert last == f"{house}: 1 warning"


def test_errors_fail(house: Path) -> None:
    (house / "config" / "smtp.ini").write_text("listen=127.0.0.1:0\nport=x\ninactivity_timeout=y\nz=1\n")
    result = haraka("check", "-c", str(house))
    assert (result.returncode, result.stderr) == (1, "")
    lines = result.stdout.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == ["error", "error", "warning"]
    assert lines[-1] == f"{house}: 2 errors, 1 warning"


def test_json(house: Path) -> None:
    (house / "config" / "outbound.ini").write_text("disabled=perhaps\n")
    result = haraka("check", "-c", str(house), "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout) == {
        "installation": str(house),
        "errors": 1,
        "warnings": 0,
        "findings": [
            {
                "severity": "error",
                "file": f"{house}/config/outbound.ini",
                "line": 1,
                "section": "main",
                "key": "disabled",
                "message": "'perhaps' is neither true nor false",
                "allowed": "true, false",
            }
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "check needs -c DIR"),
        (["check", "-c", "/no/such/place"], "/no/such/place is not a directory"),
        (["check", "-c", "/"], "/ has no directory config"),
        (["check", "--loud"], "unrecognized arguments: --loud"),
    ],
)
def test_usage(arguments: list[str], said: str) -> None:
    result = haraka(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
