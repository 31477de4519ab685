"""The keys and certificates of an installation: the files that tls.ini names, and all those in config/tls/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mta.config.problem import ConfigError, Problem
from mta.config.schema import ME, TlsSettings
from mta.net.certificates import KeyPair, PemFile, pair_up, read_pem
from mta.net.tls_contexts import Demand, Options, Site, TlsSettingsError
from mta.net.tls_files import DIRECTORY
from mta.record import record

if TYPE_CHECKING:
    from mta.config import Config

_NOBODY = (
    "no client is authorised until it is there; "
    "put the PEM file there, or leave `ca` empty for the system's authorities"
)


@record
class Material:
    """What there is to work with. `pairs` is empty when TLS is not possible; `problems` says why, or what else is wrong.

    defaults: the pairs for clients that name no host that is known here. sites: the sections for one server name each.
    """

    options: Options
    pairs: tuple[KeyPair, ...]
    defaults: tuple[KeyPair, ...]
    sites: Mapping[str, Site]
    problems: tuple[Problem, ...]

    @property
    def lacks_authorities(self) -> bool:
        """True when a file that `ca` names can't be read: some clients can't be verified, whoever they are."""
        return any(
            each.believes_nobody for each in (self.options, *(site.options for site in self.sites.values()))
        )


def read_material(config: Config, settings: TlsSettings, now: datetime | None = None) -> Material:
    """Read everything; nothing in it, however broken, makes this raise."""
    reader = _Reader(config)
    named = {name.lower(): site for name, site in config.named(TlsSettings).items()}
    main = reader.pems(settings)
    own = {name: reader.pems(site) for name, site in named.items() if _has_own(site, settings)}
    others = [read_pem(str(path), data) for path, data in config.get_dir(DIRECTORY)]
    pairs, broken = pair_up(_each_once(main, *own.values(), others))
    options = reader.options(settings)
    of_sites = {name: reader.options(site) for name, site in named.items()}
    problems = [*reader.problems, *(Problem(file, problem) for file, problem in broken)]
    ini = str(config.directory / settings.FILE)
    sound = _sound(pairs, options, ini, problems)
    usable = _not_expired(sound, problems, now)
    defaults = _defaults(usable, [file.name for file in main], config.value(ME).lower())
    sites = {name: Site(of_sites[name], _pairs_in(usable, own.get(name, ()))) for name in named}
    for name, site in sites.items():
        usable = usable if _is_sound_site(name, site, usable, ini, problems) else []
    return Material(options, tuple(usable), tuple(defaults), sites, tuple(problems))


def _each_once(*groups: Sequence[PemFile]) -> list[PemFile]:
    return list({file.name: file for group in groups for file in group}.values())


def _has_own(site: TlsSettings, main: TlsSettings) -> bool:
    return (site.key, site.cert) != (main.key, main.cert)


def _pairs_in(pairs: Sequence[KeyPair], files: Sequence[PemFile]) -> tuple[KeyPair, ...]:
    names = {file.name for file in files}
    return tuple(pair for pair in pairs if pair.file in names)


def _sound(pairs: Sequence[KeyPair], options: Options, ini: str, problems: list[Problem]) -> list[KeyPair]:
    """Those that OpenSSL takes, with these settings."""
    try:
        options.context([], demand=Demand.ALWAYS)
    except TlsSettingsError as error:
        problems.append(Problem(ini, str(error)))
        return []
    return [pair for pair in pairs if _is_sound(pair, options, problems)]


def _is_sound(pair: KeyPair, options: Options, problems: list[Problem]) -> bool:
    try:
        options.context([pair])
    except TlsSettingsError as error:
        problems.append(Problem(pair.file, str(error).removeprefix(f"{pair.file}: ")))
        return False
    return True


def _is_sound_site(
    name: str, site: Site, pairs: Sequence[KeyPair], ini: str, problems: list[Problem]
) -> bool:
    """True when OpenSSL takes what a section says. Without it its clients would get less than somebody asked for."""
    try:
        site.options.context([], demand=Demand.ALWAYS)
        for pair in site.pairs or [pair for pair in pairs if name in pair.names]:
            site.options.context([pair])
    except TlsSettingsError as error:
        problems.append(Problem(ini, str(error), section=name))
        return False
    return True


def _not_expired(
    pairs: Sequence[KeyPair], problems: list[Problem], now: datetime | None
) -> Sequence[KeyPair]:
    """Those that are valid still; all, when none is: most clients would rather have that than no encryption."""
    for pair in pairs:
        if pair.expired(now):
            names = ", ".join(sorted(pair.names)) or "nobody"
            problems.append(
                Problem(pair.file, f"the certificate for {names} expired on {pair.expires:%Y-%m-%d}")
            )
    return [pair for pair in pairs if not pair.expired(now)] or pairs


def _defaults(pairs: Sequence[KeyPair], main: Sequence[str], me: str) -> list[KeyPair]:
    """The pairs of tls.ini, else those for everybody, else those that are for us, else the first."""
    for wanted in (
        [pair for pair in pairs if pair.file in main],
        [pair for pair in pairs if "*" in pair.names],
        [pair for pair in pairs if me in pair.names],
    ):
        if wanted:
            return wanted
    return list(pairs[:1])


class _Reader:
    """Reads what tls.ini names. A file that is missing is a problem only when a person has named it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        written = config.written(TlsSettings)
        self._entries = [(spec.key, entry) for spec, entry in written if spec.section == "main"]
        self.problems: list[Problem] = []

    def pems(self, settings: TlsSettings) -> list[PemFile]:
        """The files with keys and certificates, each once."""
        names = dict.fromkeys((*settings.key, *settings.cert))
        return [file for name in names if (file := self._pem(name)) is not None]

    def options(self, settings: TlsSettings) -> Options:
        return Options(settings, self._ca(settings.ca), self._dh(settings.dhparam))

    def _pem(self, name: str) -> PemFile | None:
        data = self._data(name, ("key", "cert"))
        return None if data is None else read_pem(str(self._config.directory / name), data)

    def _ca(self, name: str) -> str | None:
        """The path, "" for the system's authorities, None when those that are wanted instead are not there."""
        if name and self._data(name, ("ca",), _NOBODY) is None:
            return None
        return str(self._config.directory / name) if name else ""

    def _dh(self, name: str) -> bytes | None:
        return self._data(name, ("dhparam",)) if name else None

    def _data(self, name: str, keys: Sequence[str], so: str = "") -> bytes | None:
        """The file; so: what follows when it can't be read, which makes that worse than a complaint."""
        try:
            data: bytes | None = self._config.get(name, "binary")
            message = f"there is no file {name}"
        except ConfigError as error:
            data, message = None, str(error)
        if data is None:
            self._complain(keys, name, f"{message}: {so}" if so else message, bool(so))
        return data

    def _complain(self, keys: Sequence[str], name: str, message: str, fatal: bool) -> None:
        for key, entry in self._entries:
            if key in keys and name in (entry.text or ""):
                problem = Problem(entry.file, message, entry.line, "main", key, fatal=fatal)
                if problem not in self.problems:
                    self.problems.append(problem)
                return
