"""The containers of a compose project: look at them, restart those of a service, wait until they run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import workflow

from activities.docker.activities import ComposeActivities
from activities.docker.changes import ComposeChanges
from runbook_model.containers import AwaitedService, Restarted, RestartService, Settled
from workflows.page.options import CHANGE, READ, ActivityOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbook_model.containers import ProjectRead
    from workflows.decisions.local import ServiceRestart
    from workflows.page.run import Run

# An engine that is not there is said at once: it is on this machine, and whoever asked can start it.
LOOK = ActivityOptions(**{**READ, "schedule_to_close_timeout": timedelta(seconds=20)})
# Longer than the client waits for a restart, twice: a repeat first waits until the one before it has landed.
RESTART = ActivityOptions(**{**CHANGE, "start_to_close_timeout": timedelta(seconds=45)})


async def look(run: Run) -> ProjectRead:
    """Read the containers of the target's project."""
    target = run.target
    words = f"Look at the containers of {target.compose_project or target.environment}"
    return await run.page.read(words, ComposeActivities.read_project, target, options=LOOK)


async def restart_service(run: Run, one: ServiceRestart) -> Restarted:
    """Restart the containers of one service, each once."""
    return await run.page.change(
        f"Restart {one.service}",
        ComposeChanges.restart_service,
        RestartService(target=run.target, service=one.service, fence=one.fences),
        action="docker restart",
        before=one.told,
        after=f"{one.service} restarted",
        undo=_nothing_to_put_back,
        options=RESTART,
    )


async def await_up(run: Run, one: ServiceRestart, restarted: Restarted) -> Settled:
    """Wait until what was restarted runs and is healthy, or is known not to get there."""
    awaited = AwaitedService(
        target=run.target,
        service=one.service,
        containers=tuple(container.fence for container in restarted.containers),
        deadline=workflow.now() + run.target.rollback.steady,
    )
    words = f"Wait until {one.service} runs and is healthy"
    return await run.page.watch(words, ComposeActivities.await_service, awaited)


async def restart_what_is_still_down(run: Run, others: Sequence[ServiceRestart], settled: Settled) -> Settled:
    """Restart what needed the first service, where it did not come back with it; all have to come up."""
    for one in others:
        if not settled.ok:
            break
        now = await look(run)
        if not all(container.serves for container in now.of(one.service)):
            settled = await await_up(run, one, await restart_service(run, one))
    return settled


async def _nothing_to_put_back() -> str:
    return "nothing to undo: the same containers run"
