"""What the shell may complete: targets of the catalog, open runs, procedures. Silent when something is away."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.client import Client

from runbook_model.catalog.catalog import Catalog

if TYPE_CHECKING:
    import click


TIMEOUT = timedelta(seconds=1)
"""How long Temporal may take: a person waits for the answer in the middle of a line."""
LIMIT = 200


def runs(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete an ``ID``: the short ids of targets, and the full ids of open runs."""
    from starter.names import short_id  # noqa: PLC0415 - `--help` needs none of it

    found = open_ids()
    return _like(incomplete, {*_targets(ctx), *found, *map(short_id, found)})


def targets(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete ``E/S``."""
    return _like(incomplete, _targets(ctx))


def scopes(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete ``E`` or ``E/S``."""
    return _like(incomplete, {*_environments(ctx), *_targets(ctx)})


def environments(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of an environment."""
    return _like(incomplete, _environments(ctx))


def services(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a service."""
    catalog = _catalog(ctx)
    return _like(incomplete, set(catalog.services) if catalog else set())


def procedures(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a procedure."""
    from starter.client.known_targets import known_procedures  # noqa: PLC0415 - likewise

    return _like(incomplete, known_procedures(_catalog(ctx)))


def open_ids() -> list[str]:
    """Return the ids of open runs, none where Temporal does not answer at once."""
    from starter.client.connect import converse  # noqa: PLC0415 - likewise

    try:
        return converse(_open_ids, at_most=TIMEOUT)
    except Exception:  # noqa: BLE001 - nothing of it is for a person in the middle of a line
        return []


async def _open_ids(client: Client) -> list[str]:
    from activities.temporal.runs import OPEN  # noqa: PLC0415 - likewise
    from starter.client.runs import find, of_scope  # noqa: PLC0415 - likewise
    from starter.names import Scope  # noqa: PLC0415 - likewise

    found, _ = await find(client, " AND ".join([*of_scope(Scope()), OPEN]), LIMIT)
    return [run.id for run in found]


def _targets(ctx: click.Context) -> set[str]:
    catalog = _catalog(ctx)
    if catalog is None:
        return set()
    return {
        f"{environment}/{name}"
        for name, service in catalog.services.items()
        for environment in service.environments
    }


def _environments(ctx: click.Context) -> set[str]:
    catalog = _catalog(ctx)
    return set(catalog.environments) if catalog else set()


def _catalog(ctx: click.Context) -> Catalog | None:
    from runbook_model.catalog.catalog import load_catalog  # noqa: PLC0415 - likewise
    from runbook_model.errors import CatalogError  # noqa: PLC0415 - likewise

    named = ctx.params.get("catalog_file") or os.environ.get("RUNBOOK_CATALOG")
    try:
        return load_catalog(Path(named)) if named else None
    except CatalogError:
        return None


def _like(incomplete: str, names: set[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
