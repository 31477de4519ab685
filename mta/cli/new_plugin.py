"""`haraka -p NAME`: a plugin to begin with, that runs and passes its test as it is."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mta import paths
from mta.cli.errors import CommandError, UsageError
from mta.cli.install import write_file
from mta.cli.new_plugin_files import CODE, CONFIG, PAGE, TEST
from mta.plugin.names import is_plugin_name, without_prefix

LISTED = re.compile(r"^[ \t]*[#;]?[ \t]*(\S+)[ \t]*$")


def make_plugin(directory: Path, name: str, *, force: bool) -> int:
    """Write its four files and a line in config/plugins, and say what is next. Raises UsageError, CommandError."""
    name = without_prefix(name)
    if not is_plugin_name(name) or name == "all":
        raise UsageError(
            f"{name!r} is not a name for a plugin, such as greylist, queue/archive or rcpt_to.staff"
        )
    files = _files(name)
    taken = [path for path in files if os.path.lexists(directory / path)]
    if taken and not force:
        raise CommandError(f"{directory / taken[0]} is there already; -f overwrites it")
    try:
        for path, text in files.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            print(write_file(directory / path, text, force=force))
        told = _list(directory / "config" / "plugins", name)
    except OSError as error:
        raise CommandError(f"cannot make {error.filename or directory}: {error.strerror}") from None
    if _is_bundled(name):
        print(f"It takes the place of the bundled plugin {name}.")
    print(
        f"{told}\nTry it:      haraka -c {directory} -t {name}\nTest it:     pytest {directory / _test_of(name)}"
    )
    return 0


def _files(name: str) -> dict[str, str]:
    """The text of each file by its path in the installation."""
    words = {
        "name": name,
        "class_name": _class_of(name),
        "ini": f"{name.replace('/', '.')}.ini",
        "function": _identifier(name),
    }
    place = name.replace(".", "/")
    return {
        f"plugins/{place}.py": CODE.format(**words),
        f"config/{words['ini']}": CONFIG.format(**words),
        f"docs/plugins/{place}.md": PAGE.format(**words),
        _test_of(name): TEST.format(**words),
    }


def _test_of(name: str) -> str:
    return f"tests/test_{_identifier(name)}.py"


def _identifier(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _class_of(name: str) -> str:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    joined = "".join(word[0].upper() + word[1:] for word in words)
    return joined if joined[0].isalpha() and joined != "Plugin" else f"Plugin{joined}"


def _list(path: Path, name: str) -> str:
    """Put a line into config/plugins that does nothing yet, unless one is there; what the operator has to do."""
    if not path.is_file():
        return f"Turn it on:  add the line {name} to {path}"
    text = path.read_text(encoding="utf-8")
    lines = [match[0] for line in text.splitlines() if (match := LISTED.match(line)) and match[1] == name]
    if any(not line.lstrip().startswith(("#", ";")) for line in lines):
        return f"It is on:    {path} names it already"
    if not lines:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{'' if text.endswith(chr(10)) or not text else chr(10)}# {name}\n")
    return f"Turn it on:  take the # away in front of {name} in {path}"


def _is_bundled(name: str) -> bool:
    place = paths.PLUGINS / name.replace(".", "/")
    return place.with_name(f"{place.name}.py").is_file() or (place / "__init__.py").is_file()
