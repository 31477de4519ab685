"""smtp.ini user and group: a server that was started by root serves as somebody else."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import time
from pathlib import Path

import pytest

from mta.config.schema import SpoolSettings
from mta.control.master import ask_master
from mta.logger import Logger
from mta.outbound.share import Share
from mta.outbound.spool import Spool
from mta.privileges import Identity, PrivilegesError, become, hand_over, identity
from tests.support import server
from tests.support.entries import SMALL, Message, todo
from tests.support.needs import root
from tests.support.proc import owners, tree
from tests.support.server import eventually
from tests.support.sink import RecordingSink
from tests.support.workers import pids

NOBODY = pwd.getpwnam("nobody")


@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [
        ("", "", None),
        ("nobody", "", Identity("nobody", NOBODY.pw_uid, NOBODY.pw_gid)),
        (str(NOBODY.pw_uid), "", Identity("nobody", NOBODY.pw_uid, NOBODY.pw_gid)),
        ("nobody", "daemon", Identity("nobody", NOBODY.pw_uid, 1)),
        ("nobody", "1", Identity("nobody", NOBODY.pw_uid, 1)),
    ],
)
def test_names_and_numbers(user: str, group: str, expected: Identity | None) -> None:
    assert identity(user, group) == expected


@pytest.mark.parametrize(
    ("user", "group", "message"),
    [
        ("no-such-user", "", "smtp.ini user: there is no user 'no-such-user'"),
        ("nobody", "no-such-group", "smtp.ini group: there is no group 'no-such-group'"),
        ("4000000", "", "no user '4000000'"),
    ],
)
def test_nobody_of_that_name(user: str, group: str, message: str) -> None:
    with pytest.raises(PrivilegesError, match=message):
        identity(user, group)


def test_what_is_handed_over_and_what_is_not(tmp_path: Path) -> None:
    root()
    queue, precious = tmp_path / "queue", tmp_path / "precious"
    queue.mkdir()
    precious.write_text("root's own")
    (queue / "entry").write_text("mail")
    os.link(precious, queue / "hard")
    os.symlink(precious, queue / "soft")
    to = Identity("nobody", NOBODY.pw_uid, 1)
    hand_over((queue, tmp_path / "queue.state"), to)
    owner = {path.name: path.lstat().st_uid for path in (*queue.iterdir(), queue, tmp_path / "queue.state")}
    assert owner == {"entry": to.uid, "soft": to.uid, "hard": 0, "queue": to.uid, "queue.state": to.uid}
    assert precious.stat().st_uid == 0


def test_new_workers_give_up_roots_rights_too_and_their_user_may_ask_for_them(tmp_path_factory) -> None:
    root()
    directory = Path(tmp_path_factory.mktemp("house"))
    for part in (directory, *directory.parents):
        if part.is_relative_to("/tmp") and part != Path("/tmp"):
            part.chmod(0o755)  # pytest's own directories are root's alone
    relay = server.relay(
        directory, 9, {"smtp.ini": "listen=127.0.0.1:{port}\nuser=nobody\ngroup=daemon\nnodes=2\n"}
    )
    with relay:
        old = pids(relay)
        (directory / "config" / "smtp.ini").write_text(
            f"listen=127.0.0.1:{relay.port}\nuser=daemon\nnodes=2\n"
        )
        state = directory / "queue.state"
        asked = os.fork()
        if asked == 0:  # an operator who is that user
            try:
                become(identity("nobody", "daemon"))
                os._exit(0 if ask_master(state, "graceful", 60)["needs_restart"] else 2)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(asked, 0)[1]) == 0, relay.log
        new = pids(relay)
        assert set(new).isdisjoint(old)
        assert "smtp.ini user has changed: that needs a restart" in relay.log
        for pid in new:
            assert owners(pid) == {"Uid": {NOBODY.pw_uid}, "Gid": {1}, "Groups": set()}
    assert relay.returncode == 0


def test_mail_of_another_number_of_workers_is_theirs_too(tmp_path_factory) -> None:
    """The master replays their journals while it is root still."""
    root()
    directory = Path(tmp_path_factory.mktemp("house"))
    for part in (directory, *directory.parents):
        if part.is_relative_to("/tmp") and part != Path("/tmp"):
            part.chmod(0o755)  # pytest's own directories are root's alone
    queue = directory / "queue"
    left = left_by_another(directory)
    with RecordingSink() as sink:
        relay = server.relay(
            directory,
            sink.port,
            {"smtp.ini": "listen=127.0.0.1:{port}\nuser=nobody\ngroup=daemon\nnodes=2\n"},
        )
        with relay:
            sink.wait_for_rcpt(left)
            assert relay.wait_until_idle()
    assert not list(queue.glob("journal.0.3.*"))


def left_by_another(directory: Path) -> str:
    """A queue that is nobody's, with a segment of a server of three workers; a recipient in it."""
    before, queue = directory / "before", directory / "queue"
    spool = Spool(
        before, Logger(write=lambda line: None), hostname="h", share=Share(0, 3), journal=SpoolSettings()
    )
    spool.open()
    spool.commit([todo()], Message(SMALL), int(time.time() * 1000), passing=True)
    shutil.copytree(before, queue)  # as a crash leaves it
    spool.close()
    for path in (queue, *queue.iterdir()):
        os.chown(path, NOBODY.pw_uid, 1)
    return todo().rcpt_to[0].address


@pytest.mark.parametrize("nodes", [0, 2])
def test_the_server_gives_up_roots_rights_and_can_use_its_queue(nodes: int, tmp_path_factory) -> None:
    root()
    directory = Path(tmp_path_factory.mktemp("house"))
    for part in (directory, *directory.parents):
        if part.is_relative_to("/tmp") and part != Path("/tmp"):
            part.chmod(0o755)  # pytest's own directories are root's alone
    with RecordingSink() as sink:
        relay = server.relay(
            directory,
            sink.port,
            {"smtp.ini": f"listen=127.0.0.1:{{port}}\nuser=nobody\ngroup=daemon\nnodes={nodes}\n"},
        )
        with relay:
            with smtplib.SMTP("127.0.0.1", relay.port) as smtp:
                smtp.sendmail("a@a.test", ["b@b.test"], "Subject: hi\r\n\r\nbody\r\n")
            sink.wait_for(1, 20)
            nobody = {"Uid": {NOBODY.pw_uid}, "Gid": {1}, "Groups": set()}
            # The first worker serves before the others are there.
            assert eventually(lambda: len(tree(relay.pid)) == 1 + nodes)
            serving = tree(relay.pid) if nodes == 0 else tree(relay.pid)[1:]
            assert eventually(lambda: all(owners(pid) == nobody for pid in serving))
            assert relay.queue.stat().st_uid == NOBODY.pw_uid
            assert os.stat(directory / "queue.state").st_uid == NOBODY.pw_uid
        assert "serving as user nobody" in relay.log
        assert "belongs to user" not in relay.log
        assert "Traceback" not in relay.log


def test_a_user_that_does_not_exist_keeps_the_server_from_starting(tmp_path: Path) -> None:
    relay = server.relay(tmp_path / "relay", 9, {"smtp.ini": "listen=127.0.0.1:{port}\nuser=no-such-user\n"})
    status, output = relay.run_to_end()
    assert status == 1
    assert "smtp.ini:2: user: there is no user 'no-such-user'" in output
