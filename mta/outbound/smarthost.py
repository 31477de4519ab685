"""The next hops that outbound.ini [smarthost] names, with their password."""

from __future__ import annotations

from dataclasses import replace

from mta.config.schema import OutboundSettings, SmarthostSettings
from mta.net.next_hop import NextHop, NextHopError, TlsPolicy
from mta.outbound.smarthost_token import SmarthostError, token_source

__all__ = ["SmarthostError", "smarthosts"]


def smarthosts(settings: OutboundSettings) -> tuple[NextHop, ...]:
    """The smarthosts in the listed order; none when the section names no host. Raises SmarthostError."""
    section = settings.smarthost
    if not section.host:
        return ()
    user, password = _credentials(section)
    token = token_source(section)
    return tuple(
        replace(_hop(text, _tls(settings), user, password), auth_type=section.auth_type or None, token=token)
        for text in section.host
    )


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
        tls=hop.tls if hop.implicit_tls else tls,
        implicit_tls=hop.implicit_tls,
    )


def _tls(settings: OutboundSettings) -> TlsPolicy:
    """The section's own word; enable_tls=false only takes away what was optional."""
    if settings.smarthost.tls == "required":
        return "required"
    return "opportunistic" if settings.smarthost.tls == "opportunistic" and settings.enable_tls else "off"


def _credentials(section: SmarthostSettings) -> tuple[str | None, str | None]:
    if not section.auth_user:
        if section.auth_pass or section.auth_pass_file:
            raise SmarthostError("outbound.ini [smarthost] has a password but no auth_user")
        return None, None
    if section.oauth_token_url:
        return section.auth_user, None
    if not section.auth_pass:  # the configuration has put there what auth_pass_file holds
        raise SmarthostError("outbound.ini [smarthost] has auth_user but no auth_pass or auth_pass_file")
    return section.auth_user, section.auth_pass
