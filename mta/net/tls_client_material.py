"""tls.ini [outbound] and the files that it names, made into our side of TLS towards next hops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mta.config.problem import ConfigError, Problem
from mta.config.schema import TlsSettings
from mta.net.certificates import KeyPair, PemFile, pair_up, read_pem
from mta.net.tls_client import TlsClient
from mta.net.tls_contexts import TlsSettingsError

if TYPE_CHECKING:
    from mta.config import Config

SECTION = "outbound"


def client_files(settings: TlsSettings) -> list[str]:
    """The files that matter, each once; they need not exist."""
    keys, certs = _own_or_main(settings)
    return list(dict.fromkeys(name for name in (*keys, *certs, settings.outbound.ca) if name))


def read_client(config: Config, settings: TlsSettings) -> tuple[TlsClient | None, list[Problem]]:
    """The client, None when there can be none with these settings; and what is wrong. Nothing makes this raise."""
    reader = _Reader(config)
    section = settings.outbound
    pair = reader.pair(settings)
    ca = reader.ca(section.ca)
    if ca is None:
        return None, reader.problems
    try:
        client = TlsClient(
            ca=ca,
            ciphers=section.ciphers or settings.ciphers,
            min_version=section.min_version or settings.min_version,
            pair=pair,
        )
    except TlsSettingsError as error:
        reader.complain("ciphers" if section.ciphers else "ca" if section.ca else "", str(error))
        return None, reader.problems
    return client, reader.problems


def _own_or_main(settings: TlsSettings) -> tuple[Sequence[str], Sequence[str]]:
    """The first key and the first certificate, of [outbound] or else of [main] as in Haraka."""
    section = settings.outbound
    return (section.key or settings.key)[:1], (section.cert or settings.cert)[:1]


class _Reader:
    def __init__(self, config: Config) -> None:
        self._config = config
        self.problems: list[Problem] = []

    def pair(self, settings: TlsSettings) -> KeyPair | None:
        """What we show to hosts that ask. A pair of [main] that is broken is the server's problem, told elsewhere."""
        keys, certs = _own_or_main(settings)
        named = "key" if settings.outbound.key else "cert" if settings.outbound.cert else ""
        pairs, broken = pair_up(list(self._pem_files(dict.fromkeys((*keys, *certs)), named)))
        if named:
            for file, problem in broken:
                self.complain(named, f"{file}: {problem}")
            if not pairs and not self.problems:
                self.complain(named, f"there is no key and certificate in {', '.join((*keys, *certs))}")
        return pairs[0] if pairs else None

    def ca(self, name: str) -> str | None:
        """The path of the file with the authorities, "" for the system's, None when it is not there."""
        if not name:
            return ""
        try:
            if self._config.get(name, "binary") is not None:
                return str(self._config.directory / name)
            self.complain("ca", f"there is no file {name}")
        except ConfigError as error:
            self.complain("ca", str(error))
        return None

    def complain(self, key: str, message: str) -> None:
        file, line = self._config.place(TlsSettings, SECTION, key)
        self.problems.append(Problem(file, message, line, SECTION, key))

    def _pem_files(self, names: dict[str, None], named: str) -> Iterator[PemFile]:
        for name in names:
            try:
                data = self._config.get(name, "binary")
            except ConfigError as error:
                if named:
                    self.complain(named, str(error))
                continue
            if data is not None:
                yield read_pem(name, data)
