"""Passwords that lie in files of their own: `auth_pass_file` says where `auth_pass` is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

from mta.config.ini import Entry, Sections
from mta.config.problem import ConfigError, Problem
from mta.config.spec import Settings, Spec

S = TypeVar("S", bound=Settings)
Read = Callable[[str], str | None]


def with_secrets(settings: S, sections: Sections, read: Read) -> tuple[S, list[Problem]]:
    """Fill in each secret whose `_file` is set; `read` gives the first line of a file, None when it has none."""
    problems: list[Problem] = []
    return _fill(settings, sections, read, problems), problems


def _fill(settings: S, sections: Sections, read: Read, problems: list[Problem]) -> S:
    values: dict[str, Any] = {}
    for each in fields(settings):
        if "group" in each.metadata:
            values[each.name] = _fill(getattr(settings, each.name), sections, read, problems)
        elif each.metadata["spec"].kind.secret and (name := getattr(settings, f"{each.name}_file", "")):
            entry = _entry(each.metadata["spec"], sections)
            values[each.name] = _secret(each.metadata["spec"], name, entry, read, problems)
    return replace(settings, **values)


def _entry(spec: Spec, sections: Sections) -> Entry:
    return sections.get(spec.section, {}).get(f"{spec.key}_file") or Entry(None, "")


def _secret(spec: Spec, name: str, entry: Entry, read: Read, problems: list[Problem]) -> str:
    message = ""
    try:
        secret = read(name)
    except ConfigError as error:
        secret, message = None, str(error)
    if not secret:
        message = message or f"{name} holds no password"
        problems.append(
            Problem(entry.file, message, entry.line, spec.section, f"{spec.key}_file", fatal=True)
        )
    return secret or ""
