"""A quick look into the local catalog; the worker's catalog decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.errors import CatalogError, UnknownTargetError
from starter.exits import bad_input, of_error

if TYPE_CHECKING:
    from pathlib import Path


def known_links(catalog: Path | None) -> dict[str, str]:
    """Return the links of the local catalog; none where it cannot be read, for what is shown must be shown without it."""
    try:
        return load_catalog(catalog).links if catalog else {}
    except CatalogError:
        return {}


def check_target(catalog: Path | None, service: str, environment: str) -> None:
    """Check that the catalog, if one is configured, has this target.

    Raises:
        CliError: it has not; the message lists what it has.
    """
    if catalog is None:
        return
    try:
        _read(catalog).target(service, environment)
    except UnknownTargetError as error:
        raise of_error(error) from error


def check_environment(catalog: Path | None, environment: str) -> None:
    """Check that the catalog, if one is configured, has this environment.

    Raises:
        CliError: it has not; the message lists those that it has.
    """
    if catalog is None:
        return
    known = _read(catalog).environments
    if environment not in known:
        raise bad_input(
            f'no environment "{environment}" in the catalog', f"there are: {', '.join(sorted(known))}"
        )


def _read(catalog: Path) -> Catalog:
    try:
        return load_catalog(catalog)
    except CatalogError as error:
        raise of_error(error) from error
