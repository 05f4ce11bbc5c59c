"""When the release that runs began, and what ran before it: read from a service's history. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.evidence import Onset

if TYPE_CHECKING:
    from datetime import datetime

    from runbook_model.release import Release, ReleaseHistory, ServiceDeployment

QUERY = "ListServiceDeployments, DescribeServiceDeployments, DescribeServiceRevisions"


def onset_of(history: ReleaseHistory, now: datetime) -> Onset:
    """Find when the release that runs began; a forced deployment of the same release is not its beginning."""
    current = history.current
    ours: list[ServiceDeployment] = []
    before: Release | None = None
    for deployment in history.deployments:
        release = _brought(deployment, history)
        if release is None:
            continue
        if not release.same_as(current):
            before = release
            break
        ours.append(deployment)
    return Onset(
        quality="known",
        source="ecs",
        query=QUERY,
        at=now,
        release=current.revision,
        began=ours[-1].created_at if ours and before else None,
        settled=ours[-1].finished_at if ours and before else None,
        before=before.revision if before else None,
    )


def _brought(deployment: ServiceDeployment, history: ReleaseHistory) -> Release | None:
    """Return the release that ran from a deployment on; None when it left the one before in place."""
    if deployment.under_way:
        return deployment.release
    return history.releases.get(deployment.landed or "")
