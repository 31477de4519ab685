"""The suite runs as the server does: patched by gevent before anything else is imported."""

from gevent import monkey

monkey.patch_all()

from tests.support import parallel  # noqa: E402  (after patching)
from tests.support.needs import pytest_runtest_makereport  # noqa: E402, F401  (in CI a skip fails)

parallel.use_native_locks()
