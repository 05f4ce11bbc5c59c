"""``runbook print``: a procedure on paper, with the commands of one target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.trace_links import with_trace
from runbook_model.errors import InputError
from starter.caller import Caller, example, takes_caller
from starter.exits import NAME_A_CATALOG, Exit, bad_input, of_error
from starter.names import parse_pair
from starter.paper import local
from starter.paper.pages import PAGES
from starter.printing import answer, say

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Catalog, Target
    from starter.paper.pages import Part


@click.command("print", epilog=example("runbook print rollback prod/ai-processor --catalog catalog.toml"))
@click.argument("procedure")
@click.argument("target")
@takes_caller
def command(caller: Caller, procedure: str, target: str) -> Exit:
    """Print a procedure on paper: what to type for this target, without Temporal, a worker or a network.

    TARGET is ENVIRONMENT/SERVICE.
    """
    if procedure not in PAGES:
        raise bad_input(f"there is no procedure {procedure!r}", f"there are: {', '.join(sorted(PAGES))}")
    pair = parse_pair(target)
    if caller.catalog is None:
        raise bad_input("the commands come from the catalog, and none is given", NAME_A_CATALOG)
    try:
        catalog = load_catalog(caller.catalog)
        resolved = catalog.target(pair.service, pair.environment)
    except InputError as error:
        raise of_error(error) from error
    pages = local.PAGES if resolved.platform == "compose" else PAGES
    parts = pages[procedure](resolved)
    if caller.as_json:
        steps = [{"text": text, "commands": list(commands)} for text, commands in parts]
        answer(
            {"procedure": procedure, "service": pair.service, "environment": pair.environment, "steps": steps}
        )
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
        lines += ["Who to call:", *(f"- {one.name}: {one.channel}" for one in catalog.contacts), ""]
    if links := with_trace(catalog.links, None):
        lines += ["Links:", *(f"- {name}: {url}" for name, url in links.items()), ""]
    return "\n".join(lines).rstrip()
