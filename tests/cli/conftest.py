"""Servers that end cleanly, as for tests of the whole path."""

from tests.endtoend.conftest import relay_to

__all__ = ["relay_to"]
