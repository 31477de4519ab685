"""Nothing on standard output: for where other logging plugins take all that is wanted."""

from mta.plugin import LogPlugin, Record


class DevNull(LogPlugin):
    """Keeps every line from standard output; other plugins at hook log see it."""

    always_ok = True

    def take(self, record: Record) -> None:
        return None
