"""``runbook catalog``: validate the catalog, and print its schema."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.catalog.procedures import without_a_row
from runbook_model.errors import CatalogError
from runbook_model.text.sentences import count_of
from starter.caller import Caller, example, takes_caller
from starter.client.known_procedures import unknown_rows
from starter.exits import Exit, bad_input
from starter.printing import answer, note, say


@click.group(
    "catalog",
    epilog=example("runbook catalog check catalog.toml", "runbook catalog schema > catalog.schema.json"),
)
def command() -> None:
    """Validate the catalog of services and environments; print its JSON Schema."""


@command.command("check", epilog=example("runbook catalog check catalog.toml"))
@click.argument("file", required=False, type=click.Path(path_type=Path))
@takes_caller("--catalog", "--json")
def check(caller: Caller, file: Path | None) -> Exit:
    """Validate a catalog and print all of its problems.

    FILE is the catalog. Default: --catalog, else RUNBOOK_CATALOG.
    """
    path = file or caller.catalog
    if path is None:
        raise bad_input("no catalog is given", "name a FILE, or set RUNBOOK_CATALOG")
    try:
        catalog = load_catalog(path)
    except CatalogError as error:
        return _wrong(caller, error.problems)
    if unknown := unknown_rows(catalog):
        return _wrong(caller, [f"{path}: {problem}" for problem in unknown])
    counts = {
        "environments": len(catalog.environments),
        "services": len(catalog.services),
        "targets": sum(len(service.environments) for service in catalog.services.values()),
        "alerts": len(catalog.alerts),
        "contacts": len(catalog.contacts),
    }
    left_out = without_a_row(catalog)
    if caller.as_json:
        answer({"ok": True, "problems": [], "alerts_without_a_row": left_out, **counts})
    else:
        if left_out:
            note(f"alerts without a row go to a person, and start nothing: {', '.join(left_out)}")
        say(f"{path}: ok: {', '.join(count_of(number, name[:-1]) for name, number in counts.items())}")
        if catalog.contacts and not catalog.channels:
            note(f"{path}: no [[channels]]: messages to contacts are written to the worker's log")
    return Exit.DONE


def _wrong(caller: Caller, problems: Sequence[str]) -> Exit:
    if caller.as_json:
        answer({"ok": False, "problems": list(problems)})
    for problem in problems:
        note(problem)
    return Exit.BAD_INPUT


@command.command("schema", epilog=example("runbook catalog schema > catalog.schema.json"))
@takes_caller()
def schema(caller: Caller) -> None:
    """Print the catalog's JSON Schema, for editors."""
    del caller
    answer(Catalog.model_json_schema())
