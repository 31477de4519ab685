"""What must not stand in a log, whoever logs it: the values of fields that are named like secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK = "***"

SECRET_KEYS = frozenset(
    {
        *(
            "password",
            "passwd",
            "passphrase",
            "pass",
            "auth_pass",
            "auth_password",
            "secret",
            "client_secret",
        ),
        *("token", "access_token", "refresh_token", "id_token", "bearer", "authorization", "credentials"),
        *("api_key", "apikey", "private_key", "sasl_response", "cookie"),
    }
)


def masked(fields: Mapping[str, object]) -> Mapping[str, object]:
    """The fields, with *** for each value whose key, in any case, is one of SECRET_KEYS."""
    try:
        if SECRET_KEYS.isdisjoint(fields) and all(map(str.islower, fields)):
            return fields  # nearly always
    except TypeError:
        pass  # a plugin's key that is no text
    return {key: MASK if str(key).lower() in SECRET_KEYS else value for key, value in fields.items()}
