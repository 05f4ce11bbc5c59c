"""What stands in the code next to a name: the sentences below it, and tables made of them."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

ROOT = Path(__file__).parents[2]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table; lines inside a cell become one."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def words_of_class(source: type) -> dict[str, str]:
    """Return the sentences below the fields of a class, by field; the nearest class has the word."""
    words: dict[str, str] = {}
    for base in reversed(source.__mro__):
        if base.__module__ in sys.modules and base.__module__.split(".")[0] in {
            "activities",
            "runbook_model",
            "workflows",
        }:
            words |= _below(_class_body(sys.modules[base.__module__], base.__qualname__))
    return words


def words_of_module(module: ModuleType) -> dict[str, str]:
    """Return the sentences below the names of a module."""
    return _below(_tree(module).body)


def first_line(thing: object) -> str:
    """Return the sentence that a docstring starts with."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0]


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _class_body(module: ModuleType, name: str) -> list[ast.stmt]:
    found = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.ClassDef) and node.name == name]
    return found[0].body if found else []


def _below(body: list[ast.stmt]) -> dict[str, str]:
    words = {}
    for named, said in itertools.pairwise(body):
        name = _name(named)
        if name and isinstance(said, ast.Expr) and isinstance(said.value, ast.Constant):
            words[name] = inspect.cleandoc(str(said.value.value))
    return words


def _name(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return None
