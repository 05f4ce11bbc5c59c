"""What people say to a run in tests, as the command line says it."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError

from runbook_model.text.sentences import with_fix
from tests.patience import PATIENCE
from workflows.decisions.endings import fix_of
from workflows.rollback import Rollback


async def answer(run, by: str, gate=None, **more: object):
    """Say yes to a gate, or choose one of its options."""
    return await run.execute_update(Rollback.decide, said(by, gate, **more))


async def rejected(run, by: str, gate=None, *, kind: str = "Rejected", **more: object) -> str:
    """Say yes in vain; returns the reason."""
    return await refused(run, Rollback.decide, said(by, gate, **more), kind=kind)


async def refused(run, update, *payload: object, kind: str = "Rejected") -> str:
    """Send an update that is not taken; returns the reason and the fix."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await run.execute_update(update, args=list(payload))
    assert failed.value.cause.type == kind
    return with_fix(failed.value.cause.message, fix_of(failed.value.cause))


def said(by: str, gate=None, **more: object) -> dict[str, object]:
    """The payload of an answer."""
    return {"by": by, "plan_hash": gate.plan_hash if gate else None, **more}


async def continues_as_a_new_run(run, signal: str, useless: object, *, after: int) -> None:
    """Send what is of no use, and kept as that, until the history is so long that the run continues as another."""
    first = (await run.describe()).run_id
    for _ in range(after // 20):
        await asyncio.gather(*(run.signal(signal, useless) for _ in range(20)))
        if (await run.describe()).run_id != first:
            return
    async with asyncio.timeout(PATIENCE):  # its worker may be behind
        while (await run.describe()).run_id == first:
            await asyncio.sleep(0.05)
