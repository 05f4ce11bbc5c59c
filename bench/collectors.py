"""What a collector of traces costs a rollback: none, one that lives, one that dies, one that never answers.

The same rollback is played over and over in one sandbox, by a worker of its own each time: tracing is off; a collector
takes spans; one is killed while the rollout is waited for; one takes connections and never answers, which is the worst.
What counts is the ratio to the plays without traces, and that AWS is asked the same. Commands and workers end with traces
left to send.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from _report import median, publish
from temporalio.client import Client

from activities.runtime.converter import data_converter
from tests.integration.observing.observed_stage import ObservedStage
from tests.integration.observing.otlp_collector import BlackHole, Collector
from tests.integration.rollback.rollback_stage import CHANGES, seen, step
from tests.sandbox_under_test import running_sandbox

if TYPE_CHECKING:
    from tests.sandbox_under_test import SandboxUnderTest

ROUNDS = 5
OFF, LIVES, DIES, SWALLOWS = "none, tracing off", "lives", "is killed half-way", "never answers"


@dataclass(frozen=True)
class Play:
    """What one rollback took."""

    rollback: float
    command: float
    """Seconds of ``runbook start``."""
    end: float
    """Seconds from SIGTERM to the worker's end."""
    calls: int
    changes: tuple[str, ...]


async def play(world: SandboxUnderTest, client: Client, kind: str) -> Play:
    """Roll a fresh service back with one kind of collector."""
    collector = BlackHole() if kind == SWALLOWS else Collector()
    traced = {} if kind == OFF else {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    with tempfile.TemporaryDirectory(prefix="collectors-") as folder:
        stage = ObservedStage(world, Path(folder), client, **traced)
        shop = stage.open_shop("observed", "1.0.0", "1.1.0")
        stage.start_worker()
        target = ("--service", shop.name, "--environment", shop.environment)
        began = time.monotonic()
        started = await shop.cli("start", "rollback", *target, "--json", **traced)
        command = time.monotonic() - began
        assert started.code == 0, started.err
        handle = client.get_workflow_handle(shop.id)
        await seen(handle, step("Wait until only"))
        if kind == DIES:
            collector.end()
        assert (await handle.result())["outcome"] == "recovered"
        run = await handle.describe()
        calls = shop.calls()
        end = await asyncio.to_thread(ended, stage)
        stage.end()
        stage.close_shops()
    if kind != DIES:
        collector.end()
    assert run.close_time
    made = tuple(call["action"] for call in calls if call["action"] in CHANGES and call["error"] is None)
    return Play((run.close_time - run.start_time).total_seconds(), command, end, len(calls), made)


def ended(stage: ObservedStage) -> float:
    """Tell the worker to end; return the seconds that it takes."""
    began = time.monotonic()
    stage.worker.terminate()
    stage.worker.wait(60)
    return time.monotonic() - began


def row(kind: str, plays: list[Play], off: list[Play]) -> dict[str, object]:
    """One row of the table."""
    took, command, end = (
        [median([getattr(item, what) for item in some]) for some in (plays, off)]
        for what in ("rollback", "command", "end")
    )
    return {
        "collector": kind,
        "rollback median s": took[0],
        "slowest s": max(item.rollback for item in plays),
        "ratio": f"{took[0] / took[1]:.2f}x",
        "AWS calls": f"{median([item.calls for item in plays]):g}",
        "changes": " ".join(sorted({", ".join(item.changes) for item in plays})),
        "runbook start s": command[0],
        "more s": command[0] - command[1],
        "worker's end s": end[0],
        "later s": end[0] - end[1],
    }


async def main() -> None:
    """Play the kinds in turns, so that noise hits all alike."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    plays: dict[str, list[Play]] = {kind: [] for kind in (OFF, LIVES, DIES, SWALLOWS)}
    with running_sandbox() as world:
        client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
        for kind in (OFF, LIVES):  # the first of each is slower for other reasons
            await play(world, client, kind)
        for number in range(rounds):
            for kind, some in plays.items():
                some.append(await play(world, client, kind))
                print(f"  round {number + 1}, {kind}: {some[-1]}", file=sys.stderr, flush=True)
    publish("collectors", [row(kind, some, plays[OFF]) for kind, some in plays.items()])


if __name__ == "__main__":
    asyncio.run(main())
