"""``runbook print``: a procedure as a paper runbook, with the commands of one target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runbook_model.catalog.catalog import Catalog, Target
from runbook_model.catalog.trace_links import with_trace
from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.known_procedures import check_known_procedure
from starter.client.known_targets import check_target, read_catalog
from starter.exits import NAME_A_CATALOG, Exit, bad_input
from starter.names import Pair
from starter.on_paper import parts_of
from starter.printing import answer, say
from starter.target_options import target_argument

if TYPE_CHECKING:
    from workflows.procedures.procedure import Part


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
