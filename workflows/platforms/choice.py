"""Which platform a run's service is on."""

from __future__ import annotations

from workflows.page.run import Run
from workflows.platforms.compose import Compose
from workflows.platforms.ecs import Ecs
from workflows.platforms.platform import Platform


def platform_of(run: Run) -> Platform:
    """Return what the page can ask of the platform that its service runs on."""
    return Compose(run) if run.by_compose else Ecs(run)
