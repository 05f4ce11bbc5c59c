"""Which procedures alerts start: the rows of the catalog, of the product and of packages, and names that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.catalog.alert_matrix import RUNBOOK_MATRIX
from runbook_model.text.sentences import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection

    from runbook_model.catalog.catalog import Catalog
    from runbook_model.catalog.policies import AlertRule


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


def matrix_of(catalog: Catalog, packaged: tuple[AlertRule, ...]) -> tuple[AlertRule, ...]:
    """Return the alert matrix that counts: the catalog's own rows, else the product's and those of installed packages."""
    has_own = "alerts" in catalog.model_fields_set
    return catalog.alerts if has_own else (*catalog.alerts, *packaged)


def without_a_row(catalog: Catalog) -> list[str]:
    """Name the product's alerts that a catalog with rows of its own has no row for: they go to a person."""
    named = {row.name for row in catalog.alerts}
    return [row.name for row in RUNBOOK_MATRIX if row.name not in named]
