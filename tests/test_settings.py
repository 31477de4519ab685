"""The schema, the files in etc/ and docs/CoreConfig.md say the same."""

from __future__ import annotations

import re

import pytest

from mta.config import Config, Problem
from mta.config.ini import parse_ini
from mta.config.known import FILES_NOT_YET, NOT_YET
from mta.config.schema import LISTS, SETTINGS, VALUES
from mta.config.spec import Settings, Spec, ValueFile, specs
from mta.paths import DOCS, ETC

FIELDS = [(cls, name, spec) for cls in SETTINGS for name, spec in specs(cls)]
IDS = [f"{cls.FILE}-{name}" for cls, name, _ in FIELDS]


def read_etc(name: str) -> str:
    return (ETC / name).read_text(encoding="utf-8")


def written_out(text: str) -> str:
    """A file whose example of a section is a comment, with that section."""
    return re.sub(r"(?m)^;(?=[\[\w])", "", text)


def shown(spec: Spec) -> str:
    return spec.kind.show(spec.default) if spec.key else ""


def test_every_shipped_file_is_described_and_every_described_file_shipped() -> None:
    described = [cls.FILE for cls in SETTINGS] + [each.name for each in (*VALUES, *LISTS)]
    assert sorted(path.name for path in ETC.iterdir()) == sorted(described)


def test_the_shipped_files_have_no_problem() -> None:
    problems: list[Problem] = []
    config = Config(None, ETC, problems.append)
    for cls in SETTINGS:
        assert config.settings(cls) == cls()
    for value in VALUES:
        assert config.value(value) == value.default
    assert problems == []


@pytest.mark.parametrize(("cls", "name", "spec"), FIELDS, ids=IDS)
def test_each_key_stands_in_etc_with_its_default_and_a_comment(
    cls: type[Settings], name: str, spec: Spec
) -> None:
    text = read_etc(cls.FILE)
    if spec.key and not spec.kind.array:
        sections, problems = parse_ini(written_out(text) if cls.SECTIONED else text, cls.FILE)
        assert problems == []
        assert sections[spec.section][spec.key].text == shown(spec)
    written = re.escape(spec.key) + (r"\[\]" if spec.kind.array else "") if spec.key else r"[\w.]+"
    before = re.search(rf"((?:^; .*\n)+)^;?{written}=", _section(text, spec.section), re.MULTILINE)
    assert before, f"no commented {spec.key} in [{spec.section}]"
    comment = " ".join(line.removeprefix("; ") for line in before[1].splitlines())
    assert comment == f"{spec.doc} allowed: {spec.kind.allowed}"


@pytest.mark.parametrize(("cls", "name", "spec"), FIELDS, ids=IDS)
def test_each_key_stands_in_the_docs(cls: type[Settings], name: str, spec: Spec) -> None:
    page = (DOCS / "CoreConfig.md").read_text(encoding="utf-8")
    chapter = page.split(f"\n## {cls.FILE}\n")[1].split("\n## ")[0]
    table = chapter.split(f"\n### [{spec.section}]\n")[1].split("\n### ")[0]
    key = "*name*" if not spec.key else f"`{spec.key}{'[]' if spec.kind.array else ''}`"
    default = f"`{shown(spec)}`" if shown(spec) else ""
    assert f"| {key} | {default} | {spec.kind.allowed} | {spec.doc} |" in table.splitlines()


def test_the_docs_name_no_key_that_does_not_exist() -> None:
    page = (DOCS / "CoreConfig.md").read_text(encoding="utf-8").split("\n## Old files\n")[0]
    rows = re.findall(r"^\| `([^`{]+)` \|", page, re.MULTILINE)
    keys = [f"{spec.key}{'[]' if spec.kind.array else ''}" for _, _, spec in FIELDS if spec.key]
    assert sorted(rows) == sorted(keys + [each.name for each in (*VALUES, *LISTS)])


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.name)
def test_each_value_file_says_its_default_and_what_it_is(value: ValueFile[object]) -> None:
    default = value.kind.show(value.default)
    lines = read_etc(value.name).splitlines()
    assert [line for line in lines if not line.startswith(";")] == ([default] if default else [])
    assert " ".join(line[2:] for line in lines if line.startswith(";")).startswith(value.doc)
    row = f"| `{value.name}` | {f'`{default}`' if default else ''} | {value.kind.allowed} | {value.doc} |"
    assert row in (DOCS / "CoreConfig.md").read_text(encoding="utf-8").splitlines()


def test_each_list_file_has_its_row() -> None:
    page = (DOCS / "CoreConfig.md").read_text(encoding="utf-8").splitlines()
    for each in LISTS:
        assert f"| `{each.name}` | {each.doc} |" in page


@pytest.mark.parametrize("name", ["bounce_message", "delay_message", "delivered_message"])
def test_the_templates_use_only_documented_variables(name: str) -> None:
    used = set(re.findall(r"\{\w+\}", read_etc(f"outbound.{name}")))
    documented = set(re.findall(r"^\| `(\{\w+\})` \|", (DOCS / "CoreConfig.md").read_text(), re.MULTILINE))
    assert used and used <= documented


def test_what_is_not_honoured_yet_is_not_honoured() -> None:
    honoured = {(cls.FILE, spec.section, spec.key) for cls, _, spec in FIELDS}
    assert not [key for file, table in NOT_YET.items() for key in table if (file, *key) in honoured]
    assert not [name for name in FILES_NOT_YET if (ETC / name).exists()]


def _section(text: str, name: str) -> str:
    return re.split(rf"(?m)^;?\[{re.escape(name)}\]$", text)[1].split("\n[")[0]
