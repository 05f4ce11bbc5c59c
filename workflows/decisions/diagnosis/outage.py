"""Why a service is down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.decisions.diagnosis.cause import Diagnosis, unknown

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.readings import Sample
    from activities.symptoms import LogsRead, TasksRead


def classify_service_down(target: Target, tasks: TasksRead, logs: LogsRead, sample: Sample) -> Diagnosis:
    """Decide: bad-release, crash-loop, unhealthy-targets, capacity, deployment-stuck, dependency, fine, or unknown.

    Args:
        target: whose policies hold.
        tasks: what ECS says of the tasks.
        logs: the error lines.
        sample: health and error rate as users see them.
    """
    del target, sample
    return unknown(tasks.told, logs.told)
