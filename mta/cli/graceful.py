"""`haraka --graceful`: new workers take the place of the old ones, and no client notices."""

from __future__ import annotations

from pathlib import Path

from mta.cli.errors import CommandError
from mta.cli.installation import queue_directory
from mta.control.client import ControlClient, NotRunning, Refused
from mta.control.master import NoMaster, ask_master
from mta.outbound.spool_directory import state_directory

SECONDS = 3600.0  # for all workers; each has its own limit
ONE_PROCESS = (
    "the server is one process, which can not be replaced while it serves: set nodes in smtp.ini to 1 or more and "
    "start it again; changed values of configuration files are in force already"
)


def graceful(directory: Path) -> int:
    """Have the workers replaced, and wait until that is done. Raises CommandError with the reason if they are not."""
    state = state_directory(queue_directory(directory))
    try:
        done = ask_master(state, "graceful", SECONDS)
    except NoMaster:
        raise CommandError(_why_no_master(state)) from None
    except NotRunning as error:
        raise CommandError(str(error)) from None
    except Refused as error:
        raise CommandError(f"reload failed: {error}") from None
    for name in done["needs_restart"]:
        print(f"{name} has changed: that needs a restart")
    count = done["workers"]
    print("the worker has been replaced" if count == 1 else f"{count} workers have been replaced")
    return 0


def _why_no_master(state: Path) -> str:
    try:
        with ControlClient(state):
            return ONE_PROCESS
    except NotRunning as error:
        return str(error)
