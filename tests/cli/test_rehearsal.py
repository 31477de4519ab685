"""`haraka -t PLUGIN`: a session that shows what each plugin says."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from mta.cli import main
from tests.support.command import haraka

PLUGINS = {
    "first.py": """
from mta.plugin import Plugin

class First(Plugin):
    def hook_connect(self, connection):
        connection.notes.first = True

    def hook_data_post(self, connection):
        connection.transaction.add_header("X-First", connection.remote.ip)
        self.loginfo("marked", {"relaying": connection.relaying}, connection)
""",
    "strict.py": """
from mta.plugin import DENY, DENYDISCONNECT, Plugin

class Strict(Plugin):
    def hook_ehlo(self, connection, host):
        return (DENY, "who is that") if host == "stranger" else None

    def hook_mail(self, connection, mail_from, params):
        return (DENYDISCONNECT, "not you") if mail_from.user == "spammer" else None

    def hook_rcpt(self, connection, rcpt, params):
        return (DENY, f"no {rcpt.user}") if rcpt.user == "nobody" else None
""",
    "broken.py": """
from mta.plugin import Plugin

class Broken(Plugin):
    def hook_helo(self, connection, host):
        raise ValueError("no database")
""",
    "slow.py": """
import time
from mta.plugin import Plugin

class Slow(Plugin):
    timeout = 0.05

    def hook_data_post(self, connection):
        time.sleep(20)
""",
    "keeps.py": """
from pathlib import Path
from mta.plugin import OK, Plugin

class Keeps(Plugin):
    def hook_queue(self, connection):
        (Path(self.config.directory) / "kept").touch()
        return OK
""",
}
MESSAGE = b"""Subject: two parts
Content-Type: multipart/mixed; boundary=x

--x

