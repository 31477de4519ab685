"""A real rsyslogd in a directory of its own, that writes each message it understood as one line of JSON."""

from __future__ import annotations

import json
import subprocess
from glob import glob
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support import needs
from tests.support.install import eventually
from tests.support.ports import free_port

CONFIG = """
global(workDirectory="{work}" maxMessageSize="64k" {tls})
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imtcp" {driver})
template(name="out" type="string"
 string="{{%hostname:::jsonf:host%, %app-name:::jsonf:program%, %procid:::jsonf:pid%, %syslogseverity:::jsonf:severity%, %syslogfacility-text:::jsonf:facility%, %structured-data:::jsonf:data%, %msg:::jsonf:msg%, %timereported:::date-rfc3339,jsonf:time%}}\\n")
ruleset(name="all") {{ action(type="omfile" file="{work}/out" template="out" fileCreateMode="0644") }}
input(type="imuxsock" Socket="{work}/log" ruleset="all" RateLimit.Interval="0" UsePIDFromSystem="off")
input(type="imudp" address="127.0.0.1" port="{udp}" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{tcp}" ruleset="all")
"""
TLS = 'DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{ca}" DefaultNetstreamDriverCertFile="{cert}" DefaultNetstreamDriverKeyFile="{key}"'
DRIVER = 'StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon"'


class Rsyslog:
    """Listens on the datagram socket `path`, on UDP port `udp` and on TCP port `tcp` (TLS when it has a certificate)."""

    def __init__(
        self, work: Path, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
    ) -> None:
        self.program = needs.program("rsyslogd", "rsyslog")
        if ca and not glob("/usr/lib/*/rsyslog/lmnsd_gtls.so"):
            needs.missing("TLS for rsyslogd", "apt-get install rsyslog-gnutls")
        self.work = work
        self.path = work / "log"
        self.udp, self.tcp = free_port(), free_port()
        work.mkdir(exist_ok=True)
        text = CONFIG.format(
            work=work,
            udp=self.udp,
            tcp=self.tcp,
            tls=TLS.format(ca=ca, cert=cert, key=key) if ca else "",
            driver=DRIVER if ca else "",
        )
        (work / "rsyslog.conf").write_text(text)

    def __enter__(self) -> Rsyslog:
        command = [self.program, "-n", "-f", str(self.work / "rsyslog.conf"), "-i", str(self.work / "pid")]
        with (self.work / "errors").open("wb") as errors:
            self.process = subprocess.Popen(command, stdout=errors, stderr=errors)
        if not eventually(lambda: self.path.exists() or self.process.poll() is not None, 10):
            raise AssertionError("rsyslogd does not listen")
        assert self.process.poll() is None, (self.work / "errors").read_text()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(10)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What came so far."""
        out = self.work / "out"
        return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []

    def has(self, count: int) -> bool:
        """Wait until so many messages have come."""
        return eventually(lambda: len(self.messages) >= count, 10)
