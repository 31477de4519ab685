"""The reader: one name to one value, from the layers of directories in which it may be written."""

from __future__ import annotations

import copy
import os
import socket
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mta.config.alias import Alias
from mta.config.binding import bind, bind_named, bind_section, bind_value, check_entries, repeated
from mta.config.formats import TREES, merge_trees, type_of
from mta.config.ini import Declared, Entry, Sections, coerce, declare, merge_sections, to_values
from mta.config.known import FILES_NOT_YET
from mta.config.layer import Layer, Loaded, Reporter
from mta.config.old_files import OldFile, with_old_files
from mta.config.problem import Notice, Problem
from mta.config.schema import LISTS, SETTINGS
from mta.config.secrets import with_secrets
from mta.config.spec import Settings, Spec, ValueFile, specs
from mta.config.watch import Watch

T = TypeVar("T")
S = TypeVar("S", bound=Settings)


class DirFile(NamedTuple):
    """One file of a directory that get_dir read."""

    path: Path
    data: Any


class Config:
    """Reads configuration. Files of `install_dir`/config lie over those of `shipped_dir`, key by key.

    `notice` gets each problem once, see Problem; no file however broken makes a reader raise. Readers return data of
    the caller's own. `on_change` is called with the new value, in a greenlet of its own, between watch() and close().
    """

    def __init__(self, install_dir: Path | None, shipped_dir: Path, notice: Notice) -> None:
        self._reporter = Reporter(notice)
        self._shipped = Layer(shipped_dir, self._reporter)
        self._defaults: tuple[Layer, ...] = ()
        self._install: Layer | None = None
        if install_dir is not None:
            self._install = Layer(install_dir / "config", self._reporter, overridable=True)
        self._watch = Watch(self._reporter.report, [layer.directory for layer in self._layers])

    @property
    def directory(self) -> Path:
        """Where the operator's files lie."""
        return self._layers[-1].directory

    def for_plugin(self, *defaults: Path, alias: Alias | None = None) -> Config:
        """The same configuration with a plugin's own defaults below the operator's files (Haraka's module_config).

        defaults: directories, the lowest first. alias: the plugin runs under another name, so the operator's files
        that are its own have that name too.
        """
        plugin = copy.copy(self)
        plugin._defaults = tuple(Layer(directory, self._reporter) for directory in defaults)
        for directory in defaults:
            self._watch.add(directory)
        if alias is not None:
            plugin._shipped = self._shipped.renamed(alias.default_file)
            plugin._defaults = tuple(layer.renamed(alias.default_file) for layer in plugin._defaults)
            plugin._install = self._install and self._install.renamed(alias.own_file)
        return plugin

    def get(
        self,
        name: str,
        type: str | None = None,
        *,
        booleans: Collection[str] = (),
        text: Collection[str] = (),
        on_change: Callable[[Any], None] | None = None,
    ) -> Any:
        """What the file `name` says, as the type its extension stands for, or `type`.

        value: str, int, float or None; list, data: list of str; ini: dict of dicts; json, yaml, toml: a tree;
        binary: bytes or None. `booleans` declares keys of an ini file as Haraka does (`+main.enabled`, `*.deny`),
        `text` in the same way keys whose values stay text although they look like numbers.
        Raises ConfigError for an unknown type or a relative name that leaves the directory.
        """
        kind = type_of(name, type)
        declared, texts = declare(booleans), declare(text) + _schema_texts(name)
        if on_change is not None and os.path.isabs(name):
            self._watch.add(Path(name).parent)
        return self._read(lambda: self._get(name, kind, declared, texts), on_change)

    def get_int(self, name: str, default: int = 0) -> int:
        """The whole number in a file of one value, its fraction cut off; `default` when there is none."""
        value = self.get(name, "value")
        return int(value) if isinstance(value, int | float) else default

    def get_dir(
        self, name: str, type: str = "binary", *, on_change: Callable[[Any], None] | None = None
    ) -> list[DirFile]:
        """Every file below the directory `name`, in the order of their paths, each read as `type`."""
        kind = type_of(name, type)
        return self._read(lambda: self._get_dir(name, kind), on_change)

    def settings(self, cls: type[S], on_change: Callable[[S], None] | None = None) -> S:
        """The typed settings of one file; a bad value is a fatal problem and leaves the default, or what was before."""
        bare = cls()

        def read() -> S:
            nonlocal bare
            sections: Sections = self._content(cls.FILE, "ini") or {}
            bare, problems = bind(sections, bare)
            whole, more = with_secrets(bare.finish(self._given(cls, sections)), sections, self._first_line)
            for problem in problems + more:
                self._reporter.report(problem)
            return whole

        return self._read(read, on_change)

    def sections(
        self, cls: type[S], on_change: Callable[[list[tuple[str, S]]], None] | None = None
    ) -> list[tuple[str, S]]:
        """The name and the settings of each section of the file, in its order.

        A bad value is a fatal problem and leaves all of them as they were before.
        """
        last: list[tuple[str, S]] = []

        def read() -> list[tuple[str, S]]:
            nonlocal last
            found, problems = self._bound_sections(cls)
            for problem in problems:
                self._reporter.report(problem)
            if not any(problem.fatal for problem in problems):
                last = found
            return last

        return self._read(read, on_change)

    def named(self, cls: type[S], on_change: Callable[[dict[str, S]], None] | None = None) -> dict[str, S]:
        """The settings for each name that has a section of its own in the file of `cls`, see Settings.REPEATED.

        What is wrong there is told by settings().
        """
        main = cls()

        def read() -> dict[str, S]:
            nonlocal main
            sections: Sections = self._content(cls.FILE, "ini") or {}
            main, _ = bind(sections, main)
            return bind_named(sections, main)

        return self._read(read, on_change)

    def value(self, file: ValueFile[T], on_change: Callable[[T], None] | None = None) -> T:
        """The typed value of a file that holds one, see schema.VALUES."""
        last = file.default

        def read() -> T:
            nonlocal last
            entry = self._content(file.name, "value")
            last, problems = bind_value(file, entry, last) if entry else (file.default, [])
            for problem in problems:
                self._reporter.report(problem)
            return last

        return self._read(read, on_change)

    def entries(self, name: str) -> list[Entry]:
        """The lines of a list, each knowing its file and line."""
        return self._content(name, "entries") or []

    def written(self, cls: type[Settings]) -> Iterator[tuple[Spec, Entry]]:
        """What the operator wrote into the file of these settings, as far as the schema knows the keys."""
        sections: Sections = self._content(cls.FILE, "ini") or {}
        own = [
            (section, key, entry)
            for section, keys in sections.items()
            for key, entry in keys.items()
            if not self._is_shipped(entry)
        ]
        known = {(spec.section, spec.key): spec for _, spec in specs(cls)} if own else {}
        for section, key, entry in own:
            spec = known.get((section, key)) or known.get((section, "")) or known.get((cls.REPEATED, key))
            if spec is not None:
                yield spec, entry

    def place(self, cls: type[Settings], section: str, key: str) -> tuple[str, int]:
        """File and line (0: unknown) where a setting is written, or would be."""
        entry = (self._content(cls.FILE, "ini") or {}).get(section, {}).get(key)
        if entry is not None and not self._is_shipped(entry):
            return entry.file, entry.line
        return str(self._layers[-1].path(cls.FILE)), 0

    def place_of_section(self, cls: type[Settings], section: str) -> tuple[str, int]:
        """File and line of the first key of a section; line 0 when there is none."""
        for entry in (self._content(cls.FILE, "ini") or {}).get(section, {}).values():
            return entry.file, entry.line
        return str(self._layers[-1].path(cls.FILE)), 0

    def survey(self) -> None:
        """Report the files of a Haraka installation that this release does not read."""
        for name, reason in FILES_NOT_YET.items():
            path = self.directory / name
            if self._install is not None and path.exists():
                self._reporter.report(Problem(str(path), reason))

    def watch(self) -> None:
        """Follow the files from now on; call it in the process that shall see the changes, after any fork."""
        self._watch.start()

    def catch_up(self) -> None:
        """Look for changes now; on return everybody who follows the files has been told. Also without watch()."""
        self._watch.catch_up()

    def close(self) -> None:
        """Stop following the files."""
        self._watch.stop()

    @property
    def _layers(self) -> list[Layer]:
        """From the lowest, the shipped files, to the highest, the operator's."""
        own = () if self._install is None else (self._install,)
        return [self._shipped, *self._defaults, *own]

    def _read(self, read: Callable[[], T], on_change: Callable[[T], None] | None) -> T:
        value = read()
        if on_change is not None:
            self._watch.follow(read, value, on_change)
        return copy.deepcopy(value)

    def _get(self, name: str, kind: str, booleans: list[Declared], texts: list[Declared]) -> Any:
        content = self._content(name, kind)
        if kind == "list":
            self._check_list(name)
        if name == "me" and not content:
            return [socket.gethostname()] if kind == "list" else socket.gethostname()
        if kind == "ini":
            self._check(name, content or {})
            return to_values(content or {"main": {}}, booleans, texts)
        if kind == "value":
            return _coerce_entry(content)
        if content is None and kind != "binary":
            return [] if kind in ("list", "data") else {}
        return content

    def _content(self, name: str, kind: str) -> Any:
        """The layers of one file put together; None when there is none."""
        layers = self._layers[-1:] if os.path.isabs(name) else self._layers
        found = [loaded.content for layer in layers if (loaded := _load(layer, name, kind)) is not None]
        if kind == "ini":
            return self._with_old_files(name, reduce(merge_sections, found)) if found else None
        if kind in TREES:
            return reduce(merge_trees, found) if found else None
        if kind in ("list", "data", "entries") and not self._defaults:
            return found[-1] if found else None  # an operator's empty list means none of the shipped entries
        return next((content for content in reversed(found) if content), found[-1] if found else None)

    def _with_old_files(self, name: str, sections: Sections) -> Sections:
        whole, problems = with_old_files(name, sections, self._old_file, self._is_shipped)
        for problem in problems:
            self._reporter.report(problem)
        return whole

    def _old_file(self, old: OldFile) -> list[Entry]:
        """What the operator's file of an earlier release says, in entries."""
        if self._install is None or (loaded := self._install.load(old.name, "entries")) is None:
            return []
        entries: list[Entry] = loaded.content
        return entries if old.lines else entries[:1]

    def _get_dir(self, name: str, kind: str) -> list[DirFile]:
        files: dict[str, DirFile] = {}
        for layer in self._layers:
            for relative in sorted(_walk(layer.path(name))):
                path = os.path.join(name, relative)
                if (loaded := layer.load(path, kind)) is not None:
                    content = _coerce_entry(loaded.content) if kind == "value" else loaded.content
                    files[relative] = DirFile(layer.path(path), content)
        return [files[relative] for relative in sorted(files)]

    def _check(self, name: str, sections: Sections) -> None:
        """Report mistakes in a file that the schema knows to whoever reads it."""
        for cls in SETTINGS:
            if name == cls.FILE:
                for problem in bind(sections, cls())[1]:
                    self._reporter.report(problem)

    def _check_list(self, name: str) -> None:
        """The same for a list whose entries the schema knows."""
        for file in LISTS:
            if name == file.name and file.kind is not None:
                own = [entry for entry in self.entries(name) if not self._is_shipped(entry)]
                for problem in check_entries(file, own):
                    self._reporter.report(problem)

    def _bound_sections(self, cls: type[S]) -> tuple[list[tuple[str, S]], list[Problem]]:
        found: list[tuple[str, S]] = []
        problems: list[Problem] = []
        for name, keys in repeated(cls, self._content(cls.FILE, "ini") or {}).items():
            bare, wrong = bind_section(cls, name, keys)
            whole, missing = with_secrets(bare, {cls.REPEATED: keys}, self._first_line)
            found.append((name, whole))
            problems += wrong + [replace(problem, section=name) for problem in missing]
        return found, problems

    def _given(self, cls: type[Settings], sections: Sections) -> frozenset[str]:
        """The fields that somebody wrote outside of the shipped files."""
        return frozenset(
            field
            for field, spec in specs(cls)
            if (entry := sections.get(spec.section, {}).get(spec.key)) and not self._is_shipped(entry)
        )

    def _is_shipped(self, entry: Entry) -> bool:
        return entry.file.startswith(os.path.join(self._shipped.directory, ""))

    def _first_line(self, name: str) -> str | None:
        layer = self._layers[-1]
        self._watch.add(layer.path(name).parent)
        loaded = layer.load_first_line(name)
        return loaded.content if loaded else None


def _load(layer: Layer, name: str, kind: str) -> Loaded | None:
    loaded = layer.load(name, kind)
    if loaded is None and name.endswith(".json"):
        return layer.load(name.removesuffix(".json") + ".yaml", "yaml")
    return loaded


def _coerce_entry(entry: Entry | None) -> Any:
    if entry is None or entry.native is not None:
        return entry and entry.native
    return coerce(entry.text) if isinstance(entry.text, str) else entry.text


def _schema_texts(name: str) -> list[Declared]:
    """The keys that the schema takes as text stay text for a plugin that reads the file itself."""
    return [
        Declared(spec.section, spec.key)
        for cls in SETTINGS
        if name == cls.FILE
        for _, spec in specs(cls)
        if isinstance(spec.default, str)
    ]


def _walk(directory: Path) -> Iterator[str]:
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), directory)