hello\x1b[2J
--x
Content-Type: application/pdf; name=bill.pdf

%PDF
--x--
"""


@pytest.fixture
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["-i", str(tmp_path)]) == 0
    for name, text in PLUGINS.items():
        (tmp_path / "plugins" / name).write_text(text)
    (tmp_path / "config" / "me").write_text("mx.house.example\n")
    (tmp_path / "mail.eml").write_bytes(MESSAGE)
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def play(house: Path, capsys: pytest.CaptureFixture[str]):
    def play(*arguments: str) -> tuple[int, str]:
        status = main(["-c", str(house), *arguments])
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return play


def calls(shown: str) -> list[tuple[str, str, str]]:
    """Hook, plugin with method, and answer of each line that tells of one."""
    rows = re.findall(r"^   (\w+) +(\S+\.\w+) +(.*?) +[0-9.]+ ms$", shown, re.MULTILINE)
    return [(hook, who, answer) for hook, who, answer in rows]


def test_every_hook_its_verdict_and_its_time(play) -> None:
    status, shown = play("-t", "first", "-t", "strict")
    assert status == 0
    assert calls(shown) == [
        ("connect", "first.hook_connect", "CONT"),
        ("ehlo", "strict.hook_ehlo", "CONT"),
        ("mail", "strict.hook_mail", "CONT"),
        ("rcpt", "strict.hook_rcpt", "CONT"),
        ("data_post", "first.hook_data_post", "CONT"),
    ]
    assert "S: 220 mx.house.example ESMTP" in shown
    assert "C: EHLO localhost\n" in shown
    assert "   INFO [first] marked relaying=False\n" in shown
    assert shown.rstrip().splitlines()[-1].startswith("accepted: 250 2.0.0 ")


def test_the_options_are_what_the_plugins_see(play) -> None:
    status, shown = play(
        *("-t", "first", "--ip", "127.0.0.9", "--helo", "client", "--envfrom", "", "--set-relay"),
        *("--envrcpt", "a@x.example", "--envrcpt", "b@x.example", "--dump-stream"),
    )
    assert status == 0
    for line in ("C: HELO client", "C: MAIL FROM:<>", "C: RCPT TO:<a@x.example>", "C: RCPT TO:<b@x.example>"):
        assert f"{line}\n" in shown
    assert "X-First: 127.0.0.9" in shown and "marked relaying=True" in shown


@pytest.mark.parametrize(
    ("options", "said", "last"),
    [
        (["--ehlo", "stranger"], "550 5.7.1 who is that", "C: QUIT"),
        (["--envfrom", "spammer@x.example"], "550 5.7.1 not you", "C: MAIL FROM:<spammer@x.example>"),
        (["--envrcpt", "nobody@x.example"], "550 5.7.1 no nobody", "C: QUIT"),
    ],
)
def test_a_refusal_ends_it(play, options: list[str], said: str, last: str) -> None:
    status, shown = play("-t", "strict", *options)
    assert status == 1
    assert f"refused: {said}\n" in shown
    assert [line for line in shown.splitlines() if line.startswith("C: ")][-1] == last


def test_one_of_two_recipients_is_enough(play) -> None:
    status, shown = play("-t", "strict", "--envrcpt", "nobody@x.example", "--envrcpt", "bob@x.example")
    assert (status, "550 5.7.1 no nobody" in shown) == (0, True)


def test_skip_deny_goes_on(play) -> None:
    status, shown = play(
        "-t", "strict", "first", "--skip-deny", "--ehlo", "stranger", "--envrcpt", "nobody@x.example"
    )
    assert status == 0
    assert ("rcpt", "strict.hook_rcpt", "DENY no nobody") in calls(shown)
    assert ("data_post", "first.hook_data_post", "CONT") in calls(shown)
    assert "skip-deny" not in shown


def test_dump_mime(play, house: Path) -> None:
    status, shown = play("-t", "first", "--message", str(house / "mail.eml"), "--dump-mime")
    assert status == 0
    part = shown.split("--- MIME structure\n")[1].split("\n---\n")[0].splitlines()
    assert part == [
        "multipart/mixed",
        "  text/plain",
        "    | hello\\x1b[2J",
        "  application/pdf attachment bill.pdf",
    ]


def test_dump_stream_shows_what_plugins_left(play, house: Path) -> None:
    _, shown = play("-t", "first", "--message", str(house / "mail.eml"), "--dump-stream")
    message = shown.split("--- message\n")[1].split("\n---\n")[0]
    assert "Subject: two parts" in message and "X-First: 127.0.0.1" in message and "%PDF" in message


def test_a_mail_from_the_standard_input(play, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"Subject: piped\n\nx\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    status, shown = play("-t", "first", "--message", "-", "--dump-stream")
    assert (status, "Subject: piped" in shown) == (0, True)


def test_a_plugin_that_breaks(play) -> None:
    status, shown = play("-t", "broken", "--helo", "x")
    assert status == 1
    assert ("helo", "broken.hook_helo", "ValueError: no database") in calls(shown)
    assert "Traceback" in shown and "plugins/broken.py" in shown and "a plugin has failed" in shown


def test_a_plugin_that_takes_too_long(play) -> None:
    status, shown = play("-t", "slow")
    assert status == 1
    assert ("data_post", "slow.hook_data_post", "TookTooLong") in calls(shown)
    assert "timed out on hook data_post" in shown


def test_a_queue_plugin_by_name_is_played_to_its_end(play, house: Path) -> None:
    status, shown = play("-t", "keeps")
    assert (status, ("queue", "keeps.hook_queue", "OK") in calls(shown)) == (0, True)
    assert (house / "config" / "kept").exists()


def test_all_is_the_list_of_the_installation_and_sends_nothing(play, house: Path) -> None:
    (house / "config" / "plugins").write_text("rcpt_to.in_host_list\nkeeps\n")
    (house / "config" / "host_list").write_text("house.example\n")
    status, shown = play("-t", "all")
    assert status == 1 and "I cannot deliver mail for <recipient@example.com>" in shown
    status, shown = play("-t", "all", "--envrcpt", "bob@house.example")
    assert status == 0 and ("rcpt", "rcpt_to.in_host_list.hook_rcpt", "OK") in calls(shown)
    assert not (house / "config" / "kept").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-t", "nosuch"], "No plugin with this name found"),
        (
            ["-t", "first", "--message", "/no/such/file"],
            "cannot read /no/such/file: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_played(play, arguments: list[str], said: str) -> None:
    status, shown = play(*arguments)
    assert status == 1
    assert shown.startswith("haraka: ") and shown.count("\n") == 1 and said in shown


def test_as_a_command(house: Path) -> None:
    result = haraka("-c", str(house), "-t", "first")
    assert (result.returncode, result.stderr) == (0, "")
    assert "first.hook_data_post" in result.stdout


def test_a_bad_setting_is_one_line(play, house: Path) -> None:
    (house / "config" / "connection.ini").write_text("[max]\nbytes=many\n")
    status, shown = play("-t", "first")
    assert status == 1
    assert shown.startswith("haraka: ") and "connection.ini:2" in shown and shown.count("\n") == 1


def test_a_plugin_that_is_listed_under_another_name(house: Path, play) -> None:
    (house / "config" / "plugins").write_text("strict\nsecond: strict\n")
    _, shown = play("-t", "second", "--envrcpt", "nobody@example.com")
    assert ("rcpt", "second.hook_rcpt", "DENY no nobody") in calls(shown)
    assert "strict.hook_rcpt" not in shown
