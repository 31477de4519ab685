"""The transport security of outbound mail, made of the configuration and kept in step with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mta.config.problem import ConfigError
from mta.config.schema import TlsSettings
from mta.net.no_tls import NoTlsHosts
from mta.net.tls_files import DIRECTORY, client_files, is_written
from mta.outbound.mta_sts import MtaSts
from mta.outbound.sts_cache import StsCache
from mta.outbound.sts_fetch import StsFetcher
from mta.outbound.tls_policy import TlsPolicies
from mta.outbound.tls_rules import TlsRules

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
    return policies


def prepare_client(policies: TlsPolicies) -> None:
    """Make the client with default settings, if that is the one: it reads the authorities of the system."""
    if policies.clients is None:
        from mta.net.tls_client import default_client

        default_client()


def tell_of_dane(policies: TlsPolicies, logger: Logger) -> None:
    """Log when DANE is asked for and not done. For this the name servers must be known, which takes a while at first."""
    if policies.security.dane == "ad" and not policies.heeds_dane:
        logger.info(
            "DANE is not heeded: the name servers are on other machines (outbound.ini [security] dns_trusted)",
            origin=ORIGIN,
        )


class _Follower:
    """Makes new clients whenever tls.ini, or a file that it names, has changed; unless something is wrong with that."""

    def __init__(self, config: Config, logger: Logger, policies: TlsPolicies) -> None:
        self._config = config
        self._logger = logger
        self._policies = policies
        self._followed: set[str] = set()
        config.get_dir(DIRECTORY, on_change=self._load)
        self._take(config.settings(TlsSettings, on_change=self._take))

    def _take(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._policies.rules = TlsRules.of(settings)
        self._policies.no_tls.settings = settings.redis
        self._load()

    def _load(self, _: Any = None) -> None:
        for name in client_files(self._settings):
            self._follow(name)
        if not is_written(self._config):
            self._policies.clients = None  # whoever needs one takes the client with default settings
            return
        # With cryptography and pyOpenSSL, which may wait until the server serves otherwise.
        from mta.net.tls_client_material import read_clients

        clients, problems = read_clients(self._config, self._settings)
        for problem in problems:
            self._logger.error(str(problem), origin=ORIGIN)
        if self._policies.clients is None or not problems:
            self._policies.clients = clients
        else:
            self._logger.error("TLS towards next hops goes on as it was until this is mended", origin=ORIGIN)

    def _follow(self, name: str) -> None:
        if name in self._followed:
            return
        self._followed.add(name)
        try:
            self._config.get(name, "binary", on_change=self._load)
        except ConfigError:
            return  # a name that leaves the directory: read_clients says so
