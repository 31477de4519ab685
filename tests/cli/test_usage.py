"""The command line from outside: version, help, and what happens when the arguments make no sense."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mta.cli import main
from mta.version import VERSION
from tests.support.command import HARAKA, haraka


def test_version() -> None:
    result = haraka("-v")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"Haraka-compatible MTA, version {VERSION}\n"
    assert haraka("--version").stdout == haraka("--vers").stdout == result.stdout


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_every_option(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    shown = capsys.readouterr().out
    for option in (
        "-c",
        "-i",
        "-f",
        "-v",
        "-h",
        "-l",
        "-o",
        "-p",
        "-t",
        "--ip",
        "--helo",
        "--ehlo",
        "--envfrom",
        "--envrcpt",
        "--message",
        "--set-relay",
        "--skip-deny",
        "--dump-mime",
        "--dump-stream",
        "--qlist",
        "--qstat",
        "check",
        "--strict",
        "--json",
        "demo",
        "--once",
    ):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", shown), option


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to do"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["frobnicate"], "there is no command 'frobnicate'"),
        (["-c"], "expected one argument"),
        (["-i"], "expected one argument"),
        (["-c", ""], "the name of the directory is empty"),
        (["-c", "/no/such/place"], "/no/such/place is not a directory"),
        (["-c", "/"], "/ has no directory config (haraka -i / makes an installation)"),
        (["-o"], "-o needs -c DIR"),
        (["-p", "x"], "-p needs -c DIR"),
        (["-t", "x"], "-t needs -c DIR"),
        (["-l", "--ip", "192.0.2.1"], "--ip only goes with -t PLUGIN"),
        (["-c", ".", "--skip-deny"], "--skip-deny only goes with -t PLUGIN"),
        (["-t", "x", "--ip", "here"], "--ip: 'here' is not an IP address"),
        (["-t", "x", "--helo", "a", "--ehlo", "b"], "not allowed with argument"),
        (["--qlist"], "--qlist needs -c DIR"),
        (["--qstat"], "--qstat needs -c DIR"),
        (["--qlist", "-c", "/no/such/place"], "/no/such/place is not a directory"),
        (["-l", "-c", "/no/such/place"], "/no/such/place is not a directory"),
        (["-f"], "-f only goes with -i DIR"),
        (["-v", "-l"], "not allowed with"),
        (["-c", "/tmp", "extra"], "unrecognized arguments: extra"),
        (["demo", "--twice"], "unrecognized arguments: --twice"),
        (["demo", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_usage_error_is_one_line_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("haraka: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


def test_usage_error_reaches_the_shell() -> None:
    result = haraka("--frobnicate")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "haraka: unrecognized arguments: --frobnicate; haraka -h shows the usage\n"


def test_help_page_of_the_installation_comes_first(tmp_path: Path) -> None:
    (tmp_path / "docs" / "plugins").mkdir(parents=True)
    (tmp_path / "docs" / "Logging.md").write_text("my own logging page\n")
    (tmp_path / "docs" / "plugins" / "rcpt_to.mine.md").write_text("grüße\n")
    assert haraka("-h", "Logging", "-c", str(tmp_path)).stdout == "my own logging page\n"
    assert haraka("-c", str(tmp_path), "-h", "rcpt_to.mine").stdout == "grüße\n"
    assert haraka("-h", "Logging").stdout.startswith("# Logging\n")


@pytest.mark.parametrize("name", ["relay", "rcpt_to.in_host_list", "queue/smtp_forward", "CoreConfig"])
def test_help_page_of_what_is_shipped(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h", name]) == 0
    assert capsys.readouterr().out.startswith("# ")


@pytest.mark.parametrize("name", ["nope", "../README", "/etc/passwd", "Logging.md", "."])
def test_no_such_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-h", name]) == 1
    assert capsys.readouterr() == ("", f"haraka: no documentation found for {name}\n")


@pytest.mark.parametrize(
    ("pager", "first"),
    [("sed -n 1s/^/PAGED/p", "PAGED# Logging"), ("/no/such/pager", "haraka: cannot start the pager")],
)
def test_help_page_goes_through_the_pager_on_a_terminal(pager: str, first: str) -> None:
    terminal, end = pty.openpty()
    environment = {**os.environ, "PAGER": pager}
    status = subprocess.run(
        [sys.executable, HARAKA, "-h", "Logging"], stdout=end, stderr=end, env=environment, timeout=20
    )
    os.close(end)
    shown = os.read(terminal, 4096).decode()
    os.close(terminal)
    assert status.returncode == 0
    assert shown.startswith(first)
    assert "# Logging" in shown


def test_output_that_nobody_reads_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, HARAKA, "-h", "Logging"], stdout=writer, stderr=subprocess.PIPE, timeout=20
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")
