"""Why CPU or memory run out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.decisions.diagnosis.cause import Diagnosis, unknown

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.symptoms import LoadRead, ResourcesRead, UtilizationRead


def classify_resources(
    target: Target, resources: ResourcesRead, load: LoadRead, utilization: UtilizationRead
) -> Diagnosis:
    """Decide: cpu, memory, leak, load, fine, or unknown."""
    del target
    return unknown(resources.told, load.told, utilization.told)
