"""The versions that a run tells."""

from __future__ import annotations

import gevent
import pytest

from tests.bench import document, versions


def test_what_is_here_is_told_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PACKAGES", {"gevent": "gevent", "nothing": "no-such-package-of-ours"})
    monkeypatch.setattr(
        versions,
        "PROGRAMS",
        {"shell": ("sh", "-c", "echo 1.2"), "no": ("no-such-program",), "bad": ("false",)},
    )
    found = versions.versions()
    assert found.pop("Haraka", "3.1.6") == "3.1.6"
    assert found == {"gevent": gevent.__version__, "shell": "1.2"}


def test_a_run_has_them_beside_the_machine() -> None:
    assert document.machine()["gevent"] == gevent.__version__
