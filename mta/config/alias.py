"""A plugin under another name: what its own configuration files are called then."""

from __future__ import annotations

import re

from mta.record import record


@record
class Alias:
    """`base` is the plugin's name, `name` the one it runs under.

    A file is the plugin's own when it is called as the plugin is, and then ends, or goes on with a dot or a slash:
    `smtp_forward.ini` is that of queue/smtp_forward, `auth_flat_file.ini` that of auth/flat_file.
    """

    name: str
    base: str

    def own_file(self, file: str) -> str:
        """What the operator calls the file that the plugin asks for: `greylist.ini` becomes `NAME.ini`."""
        if _is_called(self.name, file):
            return file
        for spelling in _spellings(self.base):
            if _is_called(spelling, file):
                return self.name + file[len(spelling) :]
        return file

    def default_file(self, file: str) -> str:
        """What the file is called that holds the defaults, also for a plugin that asks by its `self.name`."""
        return self.base + file[len(self.name) :] if _is_called(self.name, file) else file


def _spellings(name: str) -> tuple[str, ...]:
    return name, name.replace("/", "_"), name.replace(".", "/"), re.split(r"[/.]", name)[-1]


def _is_called(name: str, file: str) -> bool:
    return file.startswith(name) and file[len(name) : len(name) + 1] in ("", ".", "/")
