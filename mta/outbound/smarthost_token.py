"""The OAuth 2.0 client that outbound.ini [smarthost] describes."""

from __future__ import annotations

from functools import lru_cache

from mta.config.schema import SmarthostSettings
from mta.net.oauth import OAuthClient, TokenSource

BEARER = ("xoauth2", "oauthbearer")


class SmarthostError(Exception):
    """The [smarthost] section can not be used as it is; the text is one line that says why."""


def token_source(section: SmarthostSettings) -> TokenSource | None:
    """Where access tokens come from, the same for the same settings; None when passwords are used. Raises SmarthostError."""
    if not section.oauth_token_url:
        if section.auth_type in BEARER:
            raise SmarthostError(
                f"outbound.ini [smarthost] auth_type={section.auth_type} needs oauth_token_url"
            )
        return None
    if section.auth_type not in ("", *BEARER):
        raise SmarthostError(
            f"outbound.ini [smarthost] auth_type={section.auth_type} does not use oauth_token_url"
        )
    if not section.auth_user:
        raise SmarthostError(
            "outbound.ini [smarthost] has oauth_token_url but no auth_user, the mailbox to send as"
        )
    if section.auth_pass:
        raise SmarthostError("outbound.ini [smarthost] has both a password and oauth_token_url")
    try:
        client = OAuthClient(
            url=section.oauth_token_url,
            client_id=section.oauth_client_id,
            client_secret=section.oauth_client_secret,
            grant=section.oauth_grant,
            scope=section.oauth_scope,
            refresh_token_file=section.oauth_refresh_token_file,
        )
    except ValueError as error:
        raise SmarthostError(f"outbound.ini [smarthost] OAuth: {error}") from error
    return _source(client)


@lru_cache(maxsize=64)
def _source(client: OAuthClient) -> TokenSource:
    """A token outlives a change of other settings."""
    return TokenSource(client)
