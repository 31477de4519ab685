"""What only the source knows of classes and modules: their attributes, with types and docstrings."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

from mta.config.spec import Settings, specs


class Attribute(NamedTuple):
    """One attribute or property of a class."""

    name: str
    type: str
    doc: str


@cache
def imported_from(module: ModuleType) -> dict[str, str]:
    """The module that each name of an __init__.py is imported from."""
    tree = ast.parse(inspect.getsource(module))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module or "" for node in imports for alias in node.names}


@cache
def documented_names(module: ModuleType) -> dict[str, str]:
    """The names that a module assigns with a docstring below."""
    return {name: doc for name, _, doc in _assignments(ast.parse(inspect.getsource(module)).body) if doc}


def attributes_of(cls: type) -> Iterator[Attribute]:
    """The public attributes that the class itself defines: its fields, what __init__ sets, and its properties."""
    node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(node, ast.ClassDef)
    found: dict[str, Attribute] = {}
    fields = (
        one._replace(type=_type_of(one.type, {})) for one in _assignments(node.body) if not _is_method(one)
    )
    for attribute in (*fields, *_set_by_init(node), *_properties(node)):
        if not attribute.name.startswith("_") and not attribute.name.isupper():
            found.setdefault(attribute.name, attribute)
    if _is_enum(cls):
        found = {one.name: one for one in _assignments(node.body)}
    settings = {name: spec.doc for name, spec in reversed(specs(cls))} if issubclass(cls, Settings) else {}
    for one in found.values():
        yield one._replace(doc=one.doc or settings.get(one.name, ""))


def _is_method(attribute: Attribute) -> bool:
    """`name = staticmethod(...)`, or another name for a method."""
    return attribute.type.startswith("=") and not isinstance(
        ast.parse(attribute.type[1:], mode="eval").body, ast.Constant
    )


def _is_enum(cls: type) -> bool:
    return hasattr(cls, "__members__")


def _assignments(body: list[ast.stmt], of: str = "") -> Iterator[Attribute]:
    """`name: type = value`, `name = value`, or the same with `of.name`; a string below is the docstring."""
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign):
            target, kind = statement.target, ast.unparse(statement.annotation)
        elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, kind = statement.targets[0], ast.unparse(statement.value)
        else:
            continue
        if (name := _name(target, of)) is not None:
            is_annotated = isinstance(statement, ast.AnnAssign)
            yield Attribute(name, kind.strip("'\"") if is_annotated else f"={kind}", _doc(following))


def _name(target: ast.expr, of: str) -> str | None:
    if (
        of
        and isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == of
    ):
        return target.attr
    return target.id if not of and isinstance(target, ast.Name) else None


def _doc(statement: ast.stmt | None) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return " ".join(value.value.split())
    return ""


def _set_by_init(cls: ast.ClassDef) -> Iterator[Attribute]:
    for function in _functions(cls):
        if function.name == "__init__":
            parameters = {
                one.arg: ast.unparse(one.annotation)
                for one in [*function.args.args, *function.args.kwonlyargs]
                if one.annotation
            }
            for name, kind, doc in _assignments(function.body, "self"):
                yield Attribute(name, _type_of(kind, parameters), doc)


def _type_of(kind: str, parameters: dict[str, str]) -> str:
    """The type of what __init__ assigns, as far as it can be seen."""
    if not kind.startswith("="):
        return kind
    value = ast.parse(kind[1:], mode="eval").body
    if isinstance(value, ast.Constant):
        return type(value.value).__name__
    if isinstance(value, ast.Name):
        return parameters.get(value.id, "")
    if isinstance(value, ast.Call):
        return CALLS.get(ast.unparse(value.func), ast.unparse(value.func))
    return ""


CALLS = {"new_uuid": "str", "time.time": "float"}


def _properties(cls: ast.ClassDef) -> Iterator[Attribute]:
    for function in _functions(cls):
        decorators = {ast.unparse(one) for one in function.decorator_list}
        if decorators & {"property", "cached_property"} and function.returns is not None:
            doc = " ".join((ast.get_docstring(function) or "").split())
            yield Attribute(function.name, ast.unparse(function.returns).strip("'\""), doc)


def _functions(cls: ast.ClassDef) -> Iterable[ast.FunctionDef]:
    return (node for node in cls.body if isinstance(node, ast.FunctionDef))
