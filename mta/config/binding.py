"""From the entries of a file to a settings object: each value checked, each mistake one problem; pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, TypeVar

from mta.config.ini import Entry, Sections
from mta.config.known import NOT_YET
from mta.config.problem import Problem
from mta.config.spec import LinesFile, Settings, Spec, ValueFile, specs

S = TypeVar("S", bound=Settings)
T = TypeVar("T")


def bind(sections: Sections, previous: S) -> tuple[S, list[Problem]]:
    """Build the settings that `sections` describe; a bad value leaves what `previous` says."""
    own, others = _split(type(previous), sections)
    bound, problems = _bind_own(previous, own)
    for name, keys in others.items():
        problems += bind_section(type(previous), name, keys)[1]
        problems += [_only_once(previous, name, key, keys[key]) for key in keys if key in previous.ONCE]
    return bound, problems


def bind_section(cls: type[S], name: str, keys: dict[str, Entry]) -> tuple[S, list[Problem]]:
    """Build the settings of one section that repeats another; its own name stands in the problems."""
    bound, problems = _bind_own(cls(), {cls.REPEATED: keys})
    return bound, [replace(problem, section=name) for problem in problems]


def repeated(cls: type[Settings], sections: Sections) -> Sections:
    """The sections that repeat the one that the schema names, in the order of the file."""
    return _split(cls, sections)[1]


def _bind_own(previous: S, sections: Sections) -> tuple[S, list[Problem]]:
    problems: list[Problem] = []
    bound = _bind_fields(previous, sections, problems)
    return bound, problems + _unknown_keys(type(previous), sections)


def bind_named(sections: Sections, main: S) -> dict[str, S]:
    """What sections of other names make of `main`, the settings of the repeated one; a bad value leaves what that says.

    The problems are those that bind reports.
    """
    own, others = _split(type(main), sections)
    repeated = own.get(main.REPEATED, {})
    found = {}
    for name, keys in others.items():
        own_keys = {key: entry for key, entry in keys.items() if key not in main.ONCE}
        found[name] = bind({**own, main.REPEATED: {**repeated, **own_keys}}, main)[0]
    return found


def _only_once(settings: Settings, section: str, key: str, entry: Entry) -> Problem:
    message = f"this counts in [{settings.REPEATED}] only"
    return Problem(entry.file, message, entry.line, section, key)


def _split(settings: type[Settings], sections: Sections) -> tuple[Sections, Sections]:
    """The sections that the schema names, and those that repeat one of them; the reader puts these together itself."""
    named = set() if settings.SECTIONED else {spec.section for _, spec in specs(settings)}
    others = {
        name: keys
        for name, keys in sections.items()
        if settings.REPEATED
        and name not in named
        and (keys or name != "main")
        and not _not_yet(settings.FILE, name, "*")
    }
    return {name: keys for name, keys in sections.items() if name not in others}, others


def bind_value(file: ValueFile[T], entry: Entry, previous: T) -> tuple[T, list[Problem]]:
    """The same for a file that holds one value."""
    problems: list[Problem] = []
    value = _value(Spec("", "", file.kind, file.default, file.doc), "", entry, previous, problems)
    return value, problems


def check_entries(file: LinesFile, entries: Iterable[Entry]) -> list[Problem]:
    """One problem for each entry of a list that is not what the list is made of."""
    kind = file.kind
    if kind is None:
        return []
    problems: list[Problem] = []
    for entry in entries:
        _value(Spec("", "", kind, None, file.doc), "", entry, None, problems)
    return problems


def _bind_fields(previous: S, sections: Sections, problems: list[Problem]) -> S:
    values: dict[str, Any] = {}
    for each in fields(previous):
        before = getattr(previous, each.name)
        if "group" in each.metadata:
            values[each.name] = _bind_fields(before, sections, problems)
        elif each.metadata["spec"].key:
            values[each.name] = _bind_key(each.metadata["spec"], sections, before, problems)
        else:
            own = _own_keys(previous, each.metadata["spec"].section)
            values[each.name] = _bind_section(each.metadata["spec"], own, sections, before, problems)
    return replace(previous, **values)


def _bind_key(spec: Spec, sections: Sections, before: Any, problems: list[Problem]) -> Any:
    entry = sections.get(spec.section, {}).get(spec.key)
    if entry is None or entry.text is None:
        return spec.default
    if not any(entry.text) and (not spec.default or type(spec.default) in (int, float)):
        # `key=` in a file, or `key[]=`, is how an unset value is written; text kinds read it as "" anyway.
        return spec.default
    return _value(spec, spec.key, entry, before, problems)


def _own_keys(settings: Settings, section: str) -> set[str]:
    """The keys of a section that have a meaning of their own; the others there may be names."""
    return {spec.key for _, spec in specs(type(settings)) if spec.section == section}


def _bind_section(
    spec: Spec, own: set[str], sections: Sections, before: Any, problems: list[Problem]
) -> dict[str, Any]:
    values = {}
    for key, entry in sections.get(spec.section, {}).items():
        if key in own:
            continue
        value = _value(spec, key, entry, before.get(key), problems)
        if value is not None and _is_name(spec, key, entry, problems):
            values[key] = value
    return values


def _is_name(spec: Spec, key: str, entry: Entry, problems: list[Problem]) -> bool:
    if spec.names is None:
        return True
    try:
        spec.names.parse([key])
    except ValueError as error:
        problems.append(
            Problem(entry.file, str(error), entry.line, spec.section, key, spec.names.allowed, fatal=True)
        )
        return False
    return True


def _value(spec: Spec, key: str, entry: Entry, before: Any, problems: list[Problem]) -> Any:
    texts = entry.text if isinstance(entry.text, list) else [entry.text or ""]
    try:
        return spec.kind.parse(texts)
    except ValueError as error:
        message = "not usable" if spec.kind.secret else str(error)
        problems.append(
            Problem(entry.file, message, entry.line, spec.section, key, spec.kind.allowed, fatal=True)
        )
        return before


def _unknown_keys(settings: type[Settings], sections: Sections) -> list[Problem]:
    """One problem for each key that this release does not honour, whether it is Haraka's or nobody's."""
    known: dict[str, set[str]] = {}
    for _, spec in specs(settings):
        known.setdefault(spec.section, set()).add(spec.key)
    problems = []
    for section, keys in sections.items():
        for key, entry in keys.items():
            if "" not in known.get(section, ()) and key not in known.get(section, ()):
                problems.append(_unknown(settings.FILE, section, key, entry, known))
    return problems


def _unknown(file: str, section: str, key: str, entry: Entry, known: dict[str, set[str]]) -> Problem:
    if reason := _not_yet(file, section, key):
        return Problem(entry.file, reason, entry.line, section, key)
    if section not in known:
        message = "unknown section" + _guess(section, known)
        return Problem(
            entry.file, message, entry.line, section, key, ", ".join(f"[{name}]" for name in known)
        )
    message = "unknown key" + _guess(key, known[section])
    return Problem(entry.file, message, entry.line, section, key, ", ".join(sorted(known[section])))


def _not_yet(file: str, section: str, key: str) -> str | None:
    table = NOT_YET.get(file, {})
    return table.get((section, key)) or table.get((section, "*"))


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1, 0.75)
    return f", did you mean {close[0]}?" if close else ""
