"""The keys and certificates of an installation: the files that tls.ini names, and all those in config/tls/."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mta.config.problem import ConfigError, Problem
from mta.config.schema import ME, TlsSettings
from mta.net.certificates import KeyPair, PemFile, pair_up, read_pem
from mta.net.tls_contexts import Options, TlsSettingsError

if TYPE_CHECKING:
    from mta.config import Config

DIRECTORY = "tls"


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to work with. `pairs` is empty when TLS is not possible; `problems` says why, or what else is wrong.

    defaults: the pairs for clients that name no host that is known here.
    """

    options: Options
    pairs: tuple[KeyPair, ...]
    defaults: tuple[KeyPair, ...]
    problems: tuple[Problem, ...]


def named_files(settings: TlsSettings) -> list[str]:
    """The files that tls.ini names, each once; they need not exist."""
    names = [*settings.key, *settings.cert, settings.dhparam, settings.ca]
    return list(dict.fromkeys(name for name in names if name))


def read_material(config: Config, settings: TlsSettings, now: datetime | None = None) -> Material:
    """Read everything; nothing in it, however broken, makes this raise."""
    reader = _Reader(config)
    main = [reader.pem(name) for name in dict.fromkeys((*settings.key, *settings.cert))]
    others = [read_pem(str(path), data) for path, data in config.get_dir(DIRECTORY)]
    pairs, broken = pair_up([file for file in [*main, *others] if file is not None])
    options = Options(settings, reader.ca(settings.ca), reader.dh(settings.dhparam))
    problems = [*reader.problems, *(Problem(file, problem) for file, problem in broken)]
    sound = _sound(pairs, options, str(config.directory / settings.FILE), problems)
    usable = _not_expired(sound, problems, now)
    defaults = _defaults(usable, [file.name for file in main if file], config.value(ME).lower())
    return Material(options, tuple(usable), tuple(defaults), tuple(problems))


def _sound(pairs: Sequence[KeyPair], options: Options, ini: str, problems: list[Problem]) -> list[KeyPair]:
    """Those that OpenSSL takes, with these settings."""
    try:
        options.context([])
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
        self._entries = {
            spec.key: entry for spec, entry in config.written(TlsSettings) if spec.section == "main"
        }
        self.problems: list[Problem] = []

    def pem(self, name: str) -> PemFile | None:
        data = self._data(name, ("key", "cert"))
        return None if data is None else read_pem(str(self._config.directory / name), data)

    def ca(self, name: str) -> str:
        if not name or self._data(name, ("ca",)) is None:
            return ""
        return str(self._config.directory / name)

    def dh(self, name: str) -> bytes | None:
        return self._data(name, ("dhparam",)) if name else None

    def _data(self, name: str, keys: Sequence[str]) -> bytes | None:
        try:
            data: bytes | None = self._config.get(name, "binary")
        except ConfigError as error:
            self._complain(keys, str(error))
            return None
        if data is None:
            self._complain(keys, f"there is no file {name}")
        return data

    def _complain(self, keys: Sequence[str], message: str) -> None:
        for key in keys:
            if entry := self._entries.get(key):
                self.problems.append(Problem(entry.file, message, entry.line, "main", key))
                return
