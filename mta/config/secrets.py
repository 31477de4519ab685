"""Passwords that lie elsewhere: `auth_pass_file` and `auth_pass_env` say where `auth_pass` is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

from mta.config.ini import Entry, Sections
from mta.config.problem import ConfigError, Problem
from mta.config.spec import Settings, Spec

S = TypeVar("S", bound=Settings)
Read = Callable[[str], str | None]


def with_secrets(settings: S, sections: Sections, read: Read) -> tuple[S, list[Problem]]:
    """Fill in each secret whose `_file` or `_env` is set; `read` gives the first line of a file, None when it has none."""
    problems: list[Problem] = []
    return _fill(settings, sections, read, problems), problems


def _fill(settings: S, sections: Sections, read: Read, problems: list[Problem]) -> S:
    values: dict[str, Any] = {}
    for each in fields(settings):
        if "group" in each.metadata:
            values[each.name] = _fill(getattr(settings, each.name), sections, read, problems)
            continue
        for suffix, source in (("file", read), ("env", os.environ.get)):
            if each.metadata["spec"].kind.secret and (name := getattr(settings, f"{each.name}_{suffix}", "")):
                key = f"{each.metadata['spec'].key}_{suffix}"
                values[each.name] = _secret(each.metadata["spec"], key, name, source, sections, problems)
                break
    return replace(settings, **values)


def _secret(
    spec: Spec, key: str, name: str, source: Read, sections: Sections, problems: list[Problem]
) -> str:
    message = f"{name} holds no password"
    try:
        secret = source(name)
    except ConfigError as error:
        secret, message = None, str(error)
    if not secret:
        entry = sections.get(spec.section, {}).get(key) or Entry(None, "")
        problems.append(Problem(entry.file, message, entry.line, spec.section, key, fatal=True))
    return secret or ""
