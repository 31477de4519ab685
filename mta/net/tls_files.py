"""Which files TLS is made of, and whether there is anything to make it of: then cryptography and pyOpenSSL are loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mta.config.schema import TlsSettings

if TYPE_CHECKING:
    from mta.config import Config

DIRECTORY = "tls"


def named_files(*settings: TlsSettings) -> list[str]:
    """The files that tls.ini names, each once; they need not exist."""
    names = [name for each in settings for name in (*each.key, *each.cert, each.dhparam, each.ca)]
    return list(dict.fromkeys(name for name in names if name))


def client_files(settings: TlsSettings) -> list[str]:
    """The files that matter, each once; they need not exist. Those in the directory tls matter as well."""
    section = settings.outbound
    names = (*section.key, *section.cert, section.ca, *settings.key, *settings.cert)
    return list(dict.fromkeys(name for name in names if name))


def is_written(config: Config) -> bool:
    """True when the operator has a tls.ini that says something, be it wrong."""
    return any(True for _ in config.written(TlsSettings))


def is_set_up(config: Config) -> bool:
    """True when there is a tls.ini of the operator, or one of the files with keys and certificates that need none."""
    return (
        is_written(config)
        or bool(config.get_dir(DIRECTORY))
        or any(config.get(name, "binary") is not None for name in named_files(TlsSettings()))
    )
