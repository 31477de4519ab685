"""`haraka -i`: what it makes, what it leaves alone, and that the result is an installation."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from mta import paths
from tests.support.command import haraka

COPIED = ["connection.ini", "log.ini", "outbound.bounce_message", "outbound.ini", "plugins", "smtp.ini"]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_makes_an_installation(tmp_path: Path) -> None:
    house = tmp_path / "a" / "house"
    result = haraka("-i", str(house))
    assert (result.returncode, result.stderr) == (0, "")
    assert sorted(path.name for path in house.iterdir()) == ["README", "config", "docs", "plugins", "queue"]
    assert sorted(path.name for path in (house / "config").iterdir()) == sorted([*COPIED, "me", "host_list"])
    for name in COPIED:
        assert (house / "config" / name).read_bytes() == (paths.ETC / name).read_bytes()
    assert (house / "config" / "me").read_text() == socket.gethostname() + "\n"
    assert (house / "config" / "host_list").read_text().splitlines()[-1] == socket.gethostname()
    assert f"haraka -c {house}" in (house / "README").read_text()
    assert result.stdout.splitlines()[-1] == f"Start it with: haraka -c {house}"


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            house = tmp_path / f"{umask:o}"
            assert haraka("-i", str(house)).returncode == 0
        finally:
            os.umask(before)
        assert {mode(path) for path in (house / "config").iterdir()} == {0o644}
        assert mode(house / "config") == 0o755
        assert mode(house / "queue") == 0o750


def test_keeps_what_is_there(tmp_path: Path) -> None:
    assert haraka("-i", str(tmp_path)).returncode == 0
    (tmp_path / "config" / "me").write_text("mx.example.com\n")
    (tmp_path / "queue").chmod(0o700)
    result = haraka("-i", str(tmp_path))
    assert result.returncode == 0
    assert (tmp_path / "config" / "me").read_text() == "mx.example.com\n"
    assert f"kept    {tmp_path}/config/me (-f overwrites it)" in result.stdout
    assert mode(tmp_path / "queue") == 0o700


def test_force_overwrites(tmp_path: Path) -> None:
    assert haraka("-i", str(tmp_path)).returncode == 0
    (tmp_path / "config" / "me").write_text("mx.example.com\n")
    (tmp_path / "config" / "mine.ini").write_text("[main]\n")
    assert haraka("-i", str(tmp_path), "-f").returncode == 0
    assert (tmp_path / "config" / "me").read_text() == socket.gethostname() + "\n"
    assert (tmp_path / "config" / "mine.ini").exists()


def test_does_not_write_through_a_link(tmp_path: Path) -> None:
    house, victim = tmp_path / "house", tmp_path / "victim"
    (house / "config").mkdir(parents=True)
    (house / "config" / "me").symlink_to(victim)
    assert haraka("-i", str(house)).returncode == 0
    assert not victim.exists()
    assert haraka("-i", str(house), "-f").returncode == 0
    assert not victim.exists()
    assert not (house / "config" / "me").is_symlink()


def test_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = haraka("-i", str(tmp_path / "file" / "house"))
    assert result.returncode == 1
    assert result.stderr == f"haraka: cannot make {tmp_path}/file/house/plugins: Not a directory\n"
