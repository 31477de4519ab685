"""A Postfix of its own in a temporary directory, which takes mail on a loopback port and relays all of it to another."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.needs import program, root
from tests.support.ports import free_port
from tests.support.server import eventually

# service type private unpriv chroot wakeup maxproc command; no chroot, and as few services as relaying takes
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
tlsmgr    unix - - n 1000? 1 tlsmgr
scache    unix - - n - 1 scache
proxymap  unix - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """Use it as a context manager. `settings` go into main.cf. Ends the test without Postfix, or where it is not root's."""

    def __init__(self, next_hop: int, settings: Mapping[str, str] | None = None) -> None:
        self.command = program("postfix", "postfix")
        root()
        self.port = free_port()
        # Not below pytest's directories: Postfix's daemons are not root, and nobody else may enter those.
        self.directory = directory = Path(tempfile.mkdtemp(prefix="postfix-"))
        directory.chmod(0o755)
        self.log_file = directory / "maillog"
        for folder in ("conf", "spool", "data"):
            (directory / folder).mkdir()
        shutil.chown(directory / "data", "postfix")
        main = {
            "compatibility_level": "3.6",
            "queue_directory": f"{directory}/spool",
            "data_directory": f"{directory}/data",
            "maillog_file": str(self.log_file),
            "maillog_file_prefixes": str(directory),
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "postfix.test",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "local_recipient_maps": "",
            "relayhost": f"[127.0.0.1]:{next_hop}",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "multi_instance_directories": "",
            **(settings or {}),
        }
        (directory / "conf" / "main.cf").write_text(
            "".join(f"{key} = {value}\n" for key, value in main.items())
        )
        (directory / "conf" / "master.cf").write_text(MASTER.format(port=self.port))

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.command, "-c", str(self.directory / "conf"), *words]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=30, env={**os.environ, "MAIL_CONFIG": ""}
        )

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def sent(self, count: int) -> list[str]:
        """Wait until so many deliveries are done and return their log lines. Raises AssertionError."""
        lines: list[str] = []

        def done() -> bool:
            lines[:] = [
                line for line in self.log.splitlines() if "status=sent" in line and "postfix/smtp" in line
            ]
            return len(lines) >= count

        assert eventually(done, 15), self.log
        return lines

    def __enter__(self) -> Postfix:
        started = self._run("start")
        if started.returncode != 0:
            shutil.rmtree(self.directory, ignore_errors=True)
        assert started.returncode == 0, f"{started.stderr}\n{self.log}"
        return self

    def __exit__(self, *_: object) -> None:
        self._run("stop")
        shutil.rmtree(self.directory, ignore_errors=True)
