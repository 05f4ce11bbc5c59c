"""``runbook print``: a procedure as a paper runbook, with the commands of one target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from runbook_model.catalog.catalog import Catalog
from runbook_model.catalog.target import Target, with_trace
from runbook_model.names.procedures import FIX_PACKAGE
from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.known_targets import check_known_procedure, check_target, read_catalog
from starter.exits import NAME_A_CATALOG, Exit, bad_input
from starter.names import Pair
from starter.printing import answer, say
from starter.procedures import BUILT_IN
from starter.target_options import target_argument
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


@click.command("print", epilog=example("runbook print rollback prod/ai-processor --catalog catalog.toml"))
@click.argument("procedure", shell_complete=completion.procedures)
@target_argument
@takes_caller("--catalog", "--json")
def command(caller: Caller, procedure: str, target: Pair) -> Exit:
    """Print a procedure as a paper runbook, with the commands to type for a target.

    E/S is ENVIRONMENT/SERVICE. Needs neither Temporal nor a worker nor a network.
    """
    check_known_procedure(procedure, caller.catalog)
    if caller.catalog is None:
        raise bad_input("the commands come from the catalog, and no catalog is given", NAME_A_CATALOG)
    check_target(caller.catalog, target)
    catalog = read_catalog(caller.catalog)
    resolved = catalog.target(target.service, target.environment)
    parts = parts_of(procedure, resolved)
    if caller.as_json:
        steps = [{"text": text, "commands": list(commands)} for text, commands in parts]
        names = {"procedure": procedure, "service": target.service, "environment": target.environment}
        answer({**names, "steps": steps})
    else:
        say(_page(procedure, resolved, catalog, parts))
    return Exit.DONE


def _page(procedure: str, target: Target, catalog: Catalog, parts: list[Part]) -> str:
    lines = [f"# {procedure}: {target.service} in {target.environment}", ""]
    for number, (text, commands) in enumerate(parts, 1):
        lines += [f"{number}. {text}", ""]
        if commands:
            lines += ["   ```", *(f"   {line}" for line in commands), "   ```", ""]
    if catalog.contacts:
        lines += [
            "Who to call:",
            *(f"- {contact.name}: {contact.channel}" for contact in catalog.contacts),
            "",
        ]
    if links := with_trace(catalog.links, None):
        lines += ["Links:", *(f"- {name}: {url}" for name, url in links.items()), ""]
    return "\n".join(lines).rstrip()
