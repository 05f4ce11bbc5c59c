"""docs/endings.md names a test for every ending, and every test that shows one is named there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from runbook_model.reports import Outcome

HERE = Path(__file__).parents[1]
PAGE = HERE.parents[1] / "docs" / "endings.md"
ROW = re.compile(r"^\| `(?P<ending>[a-z-]+)` \| [^|]+ \| `(?P<file>[a-z_]+\.py)::(?P<test>[a-z_]+)` \|$", re.MULTILINE)  # fmt: skip


def listed() -> dict[str, tuple[str, str]]:
    return {row["ending"]: (row["file"], row["test"]) for row in ROW.finditer(PAGE.read_text())}


def marked() -> dict[str, tuple[str, str]]:
    """Every ending that a test of the rollback is marked with, on itself or on one of its parameters."""
    found = {}
    for file in sorted(HERE.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    for name in re.findall(r"mark\.ending\('([a-z-]+)'\)", ast.unparse(decorator)):
                        found[name] = (file.name, node.name)
    return found


def test_each_ending_is_listed_with_the_test_that_shows_it():
    assert listed() == marked()


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_an_ending(outcome):
    assert any(ending == outcome or ending.startswith(f"{outcome}-") for ending in listed())
