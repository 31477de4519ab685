"""Write docs/plugins/API.md, the reference of `mta.plugin`, from its docstrings: `make docs`."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import mta.plugin
from tests.support.api_groups import GROUPS, WIRING
from tests.support.api_source import Attribute, attributes_of, documented_names, imported_from

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins" / "API.md"
HEAD = """\
# The API of plugins

Everything that `mta.plugin` exports; nothing else is meant for plugins. The guide is [Plugins](../Plugins.md), the first steps are in
[Tutorial](../Tutorial.md). This page is made from the docstrings by `make docs`.
"""
CODES = tuple(code.name for code in mta.plugin.Code)


def page() -> str:
    """The whole page."""
    chapters = [f"## {title}\n\n" + "\n".join(map(entry, names)) for title, names in groups().items()]
    return "\n".join([HEAD, contents(), *chapters])


def groups() -> dict[str, tuple[str, ...]]:
    """The chapters, of names that are exported; the last one has those that stand in none."""
    exported = set(mta.plugin.__all__) - set(CODES)
    chapters = {title: tuple(name for name in names if name in exported) for title, names in GROUPS.items()}
    others = sorted(exported.difference(*chapters.values()))
    return {title: names for title, names in {**chapters, "Others": tuple(others)}.items() if names}


def contents() -> str:
    rows = [
        f"* {title}: " + ", ".join(f"[{name}](#{name.lower()})" for name in names)
        for title, names in groups().items()
    ]
    return "\n".join(rows) + "\n"


def entry(name: str) -> str:
    thing = getattr(mta.plugin, name)
    if isinstance(thing, type) and issubclass(thing, enum.Enum):
        return "\n".join([f"### {name}\n", text_of(thing), table("code", codes(thing))])
    if isinstance(thing, type):
        return class_entry(name, thing)
    if inspect.isfunction(inspect.unwrap(thing)):
        return "\n".join([f"### {name}\n", f"`{signature(name, thing)}`\n", text_of(thing)])
    return "\n".join([f"### {name}\n", plain(constant_doc(mta.plugin, name))])


def constant_doc(module: ModuleType, name: str) -> str:
    """The docstring below a value that was imported, from where it is defined; "" when there is none."""
    while name in imported_from(module):
        module = importlib.import_module(imported_from(module)[name])
    return documented_names(module).get(name, "")


def class_entry(name: str, cls: type) -> str:
    bases = [base.__name__ for base in cls.__bases__ if base.__name__ in mta.plugin.__all__]
    title = (
        f"### {name}\n"
        if not bases
        else f"### {name}\n\nA {', '.join(f'[{b}](#{b.lower()})' for b in bases)}.\n"
    )
    attributes = list(attributes_of(cls))
    parts = [title, text_of(cls), table("attribute", attributes) if attributes else ""]
    made = construction(name, cls)
    listed = "\n".join(methods(name, cls)).rstrip()
    return "\n".join(filter(None, [*parts, made, listed and listed + "\n", named_constructors(name, cls)]))


def construction(name: str, cls: type) -> str:
    """How one is made, for classes that plugins make themselves."""
    own = "__init__" in vars(cls) and name not in (
        "Connection",
        "Plugin",
        "Server",
        "Config",
        "Logger",
        "Record",
    )
    if (
        not own
        or getattr(cls, "_is_protocol", False)
        or name in ("Tls", "Hello", "Proxy", "Counts", "Body")
        or issubclass(cls, BaseException)
    ):
        return ""
    return f"`{signature(name, cls.__init__)}`\n"  # type: ignore[misc]


def methods(name: str, cls: type) -> Iterator[str]:
    """One line for each method of the class itself; the ten log methods share one."""
    public = [(method, value) for method, value in vars(cls).items() if is_public(name, method, value)]
    logs = [method for method, value in public if is_log_method(value)]
    for method, value in public:
        function = function_of(value)
        prefix = f"{name}." if function is not value else ""
        if method in logs[1:] or (prefix and not function.__doc__):
            continue
        shown = (
            " ... ".join((logs[0], signature(logs[-1], function)))
            if method in logs
            else signature(method, function)
        )
        text = "Write a line at that level." if method in logs else " ".join(text_of(function).split())
        yield f"* `{prefix}{shown}`" + (f": {text}" if text else "")
    yield ""


def is_public(name: str, method: str, value: Any) -> bool:
    hidden = method.startswith("_") or f"{name}.{method}" in WIRING
    return not hidden and inspect.isfunction(function_of(value))


def is_log_method(value: Any) -> bool:
    return bool(re.match(r"Write (a|one) line at level [A-Z]+\.", function_of(value).__doc__ or ""))


def function_of(value: Any) -> Any:
    return value.__func__ if isinstance(value, classmethod | staticmethod) else value


def named_constructors(name: str, cls: type) -> str:
    """The many static methods without docstrings that make an object each: what they make."""
    made = [
        (method, function_of(value)())
        for method, value in vars(cls).items()
        if isinstance(value, staticmethod) and not value.__func__.__doc__ and is_public(name, method, value)
    ]
    rows = [f"| `{method}` | {one.code} | {one.enhanced} | {'; '.join(one.lines)} |" for method, one in made]
    if not rows:
        return ""
    head = [
        f"Each takes a text and a reply code that replace what is in the table: `{name}.{made[0][0]}(msg=None, code=None)`.",
        "",
    ]
    return "\n".join([*head, "| constructor | code | enhanced | text |", "|---|---|---|---|", *rows, ""])


def signature(name: str, function: Any) -> str:
    """`name(parameters) -> type`, without self, and without the quotes around types."""
    text = str(inspect.signature(function)).removesuffix(" -> None").removesuffix(" -> 'None'")
    text = re.sub(r"((?:: |-> )\*{0,2})'((?:[^']|\\')*?)'(?=[,) ]|$)", r"\1\2", text)
    text = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", text)
    return name + re.sub(r"^\((self|cls)(, /)?(, )?", "(", text)


def text_of(thing: Any) -> str:
    own = thing.__doc__ or ""
    if dataclasses.is_dataclass(thing) and own.startswith(f"{getattr(thing, '__name__', '')}("):
        own = ""  # what dataclass writes by itself
    return plain(inspect.cleandoc(own))


def plain(text: str) -> str:
    """A docstring as Markdown: its paragraphs, and its lists."""
    parts = re.split(r"(`[^`]*`)", text.strip())
    escaped = [part if part.startswith("`") else part.replace("<", "&lt;") for part in parts]
    return "".join(escaped) + "\n" if text else ""


def codes(cls: type[enum.Enum]) -> list[Attribute]:
    return [Attribute(one.name, "", one.doc) for one in attributes_of(cls)]


def table(title: str, rows: list[Attribute]) -> str:
    lines = [f"| {title} | type | |", "|---|---|---|"]
    if title == "code":
        lines = ["| code | meaning |", "|---|---|"]
        return "\n".join([*lines, *(f"| `{row.name}` | {row.doc} |" for row in rows), ""])
    for row in rows:
        kind = "`" + row.type.replace("|", "\\|") + "`" if row.type else ""
        lines.append(f"| `{row.name}` | {kind} | {row.doc} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
