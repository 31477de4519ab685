"""Does nothing: Python gives each worker random numbers of its own."""

from __future__ import annotations

from mta.plugin import Plugin


class ReseedRng(Plugin):
    """After a fork the module `random` seeds itself anew from the system; `secrets` and uuids never had a seed."""

    def register(self) -> None:
        self.loginfo("not needed here, the line in config/plugins can go")
