"""One directory of configuration files; each is parsed once and again when it has changed."""

from __future__ import annotations

import copy
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from mta.config.formats import parse
from mta.config.overrides import NAMES, Files, as_type, fits, parse_overrides
from mta.config.problem import ConfigError, Notice, ParseError, Problem
from mta.record import record

Stamp = tuple[int, ...]
Parser = Callable[[bytes, str], tuple[Any, list[Problem]]]
Renaming = Callable[[str], str]


class Reporter:
    """Passes problems on, each once until the file that it is about changes."""

    def __init__(self, notice: Notice) -> None:
        self._notice = notice
        self._said: dict[str, set[str]] = {}

    def report(self, problem: Problem) -> None:
        """Tell the operator, unless this was said already."""
        said = self._said.setdefault(problem.file, set())
        if str(problem) not in said:
            said.add(str(problem))
            self._notice(problem)

    def changed(self, file: str) -> None:
        """A file is read anew: what is still wrong with it is worth saying again."""
        self._said.pop(file, None)


@record
class Loaded:
    """A file that exists; what it says, in the form that formats.parse gives."""

    content: Any


@record
class _Cached:
    stamp: Stamp | None
    loaded: Loaded | None


class Layer:
    """The files of one directory. `overridable`: smtp.json, smtp.yaml or smtp.toml may stand for all of them."""

    def __init__(self, directory: Path, reporter: Reporter, *, overridable: bool = False) -> None:
        self.directory = Path(os.path.abspath(directory))
        self._reporter = reporter
        self._overridable = overridable
        self._renaming: Renaming = _as_it_is
        self._cache: dict[tuple[str, str], _Cached] = {}
        self._overriding = tuple((name, self._path(name)) for name in NAMES) if overridable else ()

    def renamed(self, renaming: Renaming) -> Layer:
        """The same directory for a reader whose names for files `renaming` turns into those that they have here."""
        layer = copy.copy(self)
        layer._renaming = renaming
        return layer

    def path(self, name: str) -> Path:
        """Where the file of that name lies. Raises ConfigError when that is outside the directory."""
        return self._path(self._renaming(name))

    def _path(self, name: str) -> Path:
        inside = os.path.normpath(os.path.join(self.directory, name))
        if not name or "\0" in name:
            raise ConfigError(f"config name {name!r} is not a file name")
        if not os.path.isabs(name) and not inside.startswith(os.path.join(self.directory, "")):
            raise ConfigError(f"config name {name!r} escapes the config directory ({self.directory})")
        return Path(inside)

    def load(self, name: str, kind: str) -> Loaded | None:
        """The file as a file of type `kind`; None when there is none.

        What is wrong with it is reported; a file that cannot be read or understood says what it said before.
        """
        name = self._renaming(name)
        replaced = self._overrides().get(name) if self._overridable else None
        if replaced is not None and fits(kind, replaced):
            return Loaded(as_type(kind, replaced))
        return self._load(self._path(name), kind, partial(parse, kind))

    def load_first_line(self, name: str) -> Loaded | None:
        """The first line as it stands, without its line end: a password may begin with a `#`."""
        return self._load(self._path(name), "first line", _first_line)

    def _overrides(self) -> Files:
        files: Files = {}
        taken = ""
        for name, path in self._overriding:
            kind = name.rpartition(".")[2]
            loaded = self._load(path, "overrides", partial(_parse_overrides, kind))
            if loaded is None:
                continue
            if taken:
                self._reporter.report(Problem(str(path), f"not read, because there is a {taken}"))
            else:
                files, taken = loaded.content, name
        return files

    def _load(self, path: Path, kind: str, parser: Parser) -> Loaded | None:
        key = (str(path), kind)
        stamp, cached = _stamp(path), self._cache.get(key)
        if cached and cached.stamp == stamp:
            return cached.loaded
        loaded = self._read(path, stamp, parser, cached)
        self._cache[key] = _Cached(stamp, loaded)
        return loaded

    def _read(self, path: Path, stamp: Stamp | None, parser: Parser, cached: _Cached | None) -> Loaded | None:
        before = cached.loaded if cached else None
        self._reporter.changed(str(path))
        if stamp is None:
            return None
        try:
            content, problems = parser(_read_bytes(path), str(path))
        except OSError as error:
            self._reporter.report(
                Problem(str(path), f"cannot be read: {error.strerror or error}", fatal=True)
            )
            return before
        except ParseError as error:
            self._reporter.report(error.problem)
            return before
        for problem in problems:
            self._reporter.report(problem)
            if problem.fatal and cached:
                return before
        return Loaded(content)


def _as_it_is(name: str) -> str:
    return name


def _stamp(path: Path) -> Stamp | None:
    """What changes when the file does; None when there is no file."""
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return (error.errno or -1,)
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino, info.st_mode)


def _read_bytes(path: Path) -> bytes:
    # A FIFO in the place of a file would block the process until somebody writes to it.
    if stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError("not a regular file")
    return path.read_bytes()


def _first_line(raw: bytes, file: str) -> tuple[str, list[Problem]]:
    try:
        return raw.split(b"\n", 1)[0].removesuffix(b"\r").decode(), []
    except UnicodeDecodeError:
        raise ParseError(Problem(file, "the first line is not UTF-8 text", 1, fatal=True)) from None


def _parse_overrides(kind: str, raw: bytes, file: str) -> tuple[Files, list[Problem]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ParseError(Problem(file, "this is not UTF-8 text", fatal=True)) from None
    return parse_overrides(kind, text, file)
