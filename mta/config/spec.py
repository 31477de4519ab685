"""What a settings class is made of: fields that know where they are written and what they may be."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any, ClassVar, Generic, Self, TypeVar

from mta.config.kinds import Kind
from mta.record import record

T = TypeVar("T")


@record
class Spec:
    """Where one setting is written and what it may be; `key` is empty when every key of the section is a name.

    names: what such a name may be, None when anything may.
    """

    section: str
    key: str
    kind: Kind[Any]
    default: Any
    doc: str
    names: Kind[Any] | None = None


def setting(section: str, key: str, kind: Kind[T], default: T, doc: str) -> T:
    """Declare one field; it is told from plain defaults by the Spec in its metadata."""
    spec = Spec(section, key, kind, default, doc)
    return field(default=default, metadata={"spec": spec}, repr=not kind.secret)


@record
class Settings:
    """What one file says, with a default for each key that it does not."""

    FILE: ClassVar[str] = ""
    REPEATED: ClassVar[str] = ""
    """A section whose keys may be written again in sections of any other name."""
    SECTIONED: ClassVar[bool] = False
    """Every section of the file is one of these, whatever its name; see Config.sections."""
    ONCE: ClassVar[frozenset[str]] = frozenset()
    """Keys of that section which may not."""

    def finish(self, given: frozenset[str]) -> Self:
        """Return what follows from the values together; `given` names the fields that a person has set."""
        return self


@record
class ValueFile(Generic[T]):
    """A file that holds one value: its first line which is neither blank nor a comment."""

    name: str
    kind: Kind[T]
    default: T
    doc: str


@record
class LinesFile:
    """A file of lines: entries of a list, or with `raw` a text that is taken as it stands; `kind` is that of an entry."""

    name: str
    doc: str
    raw: bool = False
    kind: Kind[Any] | None = None


def specs(settings: type[Settings]) -> list[tuple[str, Spec]]:
    """The fields of a settings class with their Spec, those of its groups included, in the order of the file."""
    found: list[tuple[str, Spec]] = []
    for each in fields(settings):
        if "group" in each.metadata:
            found += specs(each.metadata["group"])
        else:
            found.append((each.name, each.metadata["spec"]))
    return found
