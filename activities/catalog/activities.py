"""Names become targets here, from the worker's own catalog: a stale laptop cannot smuggle in thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from runbook_model.catalog.catalog import Target, load_catalog
from runbook_model.release import Fact

if TYPE_CHECKING:
    from pathlib import Path

    from activities.runtime.environment_guard import Served


class TargetNames(Fact):
    """A service in an environment, by name."""

    service: str
    environment: str


class CatalogActivities:
    """The catalog of this worker; read anew each time, so that an edit counts for the next run."""

    def __init__(self, path: Path, served: Served) -> None:
        self._path = path
        self._served = served

    @activity.defn
    def resolve_target(self, names: TargetNames) -> Target:
        """Resolve names to a target with its thresholds and policies.

        Raises:
            PolicyError: the environment is not that of the queue.
            UnknownTargetError: the catalog has no such target.
        """
        self._served.check(names.environment)
        return load_catalog(self._path).target(names.service, names.environment)
