"""Names in config/plugins that stand for something the server does by itself: nothing is loaded for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mta.plugin.names import without_prefix

if TYPE_CHECKING:
    from mta.logger import Logger

BUILT_IN: Final = {
    "max_unrecognized_commands": "[max] unrecognized_commands in connection.ini",
    "rcpt_to.max_count": "[max] recipients in connection.ini",
}
"""The name of the plugin, and the setting that has taken its place."""


def without_built_in(names: Iterable[str], logger: Logger) -> list[str]:
    """The lines of config/plugins that name plugins; a notice tells for each of the others where its setting is."""
    left: list[str] = []
    for listed in names:
        setting = BUILT_IN.get(without_prefix(listed))
        if setting is None:
            left.append(listed)
        else:
            logger.notice(
                f"{listed} is not needed in config/plugins: the server does it, see {setting}",
                origin="plugins",
            )
    return left
