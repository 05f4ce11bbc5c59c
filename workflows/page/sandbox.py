"""The one sandbox that workflows run in: for the worker, for replays and for tests."""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = (
    "runbook_model",
    "activities",
    "workflows.page",
    "workflows.decisions",
    "workflows.remedies",
    "workflows.platforms",
    "workflows.incidents",
    "pydantic",
)
"""What all runs share: it is imported once, outside the sandbox. A page itself is loaded again for each run."""


def sandbox_runner() -> SandboxedWorkflowRunner:
    """Return a new runner; a worker keeps its own, as the SDK writes its settings into it."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )
