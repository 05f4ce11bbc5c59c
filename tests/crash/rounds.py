"""Rounds: a remediation each, with the worker that it stands on killed at one point; what came of it, and in what time."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.crash.histories import (
    activity_of,
    change_is_under_way,
    holder,
    kind_of,
    part_of,
    seconds_until_taken,
    until_written,
)
from tests.crash.lane import WORKERS

ALL = os.environ.get("CRASH_POINTS") == "all"
"""Whether every event is a point; else a sample is taken."""


@dataclass(frozen=True)
class Point:
    """When to kill."""

    name: str
    is_reached: Callable[[Any], bool]
    seconds_later: float = 0.0
    in_child: bool = False
    """Whether it is reached in the history of the child that the remediation runs."""


@dataclass
class Round:
    """What came of one kill."""

    point: str
    written: int
    """Events that the history had when the worker was dead."""
    last: str
    """The last of them."""
    part: str
    changing: bool
    seconds: float | None
    end: Any = field(repr=False)

    def faults(self, undisturbed):
        """Everything that is not as it is when nobody dies."""
        differing = [
            f"{name}: {mine!r}, undisturbed {theirs!r}"
            for name, theirs in vars(undisturbed).items()
            if (mine := getattr(self.end, name)) != theirs
        ]
        return [f"{self.point} (at {self.written} {self.last}): {item}" for item in differing]


def event_number(number):
    """The point at which so many events are written."""
    return Point(f"event {number}", lambda event: event.event_id == number)


async def kill_at(lane, point, workers=WORKERS):
    """Run a remediation, kill the worker that it stands on at a point, and start another as a supervisor does."""
    async with lane.remediation(workers) as handle:
        watched = await lane.child_of(handle) if point.in_child else handle
        events = await until_written(watched, point.is_reached)
        await asyncio.sleep(point.seconds_later)
        pid = await holder(watched, events, lane.workers.pids)
        killed_at = lane.workers.kill(pid)
        lane.workers.start()
        written = list((await watched.fetch_history()).events)
        end = await lane.end_of(handle)
        return Round(
            point=point.name,
            written=len(written),
            last=_label(written[-1]),
            part=part_of(written),
            changing=change_is_under_way(written),
            seconds=await seconds_until_taken(watched, killed_at, pid),
            end=end,
        )


async def kill_at_each(lanes, points, workers=WORKERS):
    """Run a round for every point, as many at a time as there are lanes."""
    waiting, rounds = list(points), []

    async def work(lane):
        while waiting:
            point = waiting.pop(0)
            try:
                rounds.append(await kill_at(lane, point, workers))
            except Exception as error:
                error.add_note(f"killed at: {point.name}")
                raise

    async with asyncio.TaskGroup() as group:
        for lane in lanes:
            group.create_task(work(lane))
    return rounds


def _label(event):
    activity = activity_of(event)
    return f"{kind_of(event)} of {activity}" if activity else kind_of(event)
