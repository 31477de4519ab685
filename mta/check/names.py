"""Files that nobody reads because of how they are called, and files that no plugin in use reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from mta.check.findings import Findings
from mta.config import Config, Problem
from mta.config.known import FILES_NOT_YET
from mta.config.old_files import OLD_FILES
from mta.config.overrides import NAMES
from mta.config.schema import LISTS, SETTINGS, VALUES

NO_SLIPS = ("lmtp.ini",)  # files of Haraka's plugins that are called much like one of the server's
LIKENESS = 0.85  # of two names, 1 is the same; relay_acl_alow and relay_acl_allow have 0.97


def check_unread(config: Config, findings: Findings) -> None:
    """Read what no plugin in use has read: a mistake there will hurt on the day when the plugin is added."""
    findings.unread = True
    for cls in SETTINGS:
        config.settings(cls)
    for file in LISTS:
        config.get(file.name, "data" if file.raw else "list")
    findings.unread = False


def misspelt_names(directory: Path) -> Iterator[Problem]:
    """Files that look like a slip of the pen; what is called like a known file with more to it is a copy."""
    known = {cls.FILE for cls in SETTINGS} | {file.name for file in VALUES} | {file.name for file in LISTS}
    known |= {*FILES_NOT_YET, *NAMES, *(file.name for file in OLD_FILES)}
    for path in sorted(directory.glob("[!.]*")):
        name = path.name
        if name in NO_SLIPS or any(name.startswith(each) for each in known) or not path.is_file():
            continue
        for close in difflib.get_close_matches(name, sorted(known), 1, LIKENESS):
            yield Problem(str(path), f"nothing reads a file of this name, did you mean {close}?")
