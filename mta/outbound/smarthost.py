"""The next hops that outbound.ini [smarthost], or a route, names, with their password."""

from __future__ import annotations

from dataclasses import replace

from mta.config.schema import OutboundRouteSettings, OutboundSettings, SmarthostSettings
from mta.config.smarthost import prioritised
from mta.net.hop_list import by_priority
from mta.net.next_hop import NextHop, NextHopError, TlsPolicy
from mta.outbound.smarthost_token import SmarthostError, token_source

__all__ = ["SmarthostError", "hops_of", "smarthosts", "tls_of"]

Section = SmarthostSettings | OutboundRouteSettings


def smarthosts(settings: OutboundSettings) -> tuple[NextHop, ...]:
    """The smarthosts, best priority first, else in the listed order; none when there is no host. Raises SmarthostError."""
    return hops_of(settings.smarthost, "outbound.ini [smarthost]", settings.enable_tls)


def hops_of(section: Section, where: str, enable_tls: bool) -> tuple[NextHop, ...]:
    """The same for any section; `where` begins the error. Raises SmarthostError."""
    if not section.host:
        return ()
    user, password = _credentials(section, where)
    tls = tls_of(section.tls, enable_tls)
    hops = by_priority(_hop(text, priority, tls, where) for text, priority in prioritised(section.host))
    hops = [replace(hop, auth_user=user, auth_pass=password) for hop in hops]
    if isinstance(section, OutboundRouteSettings):
        return tuple(hops)
    token = token_source(section)
    return tuple(replace(hop, auth_type=section.auth_type or None, token=token) for hop in hops)


def tls_of(wish: str, enable_tls: bool) -> TlsPolicy:
    """The section's own word; enable_tls=false only takes away what was optional."""
    if wish == "required":
        return "required"
    return "opportunistic" if wish == "opportunistic" and enable_tls else "off"


def _hop(text: str, priority: int, tls: TlsPolicy, where: str) -> NextHop:
    try:
        return NextHop.parse(text, priority=priority, tls=tls)
    except NextHopError as error:
        raise SmarthostError(f"{where} host: {error}") from error


def _credentials(section: Section, where: str) -> tuple[str | None, str | None]:
    if not section.auth_user:
        if section.auth_pass or section.auth_pass_file or section.auth_pass_env:
            raise SmarthostError(f"{where} has a password but no auth_user")
        return None, None
    if isinstance(section, SmarthostSettings) and section.oauth_token_url:
        return section.auth_user, None
    if not section.auth_pass:  # the configuration has put there what auth_pass_file or auth_pass_env holds
        raise SmarthostError(f"{where} has auth_user but no auth_pass, auth_pass_file or auth_pass_env")
    return section.auth_user, section.auth_pass
