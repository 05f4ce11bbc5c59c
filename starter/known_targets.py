"""A quick look into the local catalog; the worker's catalog decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.catalog import load_catalog
from activities.errors import CatalogError, UnknownTargetError
from starter.exits import bad_input

if TYPE_CHECKING:
    from pathlib import Path


def check_target(catalog: Path | None, service: str, environment: str) -> None:
    """Check that the catalog, if one is configured, has this target.

    Raises:
        CliError: it has not; the message lists what it has.
    """
    if catalog is None:
        return
    try:
        load_catalog(catalog).target(service, environment)
    except CatalogError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        raise bad_input(f"{error.problems[0]}{more}; `runbook catalog check` shows all") from error
    except UnknownTargetError as error:
        raise bad_input(str(error)) from error
