"""The versions of what is measured and of what it stands on."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version

from tests.support import haraka_js
from tests.support.needs import find_program

PACKAGES = {"gevent": "gevent", "aiosmtpd": "aiosmtpd", "slimta": "python-slimta"}
PROGRAMS = {"node": ("node", "--version"), "Postfix": ("postconf", "-d", "-h", "mail_version")}


def versions() -> dict[str, str]:
    """Return them by name; what is not here is left out."""
    packages = {name: package_version(package) for name, package in PACKAGES.items()}
    programs = {name: program_version(*command) for name, command in PROGRAMS.items()}
    haraka = {"Haraka": haraka_js.VERSION if haraka_js.installed() else ""}
    return {name: found for name, found in {**packages, **haraka, **programs}.items() if found}


def package_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def program_version(name: str, *arguments: str) -> str:
    """Return what a program says about itself; "" when it is not here or fails."""
    path = find_program(name)
    if path is None:
        return ""
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
