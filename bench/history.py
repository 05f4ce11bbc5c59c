"""Events in a rollback's history, by how long it waits: for people, and for steady state.

Waiting itself must add nothing: no polling, no timer that goes round. The rollbacks end aborted, kept as they are, once
the service is steady, for the lean world has nothing to verify with.
"""

from __future__ import annotations

import asyncio
import time

from _report import publish

from runbook_model.messages import Approval
from runbook_model.reports import State
from tests.many_rollbacks import seen, start
from tests.many_services import ManyServices, many_services, name

SHORT, LONG = 1.0, 30.0
VERIFYING = "Measure until"


async def row(world: ManyServices, number: int, asked: float, unsteady: float) -> dict[str, object]:
    """Run one rollback with given waits."""
    handle = await start(world, number)
    page = await seen(handle, lambda report: report.checkpoint is not None)
    await asyncio.sleep(asked)
    await handle.execute_update("decide", Approval(by="bob", plan_hash=page.plan_hash))
    await seen(handle, lambda report: any(step.step.startswith("Wait until only") for step in report.steps))
    began = time.time()
    await world.steady_at({name(number): began + unsteady}, "gated")
    await seen(handle, lambda report: report.state is State.VERIFYING, unsteady + 30)
    events = len((await handle.fetch_history()).events)
    await handle.signal("abort", {"by": "bob", "reason": "measured", "keep": True})
    await handle.result()
    return {"asked for s": asked, "not steady for s": unsteady, "events until verification": events}


async def main() -> None:
    """Measure short and long waits of both kinds."""
    async with many_services(4) as world:
        await world.rollouts_take(None)
        with world.working("gated"):
            waits = [(SHORT, SHORT), (LONG, SHORT), (SHORT, LONG), (LONG, LONG)]
            rows = await asyncio.gather(*(row(world, n, *both) for n, both in enumerate(waits)))
    publish("history", rows)


if __name__ == "__main__":
    asyncio.run(main())
