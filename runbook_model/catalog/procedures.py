"""Which procedures a catalog names that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from runbook_model.catalog.catalog import Catalog


def missing(catalog: Catalog, known: Collection[str]) -> list[str]:
    """Name the rows of the alert matrix whose procedure is neither known nor declared by ``procedures``, a line each."""
    names = {*known, *catalog.procedures}
    return [
        f'alerts.{number}.procedure = "{row.procedure}": no such procedure is installed here'
        f"{did_you_mean(row.procedure, names)}; correct the name, install the package that brings it, "
        f'or, where only workers have that, add procedures = ["{row.procedure}"] at the top'
        for number, row in enumerate(catalog.alerts)
        if row.procedure not in names
    ]
