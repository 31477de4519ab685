"""The transport security of outbound mail, made of the configuration and kept in step with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mta.config.problem import ConfigError
from mta.config.schema import TlsSettings
from mta.net.certificates import KeyPair, PemFile, pair_up, read_pem
from mta.net.no_tls import NoTlsHosts
from mta.net.tls_client import TlsClient
from mta.net.tls_contexts import TlsSettingsError
from mta.outbound.mta_sts import MtaSts
from mta.outbound.sts_cache import StsCache
from mta.outbound.sts_fetch import StsFetcher
from mta.outbound.tls_policy import TlsPolicies, TlsRules

if TYPE_CHECKING:
    from mta.config import Config
    from mta.config.schema import SecuritySettings
    from mta.logger import Logger
    from mta.net.dns import Resolver
    from mta.outbound.tls_result import OnTlsResult

ORIGIN = "outbound"
STS_DIRECTORY = "mta-sts"


def open_policies(
    config: Config,
    resolver: Resolver,
    logger: Logger,
    security: SecuritySettings,
    state: Path,
    *,
    fetcher: StsFetcher | None = None,
    on_tls_result: OnTlsResult | None = None,
) -> TlsPolicies:
    """The policies as tls.ini has them; they follow its changes, and those of the files that it names.

    state: directory for what outlives a restart; fetcher: gets MTA-STS policies, None for the usual one.
    """
    fetcher = fetcher or StsFetcher(resolver.lookup_ip)
    sts = MtaSts(resolver, fetcher, StsCache(state / STS_DIRECTORY), logger)
    policies = TlsPolicies(resolver, NoTlsHosts(logger), sts, security=security, on_tls_result=on_tls_result)
    _Follower(config, logger, policies)  # the configuration holds it
    if security.dane == "ad" and not policies.heeds_dane:
        logger.info(
            "DANE is not heeded: the name servers are on other machines (outbound.ini [security] dns_trusted)",
            origin=ORIGIN,
        )
    return policies


class _Follower:
    """Makes a new client whenever tls.ini, or a file that it names, has changed."""

    def __init__(self, config: Config, logger: Logger, policies: TlsPolicies) -> None:
        self._config = config
        self._logger = logger
        self._policies = policies
        self._followed: set[str] = set()
        self._take(config.settings(TlsSettings, on_change=self._take))

    def _take(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._policies.rules = TlsRules.of(settings)
        self._policies.no_tls.settings = settings.redis
        self._load()

    def _load(self, _: Any = None) -> None:
        section = self._settings.outbound
        pair = self._pair()
        try:
            self._policies.client = TlsClient(
                ca=self._path(section.ca) if section.ca else "",
                ciphers=section.ciphers or self._settings.ciphers,
                min_version=section.min_version or self._settings.min_version,
                pair=pair,
            )
        except (TlsSettingsError, ConfigError) as error:
            self._logger.error(f"tls.ini [outbound]: {error}; it stays as it was", origin=ORIGIN)

    def _pair(self) -> KeyPair | None:
        """The first certificate with its key, of [outbound] or else of [main]; None when there is none."""
        section = self._settings.outbound
        keys, certs = section.key or self._settings.key, section.cert or self._settings.cert
        files = list(self._pem_files(dict.fromkeys((*keys[:1], *certs[:1]))))
        pairs, problems = pair_up(files)
        if section.key or section.cert:
            for file, problem in problems:
                self._logger.error(f"tls.ini [outbound]: {file}: {problem}", origin=ORIGIN)
            if not pairs and not problems:
                self._logger.error(
                    f"tls.ini [outbound]: there is no key and certificate in {', '.join((*keys, *certs))}",
                    origin=ORIGIN,
                )
        return pairs[0] if pairs else None

    def _pem_files(self, names: Iterable[str]) -> Iterable[PemFile]:
        for name in names:
            try:
                data = self._read(name)
            except ConfigError as error:
                self._logger.error(f"tls.ini [outbound]: {error}", origin=ORIGIN)
                continue
            if data is not None:
                yield read_pem(name, data)

    def _path(self, name: str) -> str:
        """The path of a file that must be there. Raises ConfigError, TlsSettingsError."""
        if self._read(name) is None:
            raise TlsSettingsError(f"there is no file {name}")
        return str(self._config.directory / name)

    def _read(self, name: str) -> bytes | None:
        """A file's bytes, None when it is missing; changes are followed from then on. Raises ConfigError."""
        if name in self._followed:
            data: bytes | None = self._config.get(name, "binary")
        else:
            data = self._config.get(name, "binary", on_change=self._load)
            self._followed.add(name)
        return data
