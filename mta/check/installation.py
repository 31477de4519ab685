"""The whole installation, looked at from outside: `haraka check`."""

from __future__ import annotations

from pathlib import Path

from mta import paths
from mta.check.certificates import check_certificates
from mta.check.findings import Finding, Findings
from mta.check.names import check_unread, misspelt_names
from mta.check.plugins import check_plugins
from mta.check.ports import check_ports
from mta.check.preflight import preflight
from mta.config import Config


def check_installation(directory: Path) -> list[Finding]:
    """What is wrong with an installation, by file and line. Plugins are loaded; nothing is bound for longer than a moment.

    It is right for the user who runs it: permissions of files and ports are those of this process.
    """
    findings = Findings()
    config = Config(directory, paths.ETC, findings.notice)
    preflight(config, directory, findings.notice)
    check_plugins(config, directory, findings)
    check_certificates(config, findings)
    check_unread(config, findings)
    findings.notices(misspelt_names(config.directory))
    check_ports(config, directory, findings)
    return findings.all()
