"""Names of targets and procedures as this machine knows them: from the local catalog, installed packages and runs; the worker's catalog decides."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from temporalio.client import Client

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.errors import CatalogError, UnknownTargetError
from runbook_model.names.procedures import PROCEDURES, installed
from runbook_model.text.sentences import did_you_mean
from starter.client.runs import Run, find, of_scope
from starter.exits import CliError, bad_input, of_error
from starter.names import Pair, Scope
from starter.printing import note

LOOKED_AT = 1000
"""How many of the newest runs are looked at for names that are like a mistyped one."""

NAME_IT = 'one of your own: install its package here, or name it in the catalog: procedures = ["NAME"]'


def read_catalog(catalog: Path) -> Catalog:
    """Read the local catalog.

    Raises:
        CliError: it is wrong; the message has the first problem.
    """
    try:
        return load_catalog(catalog)
    except CatalogError as error:
        raise of_error(error) from error


def known_links(catalog: Path | None) -> dict[str, str]:
    """Return the links of the local catalog; none where it cannot be read, for what is shown must be shown without it."""
    try:
        return load_catalog(catalog).links if catalog else {}
    except CatalogError:
        return {}


def check_target(catalog: Path | None, target: Pair) -> None:
    """Check that the catalog, if one is configured, has this target.

    Raises:
        CliError: it has not; the message has the nearest name, and lists those that it has.
    """
    if catalog is None:
        return
    known = read_catalog(catalog)
    if target.environment in known.services and target.service in known.environments:
        raise bad_input(f"{target}: write the environment first: {target.service}/{target.environment}")
    try:
        known.target(target.service, target.environment)
    except UnknownTargetError as error:
        raise of_error(error) from error


def check_scope(catalog: Path | None, scope: Scope) -> None:
    """Check that the catalog, if one is configured, has the names of a scope.

    Raises:
        CliError: it has not; the message has the nearest name, and lists those that it has.
    """
    if catalog is not None:
        check_names(read_catalog(catalog), scope)


def check_names(catalog: Catalog, scope: Scope) -> None:
    """Check that a catalog has the names of a scope.

    Raises:
        CliError: it has not; the message has the nearest name, and lists those that it has.
    """
    if scope.service is not None and scope.service not in catalog.services:
        raise _unknown("service", scope.service, catalog.services, "in the catalog")
    if scope.environment is not None and scope.environment not in catalog.environments:
        raise _unknown("environment", scope.environment, catalog.environments, "in the catalog")
    if scope.service is not None and scope.environment is not None:
        try:
            catalog.target(scope.service, scope.environment)
        except UnknownTargetError as error:
            raise of_error(error) from error


def environments_of(catalog: Catalog | None, scope: Scope) -> list[str]:
    """List the environments that a scope means: of a service, every one that it runs in; none where nothing says."""
    if scope.environment is not None:
        return [scope.environment]
    if catalog is None:
        return []
    return list(catalog.services[scope.service].environments if scope.service else catalog.environments)


async def check_known(client: Client, catalog: Path | None, scope: Scope) -> None:
    """Check names for which no run was found: the catalog has them, or at least some run does.

    Without a catalog it is only said: what was started a moment ago is not listed yet.

    Raises:
        CliError: neither has; the message has the nearest name, and lists those that are known.
    """
    known = read_catalog(catalog) if catalog else None
    runs = await recorded_runs(client)
    environments = {run.environment for run in runs} | set(known.environments if known else ())
    services = {run.service for run in runs} | set(known.services if known else ())
    for what, name, names in (
        ("environment", scope.environment, environments),
        ("service", scope.service, services),
    ):
        if name is None or name in names:
            continue
        unknown = _unknown(what, name, names, "in the catalog or in any run" if known else "in any run")
        if known:
            raise unknown
        note(str(unknown))


async def recorded_runs(client: Client) -> list[Run]:
    """Return the newest runs of all targets, for their names."""
    found, _ = await find(client, " AND ".join(of_scope(Scope())), LOOKED_AT)
    return found


def _unknown(what: str, name: str, known: Collection[str], where: str) -> CliError:
    return bad_input(
        f'no {what} "{name}" {where}{did_you_mean(name, known)}',
        f"there are: {', '.join(sorted(known)) or 'none'}",
    )


def known_procedures(catalog: Catalog | None) -> set[str]:
    """Name every procedure that may be started from here; a worker decides whether it has it."""
    named = {*catalog.procedures, *(row.procedure for row in catalog.alerts)} if catalog else set()
    return {*here(), *named}


def here() -> set[str]:
    """Name those of the product and of the packages that are installed on this machine."""
    return {*PROCEDURES, *(entry.name for entry in installed())}


def check_known_procedure(procedure: str, catalog: Path | None) -> None:
    """Check that a procedure is known here.

    Raises:
        CliError: it is not; the message has the nearest name, and lists those that are.
    """
    known = known_procedures(read_catalog(catalog) if catalog else None)
    if procedure not in known:
        raise bad_input(
            f"there is no procedure {procedure!r}{did_you_mean(procedure, known)}",
            f"there are: {', '.join(sorted(known))}; {NAME_IT}",
        )
