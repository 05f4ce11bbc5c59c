"""What is on paper of a procedure: the product's own, or one that an installed package brings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runbook_model.catalog.catalog import Target
from runbook_model.procedures import FIX_PACKAGE
from starter.exits import bad_input
from starter.procedures import BUILT_IN
from workflows.procedures.packages import load_own

if TYPE_CHECKING:
    from workflows.procedures import Procedure
    from workflows.procedures.procedure import Part


def parts_of(procedure: str, target: Target) -> list[Part]:
    """Write a procedure down for a target.

    Raises:
        CliError: the package that brings it is not installed here, or cannot be used.
    """
    found = _find(procedure)
    return [*found.paper(target)] if found.paper else [*_of_page(found.page.read_text(encoding="utf-8"))]


def _find(name: str) -> Procedure:
    for procedure in BUILT_IN:
        if procedure.name == name:
            return procedure
    own = load_own()
    if name in own.loaded:
        return own.loaded[name]
    if why := own.known.broken.get(name):
        raise bad_input(f"the procedure {name} cannot be used here: {why}", FIX_PACKAGE)
    raise bad_input(
        f"the package that brings {name} is not installed here",
        "install it where the command line is installed",
    )


def _of_page(text: str) -> Iterator[Part]:
    """Take a page's sections for its steps; the lines of code blocks are the commands."""
    section: tuple[list[str], list[str]] | None = None
    in_code = False
    for line in text.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        elif line.startswith("## ") and not in_code:
            if section:
                yield _part(*section)
            section = [f"{line[3:].strip()}."], []
        elif section:
            section[in_code].append(line)
    if section:
        yield _part(*section)


def _part(words: list[str], commands: list[str]) -> Part:
    return " ".join(" ".join(words).split()), tuple(commands)
