"""Exim as a client: the one that sends BDAT (RFC 3030) to every server that offers it.

Debian's package conflicts with Postfix's, so its files are unpacked beside the other servers of the tests, not installed.
`python -m tests.support.exim` does that; nothing else of the suite touches the network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.haraka_js import WORK
from tests.support.needs import missing, program, root

HOME = WORK / "exim"
PROGRAM = HOME / "usr" / "sbin" / "exim4"
PACKAGES = ("exim4-daemon-light", "exim4-base", "exim4-config")
USER, ID = "Debian-exim", 64990  # the name is compiled in

CONFIGURATION = """\
exim_path = {directory}/exim
spool_directory = {directory}/spool
log_file_path = {directory}/log/%s
primary_hostname = exim.test
keep_environment = LD_LIBRARY_PATH
begin routers
all:
  driver = manualroute
  route_list = * {host} byname
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {port}
  hosts_try_chunking = *
  hosts_require_tls = {tls_hosts}
  hosts_avoid_tls = {clear_hosts}
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
"""


def installed() -> bool:
    return PROGRAM.is_file()


def install() -> None:
    """Unpack Exim and the libraries that are not there. Raises subprocess.CalledProcessError, OSError."""
    if installed():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        apt = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download"]
        subprocess.run([*apt, *PACKAGES, *_libraries()], cwd=folder, check=True)
        for package in sorted(Path(folder).glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(HOME)], check=True)


def _libraries() -> list[str]:
    """Return the packages of the libraries that Exim needs and this machine lacks."""
    command = ["apt-get", "--simulate", "install", "--no-install-recommends", PACKAGES[0]]
    plan = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^Inst (lib\S+)", plan, re.MULTILINE)


class Exim:
    """Hands messages to one server. Use it as a context manager. Ends the test without Exim, or where it is not root's."""

    def __init__(self, host: str, port: int, *, tls: bool, ca: Path) -> None:
        self._unshare = program("unshare", "util-linux")
        root()
        if not installed():
            missing("Exim", "python -m tests.support.exim unpacks it")
        # Not below pytest's directories: Exim gives up root's rights, and nobody else may enter those.
        self.directory = directory = Path(tempfile.mkdtemp(prefix="exim-"))
        directory.chmod(0o755)
        for folder in ("spool", "log"):
            (directory / folder).mkdir()
            os.chown(directory / folder, ID, ID)
        shutil.copyfile(PROGRAM, directory / "exim")
        (directory / "exim").chmod(0o755)
        shutil.copyfile(ca, directory / "ca.pem")
        on, off = ("*", "") if tls else ("", "*")
        text = CONFIGURATION.format(
            directory=directory, host=host, port=port, tls_hosts=on, clear_hosts=off, ca=directory / "ca.pem"
        )
        (directory / "conf").write_text(text)
        for name, entry in (
            ("passwd", f"{USER}:x:{ID}:{ID}::/:/bin/false\n"),
            ("group", f"{USER}:x:{ID}:\n"),
        ):
            others = Path("/etc", name).read_text().splitlines(keepends=True)
            (directory / name).write_text(
                entry + "".join(line for line in others if not line.startswith(USER))
            )

    def send(self, sender: str, rcpt: str, message: bytes) -> str:
        """Hand over one message, LF line ends, and deliver it at once; the log so far. Raises AssertionError."""
        # The user is Exim's own in a view of the file system that ends with it.
        mounts = " && ".join(f"mount --bind {name} /etc/{name}" for name in ("passwd", "group"))
        command = [self._unshare, "--mount", "sh", "-c", f'{mounts} && exec ./exim "$@"', "exim"]
        command += ["-C", str(self.directory / "conf"), "-odi", "-i", "-f", sender, rcpt]
        libraries = ":".join(str(path) for path in (HOME / "usr" / "lib").glob("*-linux-gnu"))
        env = {**os.environ, "LD_LIBRARY_PATH": libraries}
        done = subprocess.run(
            command, cwd=self.directory, env=env, input=message, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return self.log

    @property
    def log(self) -> str:
        return (self.directory / "log" / "main").read_text()

    def __enter__(self) -> Exim:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


def main() -> int:
    """Unpack from the command line; exit status 2 without Debian's tools."""
    if shutil.which("apt-get") is None:
        print("Exim is unpacked from Debian's packages, and apt-get is not here", file=sys.stderr)
        return 2
    install()
    print(f"Exim is in {HOME}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
