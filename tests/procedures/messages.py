"""What people say to a run in tests, as the command line says it."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowUpdateFailedError

from workflows.rollback import Rollback


async def answer(run, by: str, gate=None, **more: object):
    """Say yes to a gate, or choose one of its options."""
    return await run.execute_update(Rollback.decide, said(by, gate, **more))


async def rejected(run, by: str, gate=None, *, kind: str = "Rejected", **more: object) -> str:
    """Say yes in vain; returns the reason."""
    return await refused(run, Rollback.decide, said(by, gate, **more), kind=kind)


async def refused(run, update, *payload: object, kind: str = "Rejected") -> str:
    """Send an update that is not taken; returns the reason."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await run.execute_update(update, args=list(payload))
    assert failed.value.cause.type == kind
    return failed.value.cause.message


def said(by: str, gate=None, **more: object) -> dict[str, object]:
    """The payload of an answer."""
    return {"by": by, "plan_hash": gate.plan_hash if gate else None, **more}
