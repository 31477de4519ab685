"""What can be told before anything is bound, locked or loaded: every start goes through this."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mta.check.secrets import exposed_secrets
from mta.check.ways import IN_THE_CLEAR, bad_ways, shows_password
from mta.config import Config, Notice, Problem
from mta.config.schema import (
    ME,
    QUEUE_DIR,
    VALUES,
    ConnectionSettings,
    HttpSettings,
    LimitSettings,
    LogSettings,
    OutboundPoolSettings,
    OutboundRouteSettings,
    OutboundSettings,
    SmtpSettings,
    TlsSettings,
)
from mta.config.smarthost import is_host_name
from mta.net.endpoint import Endpoint, EndpointError
from mta.net.ip import address_literal
from mta.net.oauth_file import TokenFile
from mta.outbound.smarthost import SmarthostError, smarthosts
from mta.outbound.spool_directory import doubts, faults
from mta.privileges import PrivilegesError, identity

CORE = (
    SmtpSettings,
    ConnectionSettings,
    TlsSettings,
    OutboundSettings,
    LimitSettings,
    LogSettings,
    HttpSettings,
)
"""The files that the server itself reads; those of plugins are read when a plugin asks for them."""

HTTP_PORT = 80
CORE_LISTS = ("plugins", "outbound.bounce_rules")


def preflight(config: Config, installation: Path, notice: Notice) -> None:
    """Tell `notice` what is wrong with the core's files and with what they name; a fatal problem shall stop the start.

    Problems in the files themselves go to the notice of `config`.
    """
    for cls in CORE:
        config.settings(cls)
    config.sections(OutboundRouteSettings)
    config.sections(OutboundPoolSettings)
    for file in VALUES:
        config.value(file)
    for name in CORE_LISTS:
        config.get(name, "list")
    config.survey()
    for check in (
        bad_name,
        bad_user,
        bad_listen,
        unused_tls_port,
        bad_spool_dir,
        bad_smarthost,
        bad_refresh_token,
        bad_ways,
        exposed_secrets,
    ):
        for problem in check(config):
            notice(problem)
    for problem in (*bad_queue(config, installation), *bad_event_file(config, installation)):
        notice(problem)


def bad_user(config: Config) -> Iterator[Problem]:
    """A user or group that this machine does not know, or that this process may not become."""
    smtp = config.settings(SmtpSettings)
    try:
        to = identity(smtp.user, smtp.group)
    except PrivilegesError as error:
        file, line = config.place(SmtpSettings, "main", "group" if " group" in str(error) else "user")
        yield Problem(file, str(error).removeprefix("smtp.ini "), line, fatal=True)
        return
    if to is not None and os.geteuid() not in (0, to.uid):
        file, line = config.place(SmtpSettings, "main", "user")
        yield Problem(file, f"only root can switch to user {to.user}", line, "main", "user", fatal=True)


def bad_name(config: Config) -> Iterator[Problem]:
    """A name in `me` that no other server could look up, or even read: RFC 5321 4.1.1.1 wants a domain or a literal."""
    name = config.value(ME)
    if name and not is_host_name(name) and address_literal(name) is None:
        for entry in config.entries("me")[:1]:
            yield Problem(entry.file, f"{name!r} is not a host name", entry.line)


def endpoints(config: Config) -> Iterator[tuple[Problem, Endpoint | EndpointError]]:
    """Each address of `listen` (and the older `port`), or what is wrong with it, and where it is written.

    The problem has everything but its message.
    """
    settings = config.settings(SmtpSettings)
    for text in settings.listen:
        key = "port" if settings.port and text == f"{settings.listen_host}:{settings.port}" else "listen"
        file, line = config.place(SmtpSettings, "main", key)
        where = Problem(file, "", line, "main", key, fatal=True)
        try:
            yield where, Endpoint.parse(text)
        except EndpointError as error:
            yield where, error


def http_endpoints(config: Config) -> Iterator[tuple[Problem, Endpoint | EndpointError]]:
    """The same for http.ini."""
    for text in config.settings(HttpSettings).listen:
        file, line = config.place(HttpSettings, "main", "listen")
        where = Problem(file, "", line, "main", "listen", fatal=True)
        try:
            yield where, Endpoint.parse(text, HTTP_PORT)
        except EndpointError as error:
            yield where, error


def bad_listen(config: Config) -> Iterator[Problem]:
    """Addresses that are none, and such that cannot be listened on together."""
    earlier: list[Endpoint] = []
    for where, endpoint in (*endpoints(config), *http_endpoints(config)):
        if isinstance(endpoint, EndpointError):
            yield where.saying(str(endpoint))
            continue
        for other in earlier:
            if endpoint.overlaps(other):
                yield where.saying(
                    f"{other} and {endpoint} cannot both be listened on, one includes the other"
                )
        earlier.append(endpoint)


def unused_tls_port(config: Config) -> Iterator[Problem]:
    """A port for TLS that somebody chose, and that nobody listens on."""
    chosen = config.settings(SmtpSettings).smtps_port
    ports = {endpoint.port for _, endpoint in endpoints(config) if isinstance(endpoint, Endpoint)}
    if chosen != SmtpSettings().smtps_port and ports.isdisjoint(chosen):
        file, line = config.place(SmtpSettings, "main", "smtps_port")
        yield Problem(file, "no address of listen has this port", line, "main", "smtps_port")


def bad_spool_dir(config: Config) -> Iterator[Problem]:
    """A directory for large messages that is used, and cannot be."""
    settings = config.settings(ConnectionSettings)
    directory = Path(settings.spool_dir)
    if settings.spool_after < 0:
        return
    file, line = config.place(ConnectionSettings, "main", "spool_dir")
    where = Problem(file, "", line, "main", "spool_dir", fatal=True)
    if not directory.is_dir():
        yield where.saying(f"{directory} is not a directory")
    elif not os.access(directory, os.W_OK | os.X_OK, effective_ids=True):
        yield where.saying(f"{directory} is not writable for user {os.geteuid()}")


def bad_smarthost(config: Config) -> Iterator[Problem]:
    """Credentials that are incomplete, or shown to everybody on the way."""
    settings = config.settings(OutboundSettings)
    section = settings.smarthost
    if (section.auth_pass_file or section.auth_pass_env) and not section.auth_pass:
        return  # the configuration has told already that there is no password
    try:
        hops = smarthosts(settings)
    except SmarthostError as error:
        file, line = _place_of_credentials(config)
        yield Problem(file, str(error).removeprefix("outbound.ini "), line, fatal=True)
        return
    if section.auth_user and shows_password(hops):
        file, line = config.place(OutboundSettings, "smarthost", "auth_user")
        yield Problem(file, IN_THE_CLEAR, line, "smarthost", "auth_user")


def bad_refresh_token(config: Config) -> Iterator[Problem]:
    """A refresh token that is not there, or whose successor could not be kept; mail would wait until it is."""
    section = config.settings(OutboundSettings).smarthost
    path = section.oauth_refresh_token_file
    if section.oauth_token_url and path.startswith("/") and (doubt := TokenFile(path).doubt()):
        file, line = config.place(OutboundSettings, "smarthost", "oauth_refresh_token_file")
        yield Problem(file, f"{path} {doubt}", line, "smarthost", "oauth_refresh_token_file")


def bad_queue(config: Config, installation: Path) -> Iterator[Problem]:
    """A queue directory that cannot be used, or that others may look into."""
    path = installation / config.value(QUEUE_DIR)
    broken = [Problem(str(path), f"queue directory {text}", fatal=True) for text in faults(path)]
    uid = None if _becomes_somebody(config) else os.geteuid()
    yield from broken or [Problem(str(path), f"queue directory {text}") for text in doubts(path, uid)]


def bad_event_file(config: Config, installation: Path) -> Iterator[Problem]:
    """A file for events that cannot be written to, as far as that can be told before we become another user."""
    name = config.settings(LogSettings).events.file
    path = installation / name
    file, line = config.place(LogSettings, "events", "file")
    where = Problem(file, "", line, "events", "file", fatal=True)
    if not name:
        return
    if path.is_dir():
        yield where.saying(f"{path} is a directory")
    elif not path.parent.is_dir() and not path.parent.parent.is_dir():
        yield where.saying(f"{path.parent} is not a directory")
    elif path.exists() and not _becomes_somebody(config) and not os.access(path, os.W_OK, effective_ids=True):
        yield where.saying(f"{path} is not writable for user {os.geteuid()}")


def _becomes_somebody(config: Config) -> bool:
    smtp = config.settings(SmtpSettings)
    return bool(smtp.user or smtp.group)


def _place_of_credentials(config: Config) -> tuple[str, int]:
    keys = (
        "auth_user",
        "auth_pass",
        "auth_pass_file",
        "auth_pass_env",
        "oauth_token_url",
        "auth_type",
        "host",
    )
    for key in keys:
        file, line = config.place(OutboundSettings, "smarthost", key)
        if line:
            break
    return file, line
