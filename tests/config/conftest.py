from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.install import Install


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Install]:
    made = Install(tmp_path)
    yield made
    made.config.close()
