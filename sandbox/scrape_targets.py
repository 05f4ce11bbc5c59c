"""The list of scrape targets that Prometheus reads: one entry per running task, rewritten when tasks change."""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.names import ECS_ENVIRONMENTS, LOCAL, SERVICE
from sandbox.tasks import TaskSpec

_ENVIRONMENT_OF = {
    (environment.cluster, environment.ecs_service): name for name, environment in ECS_ENVIRONMENTS.items()
} | {(LOCAL.project, SERVICE): LOCAL.name}


class ScrapeTargets:
    """A file in Prometheus's file_sd format."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._tasks: dict[str, TaskSpec] = {}
        self._write()

    def add(self, address: str, spec: TaskSpec) -> None:
        """Have a task scraped."""
        self._tasks[address] = spec
        self._write()

    def remove(self, address: str) -> None:
        """Have a task scraped no more; Prometheus then marks its series stale."""
        if self._tasks.pop(address, None) is not None:
            self._write()

    def _write(self) -> None:
        groups = [
            {"targets": [address], "labels": labels_of(spec)} for address, spec in sorted(self._tasks.items())
        ]
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(groups, indent=1))
        draft.replace(self.file)  # at once: Prometheus never sees half a list


def labels_of(spec: TaskSpec) -> dict[str, str]:
    """Return the labels of a task's series; ``instance`` is its address, set by Prometheus."""
    environment = _ENVIRONMENT_OF.get((spec.cluster, spec.service))
    return {
        "service": SERVICE if environment else spec.service,
        "environment": environment or spec.cluster,
        "cluster": spec.cluster,
        "release": spec.task_definition,
        "task": spec.task_id,
    }
