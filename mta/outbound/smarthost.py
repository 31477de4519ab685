"""The next hops that outbound.ini [smarthost] names, with their password."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.net.next_hop import NextHop, NextHopError, TlsPolicy

MAX_SECRET = 4096


class SmarthostError(Exception):
    """The [smarthost] section can not be used as it is; the text is one line that says why."""


def smarthosts(settings: OutboundSettings, directory: Path) -> tuple[NextHop, ...]:
    """The smarthosts in the listed order; none when the section names no host. Raises SmarthostError.

    directory: where a relative auth_pass_file lies.
    """
    section = settings.smarthost
    if not section.host:
        return ()
    user, password = _credentials(section, directory)
    return tuple(_hop(text, _tls(settings), user, password) for text in section.host)


def _hop(text: str, tls: TlsPolicy, user: str | None, password: str | None) -> NextHop:
    try:
        hop = NextHop.parse(text)
    except NextHopError as error:
        raise SmarthostError(f"outbound.ini [smarthost] host: {error}") from error
    return NextHop(
        host=hop.host,
        port=hop.port,
        using_lmtp=hop.using_lmtp,
        path=hop.path,
        auth_user=hop.auth_user or user,
        auth_pass=hop.auth_pass or password,
        tls=tls,
    )


def _tls(settings: OutboundSettings) -> TlsPolicy:
    """The section's own word; enable_tls=false only takes away what was optional."""
    if settings.smarthost.tls == "required":
        return "required"
    return "opportunistic" if settings.smarthost.tls == "opportunistic" and settings.enable_tls else "off"


def _credentials(section: SmarthostSettings, directory: Path) -> tuple[str | None, str | None]:
    if not section.auth_user:
        if section.auth_pass or section.auth_pass_file:
            raise SmarthostError("outbound.ini [smarthost] has a password but no auth_user")
        return None, None
    if section.auth_pass and section.auth_pass_file:
        raise SmarthostError("outbound.ini [smarthost] has both auth_pass and auth_pass_file, choose one")
    password = (
        _read_secret(directory / section.auth_pass_file) if section.auth_pass_file else section.auth_pass
    )
    if not password:
        raise SmarthostError("outbound.ini [smarthost] has auth_user but no auth_pass or auth_pass_file")
    return section.auth_user, password


def _read_secret(path: Path) -> str:
    """The first line of a file that nobody but its owner may read."""
    where = f"outbound.ini [smarthost] auth_pass_file {path}"
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            line = file.readline(MAX_SECRET).decode("utf-8").strip("\r\n")
    except OSError as error:
        raise SmarthostError(f"{where}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SmarthostError(f"{where}: not UTF-8 text") from error
    if mode & 0o077:
        raise SmarthostError(f"{where} can be read by others (mode {mode:04o}): chmod 600 it")
    if not line:
        raise SmarthostError(f"{where} is empty")
    return line
