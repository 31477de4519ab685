"""TLS for port 443, with the first key and certificate of tls.ini."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mta.config.schema import TlsSettings

if TYPE_CHECKING:
    from mta.config import Config

PORT = 443
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def server_context(config: Config) -> ssl.SSLContext:
    """Browsers are asked for no certificate. The files are read again when they change. Raises ValueError, saying why."""
    settings = config.settings(TlsSettings)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    _load(context, config, settings)

    def again(_: object) -> None:
        try:
            _load(context, config, config.settings(TlsSettings))
        except ValueError:
            pass  # what holds is better than nothing, and the server for mail tells of the files

    for name in (*settings.key[:1], *settings.cert[:1]):
        config.get(name, "binary", on_change=again)
    return context


def _load(context: ssl.SSLContext, config: Config, settings: TlsSettings) -> None:
    try:
        cert, key = settings.cert[0], settings.key[0]
        context.load_cert_chain(config.directory / cert, config.directory / key, password=_no_password)
    except IndexError:
        raise ValueError("tls.ini names no key or no certificate") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"{cert} and {key} of tls.ini cannot be used: {reason}") from None


def _no_password() -> str:
    """Otherwise OpenSSL would ask for it on the terminal."""
    raise ValueError("the private key is encrypted")
