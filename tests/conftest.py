"""The suite runs as the server does: patched by gevent before anything else is imported."""

from gevent import monkey

monkey.patch_all()

from collections.abc import Iterator  # noqa: E402  (after patching)

import pytest  # noqa: E402

from tests.support import parallel  # noqa: E402
from tests.support.fake_mx import FakeMx  # noqa: E402
from tests.support.needs import pytest_runtest_makereport  # noqa: E402, F401  (in CI a skip fails)

parallel.use_native_locks()


@pytest.fixture
def mx() -> Iterator[FakeMx]:
    """A next hop that takes everything, until it is told otherwise."""
    with FakeMx() as server:
        yield server
