"""tls.ini, as far as it is about next hops, and the files that it names, made into our side of TLS towards them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mta.config.problem import ConfigError, Problem
from mta.config.schema import TlsSettings
from mta.net.certificates import KeyPair, PemFile, pair_up, read_pem
from mta.net.tls_client import TlsClient
from mta.net.tls_clients import TlsClients
from mta.net.tls_contexts import TlsSettingsError
from mta.net.tls_files import DIRECTORY

if TYPE_CHECKING:
    from mta.config import Config

OUTBOUND = "outbound"
HOSTS = "mutual_auth_hosts"
_NOBODY = (
    "no certificate proves anything until it is there, and mail that needs proof waits; "
    "put the PEM file there, or leave `ca` empty for the system's authorities"
)


def read_clients(config: Config, settings: TlsSettings) -> tuple[TlsClients, list[Problem]]:
    """The clients, and what is wrong; nothing makes this raise.

    Where something is wrong they make do with less: authorities that can't be had are replaced by none, and a certificate
    that can't be had is not shown.
    """
    reader = _Reader(config, settings)
    clients = reader.clients()
    return clients, reader.problems


class _Reader:
    def __init__(self, config: Config, settings: TlsSettings) -> None:
        self._config = config
        self._settings = settings
        self.problems: list[Problem] = []

    def clients(self) -> TlsClients:
        settings, section = self._settings, self._settings.outbound
        shown = self._usual_pair()
        ca, ciphers = self._ca(section.ca), self._ciphers()
        made: dict[KeyPair | None, TlsClient] = {}

        def client(pair: KeyPair | None) -> TlsClient:
            if pair not in made:
                made[pair] = TlsClient(
                    ca=ca,
                    ciphers=ciphers,
                    min_version=section.min_version or settings.min_version,
                    pair=pair,
                )
            return made[pair]

        always = settings.mutual_tls or bool(section.key or section.cert)
        named = self._pairs_by_host(shown)
        return TlsClients(
            client(shown if always else None),
            {host: client(pair) for host, pair in named.items()},
            client(None),
            settings.mutual_auth_hosts_exclude,
        )

    def _usual_pair(self) -> KeyPair | None:
        """The first pair of [outbound], or else of [main] as in Haraka; only what is asked for is a problem when it fails."""
        settings, section = self._settings, self._settings.outbound
        where, key = self._who_wants_it()
        keys, certs = (section.key or settings.key)[:1], (section.cert or settings.cert)[:1]
        if not key:
            return None
        before = len(self.problems)
        pairs, broken = pair_up(list(self._pem_files((*keys, *certs), where, key)))
        for file, problem in broken:
            self._complain(where, key, f"{file}: {problem}")
        if not pairs and len(self.problems) == before:
            self._complain(where, key, f"there is no key and certificate in {', '.join((*keys, *certs))}")
        return self._taken(pairs[0], where, key) if pairs else None

    def _who_wants_it(self) -> tuple[str, str]:
        """Section and key of the setting by which the usual pair is shown to somebody, "" and "" when none does that."""
        settings = self._settings
        if settings.outbound.key or settings.outbound.cert:
            return OUTBOUND, "key" if settings.outbound.key else "cert"
        if settings.mutual_tls:
            return "main", "mutual_tls"
        host = next((host for host, name in settings.mutual_auth_hosts.items() if not name), "")
        return (HOSTS, host) if host else ("", "")

    def _pairs_by_host(self, usual: KeyPair | None) -> Mapping[str, KeyPair | None]:
        """What [mutual_auth_hosts] asks for: the pair for a name, or the usual one."""
        hosts = self._settings.mutual_auth_hosts
        pairs = pair_up(list(self._all_files()))[0] if any(hosts.values()) else []
        found: dict[str, KeyPair | None] = {}
        for host, name in hosts.items():
            found[host] = self._pair_for(name, pairs, host) if name else usual
        return found

    def _pair_for(self, name: str, pairs: Iterable[KeyPair], host: str) -> KeyPair | None:
        fitting = [pair for pair in pairs if name.lower().rstrip(".") in pair.names]
        if fitting:
            return self._taken(max(fitting, key=lambda pair: pair.expires), HOSTS, host)
        where = f"the files of [main] and [{OUTBOUND}] and in {self._config.directory / DIRECTORY}"
        self._complain(
            HOSTS, host, f"there is no key and certificate for {name} in {where}, so none is shown there"
        )
        return None

    def _taken(self, pair: KeyPair, section: str, key: str) -> KeyPair | None:
        """The pair, unless OpenSSL refuses it."""
        try:
            TlsClient(ca=None, pair=pair)
        except TlsSettingsError as error:
            self._complain(section, key, f"{pair.file}: {error}")
            return None
        return pair

    def _ca(self, name: str) -> str | None:
        """The path of the file with the authorities, "" for the system's, None for nobody when it is not usable."""
        if not name:
            return ""
        path = str(self._config.directory / name)
        try:
            if self._config.get(name, "binary") is not None:
                TlsClient(ca=path)
                return path
            self._complain(OUTBOUND, "ca", f"there is no file {name}: {_NOBODY}")
        except (ConfigError, TlsSettingsError) as error:
            self._complain(OUTBOUND, "ca", f"{error}: {_NOBODY}")
        return None

    def _ciphers(self) -> str:
        own = self._settings.outbound.ciphers
        try:
            TlsClient(ca=None, ciphers=own or self._settings.ciphers)
        except TlsSettingsError as error:
            self._complain(OUTBOUND if own else "main", "ciphers", str(error))
            return ""
        return own or self._settings.ciphers

    def _all_files(self) -> Iterator[PemFile]:
        settings, section = self._settings, self._settings.outbound
        yield from self._pem_files((*section.key, *section.cert, *settings.key, *settings.cert), "", "")
        for path, data in self._config.get_dir(DIRECTORY):
            yield read_pem(str(path), data)

    def _pem_files(self, names: Sequence[str], section: str, key: str) -> Iterator[PemFile]:
        """Those that can be read, each once; what is wrong is that setting's fault, if there is one."""
        for name in dict.fromkeys(names):
            try:
                data = self._config.get(name, "binary")
            except ConfigError as error:
                if key:
                    self._complain(section, key, str(error))
                continue
            if data is not None:
                yield read_pem(name, data)

    def _complain(self, section: str, key: str, message: str) -> None:
        file, line = self._config.place(TlsSettings, section, key)
        self.problems.append(Problem(file, message, line, section, key, fatal=True))
