"""Names of procedures as this machine knows them: the product's, those of installed packages, those of the catalog."""

from __future__ import annotations

from pathlib import Path

from runbook_model.catalog.catalog import Catalog
from runbook_model.catalog.procedures import missing
from runbook_model.procedures import PROCEDURES, installed
from runbook_model.text.sentences import did_you_mean
from starter.client.known_targets import read_catalog
from starter.exits import bad_input

NAME_IT = 'one of your own: install its package here, or name it in the catalog: procedures = ["NAME"]'


def known_procedures(catalog: Catalog | None) -> set[str]:
    """Name every procedure that may be started from here; a worker decides whether it has it."""
    named = {*catalog.procedures, *(row.procedure for row in catalog.alerts)} if catalog else set()
    return {*here(), *named}


def here() -> set[str]:
    """Name those of the product and of the packages that are installed on this machine."""
    return {*PROCEDURES, *(entry.name for entry in installed())}


def unknown_rows(catalog: Catalog) -> list[str]:
    """Say which rows of the alert matrix name a procedure that neither this machine nor the catalog knows."""
    return missing(catalog, here())


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
