"""logging/file: names by time and session, several files, rotation, a command, and disks that fail."""

from __future__ import annotations

import json
import os
import re
import stat
import time

from mta.logger import DEBUG, INFO
from mta.plugin import Plugin
from tests.support.install import eventually
from tests.support.logged import Logged

UUID = r"[0-9A-F]{8}-[0-9A-F-]{27}"


def read(path):
    return path.read_text().splitlines() if path.exists() else []


def with_file(tmp_path, ini, *extra, level=INFO):
    return Logged(tmp_path, ["logging/file"], {"logging_file.ini": ini}, *extra, level=level)


def test_a_line_has_time_host_and_process(tmp_path):
    with with_file(tmp_path, "path=log/mail.log\n") as logged:
        logged.logger.notice("hello", {"k": "v w"}, origin="x", uuid="U.1")
    (line,) = read(tmp_path / "log/mail.log")
    stamp = r"\w{3} \w{3} \d\d \d\d:\d\d:\d\d \d{4}"
    assert re.fullmatch(rf'{stamp} \S+\[{os.getpid()}\]: \[NOTICE\] \[U\.1\] \[x\] hello k="v w"', line)
    assert logged.lines == ['[NOTICE] [U.1] [x] hello k="v w"']


def test_files_are_not_for_everybody(tmp_path):
    with with_file(tmp_path, "path=log/mail.log\n") as logged:
        logged.logger.notice("hello")
    assert stat.S_IMODE((tmp_path / "log/mail.log").stat().st_mode) & 0o137 == 0
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) & 0o027 == 0


def test_forms_and_times(tmp_path):
    ini = "path=a.json\nformat=json\n[logfmt]\npath=a.logfmt\nformat=logfmt\n[iso]\npath=a.iso\nformat=default\ntsformat=%Y\n"
    with with_file(tmp_path, ini) as logged:
        logged.logger.notice("hello", {"n": 1})
    (line,) = read(tmp_path / "a.json")
    assert json.loads(line)["n"] == 1 and "timestamp" in json.loads(line)
    assert read(tmp_path / "a.logfmt")[0].startswith("timestamp=2")
    assert re.match(r"\d{4} \S+\[", read(tmp_path / "a.iso")[0])


def test_each_section_has_its_own_level(tmp_path):
    ini = "path=all.log\n[debug]\npath=debug.log\nloglevel=debug\n[errors]\npath=errors.log\nloglevel=error\n"
    with with_file(tmp_path, ini, level=INFO) as logged:
        assert logged.logger.level == DEBUG
        for name in ("debug", "info", "error"):
            getattr(logged.logger, name)(name)
    last = lambda name: [line.split()[-1] for line in read(tmp_path / name)]  # noqa: E731
    assert last("all.log") == ["info", "error"]
    assert last("debug.log") == ["debug", "info", "error"]
    assert last("errors.log") == ["error"]
    assert [line.split()[-1] for line in logged.lines] == ["info", "error"]


def test_instead_of_standard_output(tmp_path):
    with with_file(tmp_path, "path=a.log\nalways_ok=true\n") as logged:
        logged.logger.info("m")
    assert logged.lines == [] and len(read(tmp_path / "a.log")) == 1


def test_what_one_section_takes_over_is_no_matter_of_the_others(tmp_path):
    ini = "path=all.log\n[errors]\npath=errors.log\nloglevel=error\nalways_ok=true\n"
    with with_file(tmp_path, ini) as logged:
        logged.logger.info("m")
        logged.logger.error("e")
    assert logged.lines == ["[INFO] [-] [core] m"]
    assert len(read(tmp_path / "all.log")) == 2


def test_names_by_time(tmp_path):
    with with_file(tmp_path, "path=log/%Y/mail.%Y-%m-%d.100%%.log\n") as logged:
        logged.logger.info("m")
    assert len(read(tmp_path / time.strftime("log/%Y/mail.%Y-%m-%d.100%%.log"))) == 1


def test_the_file_changes_with_the_time_of_the_record(tmp_path):
    with with_file(tmp_path, "path=%H.log\n") as logged:
        place = logged.plugin("logging/file").places[0]
        seen = []

        class At(Plugin):
            def hook_log(self, record):
                seen.append(record)

        logged.logger.info("m")
        from mta.logger import Record

        for hour in (1, 2):
            record = Record(INFO, f"at {hour}", None, "core", "-")
            record.time = time.mktime((2026, 3, 1, hour, 30, 0, 0, 0, -1))
            place.take(record)
    assert read(tmp_path / "01.log")[-1].endswith("at 1")
    assert read(tmp_path / "02.log")[-1].endswith("at 2")


