"""`haraka -c DIR`: start the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mta import paths
from mta.config import Config, ConfigError
from mta.config.kinds import CPUS
from mta.config.schema import SmtpSettings
from mta.daemon import DaemonError, daemonize
from mta.master import Master
from mta.processes.errors import StartError
from mta.processes.systemd import Notifier
from mta.worker import Worker

Tell = Callable[[str], None]
"""Called once: with "" when the server is ready, or with the line that says why it can not start."""


def run(install_dir: Path) -> int:
    """Serve one installation until a signal ends it, or put it into the background.

    The exit status: 1 with one line on stderr if it can't start.
    """
    smtp = _settings(install_dir)
    if not smtp.daemonize:
        return serve(install_dir, _complain)
    log_file, pid_file = install_dir / smtp.daemon_log_file, install_dir / smtp.daemon_pid_file
    try:
        return daemonize(partial(serve, install_dir, log_file=log_file), log_file, pid_file)
    except DaemonError as error:
        _complain(str(error))
        return 1


def serve(install_dir: Path, tell: Tell, log_file: Path | None = None) -> int:
    """Serve one installation until a signal ends it; the exit status. log_file: where the log goes, if that is ours to open."""
    try:
        count = workers_of(install_dir)
        if count:
            return Master(install_dir, count, log_file=log_file).run(lambda: tell(""))
        worker = Worker(install_dir, log_file=log_file, notifier=Notifier())
        worker.start()
    except StartError as error:
        tell(str(error))
        return 1
    worker.serve(lambda: tell(""))
    return 0


def workers_of(install_dir: Path) -> int:
    """How many workers smtp.ini asks for, 0 for one process without a master. What is wrong there is told by who starts."""
    nodes = _settings(install_dir).nodes
    return len(os.sched_getaffinity(0)) if nodes == CPUS else nodes


def _complain(error: str) -> None:
    if error:
        print(f"haraka: {error}", file=sys.stderr)


def _settings(install_dir: Path) -> SmtpSettings:
    """smtp.ini; what is wrong there is told by who starts."""
    try:
        return Config(install_dir, paths.ETC, lambda problem: None).settings(SmtpSettings)
    except ConfigError:
        return SmtpSettings()
