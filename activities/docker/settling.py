"""Whether containers that were restarted have come up. Pure: one look in, a judgement out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.containers import Settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from runbook_model.containers import AwaitedService, Container, ContainerFence

LOOP = 2
"""So often started again by the engine, it will not come up by itself."""


def judge_settled(
    awaited: AwaitedService, containers: Sequence[Container] | None, told: str, now: datetime
) -> Settled | None:
    """Judge one look; None while they may still come up.

    Args:
        awaited: the containers that were restarted, and until when they are waited for.
        containers: the service's containers now; None when the engine did not answer.
        told: what was seen, for people.
        now: when it was seen.
    """
    if containers is None:
        return _out_of_time(awaited, told, now)
    found = {one.id: one for one in containers}
    for fence in awaited.containers:
        if why := _will_not(fence, found.get(fence.id)):
            return Settled(ok=False, detail=why, at=now)
    if all(found[fence.id].serves for fence in awaited.containers):
        return Settled(ok=True, detail=told, at=now)
    return _out_of_time(awaited, told, now)


def _will_not(fence: ContainerFence, now: Container | None) -> str | None:
    if now is None:
        return f"container {fence.id[:12]} is gone: somebody removed it meanwhile"
    if now.restarts >= fence.restarts + LOOP:
        return f"it ends again and again: {now.told}"
    if now.ended and now.restarts == fence.restarts:
        return f"it ended again: {now.told}"
    return f"its health check fails: {now.told}" if now.health == "unhealthy" else None


def _out_of_time(awaited: AwaitedService, told: str, now: datetime) -> Settled | None:
    return Settled(ok=False, detail=f"not up in time: {told}", at=now) if now >= awaited.deadline else None