def test_a_file_for_each_session(tmp_path):
    with with_file(tmp_path, "path=log/%i.log\n") as logged:
        logged.logger.info("of nobody")
        logged.session("bob@example.com")
        logged.session("bob@example.com")
        assert logged.idle()
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert len(names) == 3 and names[-1] == "parent.log"
    for name in names[:2]:
        assert re.fullmatch(rf"{UUID}\.log", name)
        lines = read(tmp_path / "log" / name)
        assert " connect " in lines[0] and " disconnect " in lines[-1]
        assert all(f"[{name[:36]}" in line for line in lines)


def test_nosplit_keeps_a_session_in_its_first_file(tmp_path):
    with with_file(
        tmp_path, "path=%S.log\nnosplit=true\n[split]\npath=split.%S.log\nnosplit=false\n"
    ) as logged:
        client = logged.inbound.client()
        client.ask("EHLO client.test")
        first = time.strftime("%S")
        assert eventually(lambda: time.strftime("%S") != first)
        assert eventually(lambda: client.ask("NOOP").startswith("250"))
        logged.session("bob@example.com")
        client.ask("MAIL FROM:<a@example.org>")
        client.ask("QUIT")
        client.read()
        client.close()
        assert logged.idle()
    files = {path.name: read(path) for path in tmp_path.glob("[0-9][0-9].log")}
    uuids = [{re.search(UUID, line)[0] for line in lines} for lines in files.values()]
    assert len(uuids) == 2 and not uuids[0] & uuids[1]
    split = [read(path) for path in tmp_path.glob("split.*.log")]
    assert any(sum(uuid in "".join(lines) for lines in split) > 1 for uuid in uuids[0] | uuids[1])


def test_rotation_with_sighup(tmp_path):
    path = tmp_path / "a.log"
    with with_file(tmp_path, "path=a.log\n") as logged:
        plugin = logged.plugin("logging/file")
        logged.logger.info("one")
        assert plugin.files.flush()
        path.rename(tmp_path / "a.log.1")
        logged.logger.info("two")
        assert plugin.files.flush()
        assert not path.exists()
        assert plugin.server.reopen() == []
        logged.logger.info("three")
    assert [line.split()[-1] for line in read(tmp_path / "a.log.1")] == ["one", "two"]
    assert [line.split()[-1] for line in read(path)] == ["three"]


def test_reopen_looks_for_the_file_at_each_connection(tmp_path):
    path = tmp_path / "a.log"
    with with_file(tmp_path, "path=a.log\nreopen=true\n") as logged:
        logged.session("bob@example.com")
        assert eventually(
            lambda: logged.plugin("logging/file").files.flush() and " disconnect " in path.read_text()
        )
        path.rename(tmp_path / "a.log.1")
        logged.session("bob@example.com")
    assert " connect " in read(path)[0] and " connect " in read(tmp_path / "a.log.1")[0]


def test_a_command_reads_the_lines_and_is_started_again(tmp_path):
    out = tmp_path / "out"
    ini = f"path=|cat >> {out}\n"
    with with_file(tmp_path, ini) as logged:
        logged.logger.info("one")
        assert eventually(lambda: len(read(out)) == 1)
        command = logged.plugin("logging/file").places[0].command
        first = command.process
        command.began = 0.0
        first.kill()
        assert eventually(lambda: first.poll())

        def came():
            logged.logger.info("two")
            return any(line.endswith("two") for line in read(out))

        assert eventually(came)
        assert command.process is not first
    assert eventually(lambda: command.process.poll() == 0)


def test_a_file_that_can_not_be_written_is_told_once_and_loses_no_session(tmp_path):
    (tmp_path / "log").write_text("in the way")
    with with_file(tmp_path, "path=log/a.log\n") as logged:
        for _ in range(3):
            logged.logger.info("m")
            logged.plugin("logging/file").files.flush()
        assert logged.session("bob@example.com")[-1].startswith("250 ")
        assert eventually(lambda: any("cannot write" in line for line in logged.lines))
        assert sum("cannot write" in line for line in logged.lines) == 1
        (tmp_path / "log").unlink()
        logged.logger.info("works again")
    lines = read(tmp_path / "log/a.log")
    assert lines[-1].endswith("works again") or lines[-2].endswith("works again")
    assert any("log lines were dropped" in line for line in lines)


def test_many_sessions_keep_few_files_open(tmp_path):
    with with_file(tmp_path, "path=log/%i.log\n") as logged:
        for number in range(300):
            logged.logger.info("m", uuid=f"U{number}")
        assert logged.plugin("logging/file").files.flush()
        links = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        assert 0 < sum(str(tmp_path) in link for link in links) <= 64
    assert len(list((tmp_path / "log").iterdir())) == 300


def test_settings_are_followed(tmp_path):
    with with_file(tmp_path, "path=a.log\n") as logged:
        plugin = logged.plugin("logging/file")
        plugin.config.watch()
        (tmp_path / "config/logging_file.ini").write_text("path=b.log\nloglevel=debug\n")
        assert eventually(lambda: logged.logger.level == DEBUG)
        logged.logger.debug("m")
        plugin.config.close()
    assert [line.split()[-1] for line in read(tmp_path / "b.log")] == ["m"]
