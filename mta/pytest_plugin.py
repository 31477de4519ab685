"""The fixtures that pytest finds by itself (entry point pytest11) wherever this package is installed.

Nothing of the server is imported before a test asks for a fixture: a suite that patches the standard library with gevent
has to do so first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mta.plugin import Plugin
    from mta.testing import MailServer, StartServer


@pytest.fixture
def mail_server(request: pytest.FixtureRequest) -> Iterator[StartServer]:
    """Start servers under test, `mail_server("greylist", config={...})`, that are stopped when the test is over.

    Named plugins are looked for in the directory `plugins` next to the test's file, or above it, first.
    """
    from mta.testing import MailServer

    with ExitStack() as stack:

        def start(*plugins: Any, **options: Any) -> MailServer:
            options.setdefault("search", plugin_directories(request.path))
            return stack.enter_context(MailServer(*plugins, **options))

        yield start


@pytest.fixture
def load_plugin(request: pytest.FixtureRequest) -> Callable[..., Plugin]:
    """Load one plugin to call its methods: what mta.testing.make_plugin does, for named plugins too."""
    from mta.testing import make_plugin

    def load(plugin: Any, config: Any = None) -> Plugin:
        return make_plugin(plugin, config, search=plugin_directories(request.path))

    return load


def plugin_directories(test: Path) -> list[Path]:
    """The directories called plugins next to a file and above it that are not directories of tests, the nearest first."""
    found = [folder / "plugins" for folder in test.parents if (folder / "plugins").is_dir()]
    return [folder for folder in found if not any(folder.glob("test_*.py"))]
