"""An installation with plugin files, and a server with the plugins that a test gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mta.plugin import Plugin
from tests.support.house import House
from tests.support.service import Inbound


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def serve() -> Iterator[Callable[..., Inbound]]:
    """Serves with these plugins."""
    running: list[Inbound] = []

    def start(*plugins: Plugin, **settings: object) -> Inbound:
        running.append(Inbound(plugins, **settings).__enter__())
        return running[-1]

    yield start
    for inbound in running:
        inbound.__exit__()
