"""Rollback by strategy, moment and what comes in between, as docs/durability.md lists it: outcome, changes, time to traffic."""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from pathlib import Path

import pytest

from tests.checker import wrong_of
from tests.patience import PATIENCE
from tests.procedures.conftest import Runbook, working
from tests.procedures.stage.shifting_courses import COURSES, MOMENTS, watched
from tests.procedures.stage.shifting_outside import STRATEGIES

pytestmark = pytest.mark.rare

DOCUMENT = Path(__file__).parents[2] / "docs" / "durability.md"
WRITES = os.environ.get("MOMENTS") == "write"
"""Whether the document's table is written again instead of being compared."""
CHANGES = {"deploy shop:2": "update", "deploy shop:3": "update back"}
SUSPECT = "shop:3"


class Table:
    """The cells that the document has, and those that were seen."""

    def __init__(self):
        self.seen = {}
        text = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
        self.said = {
            (strategy, moment, course): cell
            for strategy, moment, *cells in rows
            for course, cell in zip(COURSES, cells, strict=True)
        }

    def __str__(self):
        head = f"| strategy | moment | {' | '.join(COURSES)} |\n{'| --- ' * (len(COURSES) + 2)}|\n"
        places = dict.fromkeys((strategy, moment) for strategy, moment, _ in self.seen)
        rows = [
            [strategy, moment, *(self.seen.get((strategy, moment, course), "-") for course in COURSES)]
            for strategy, moment in places
        ]
        return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


BEGIN, END = "<!-- moments -->\n", "<!-- end of moments -->"


@pytest.fixture(scope="module")
def table():
    """The table of the document; ``pytest -s`` prints it as it was seen."""
    table = Table()
    yield table
    print(f"\n{table}")  # noqa: T201 - for people
    if WRITES:
        text = DOCUMENT.read_text(encoding="utf-8")
        fresh = re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}{table}{END}", text, flags=re.DOTALL)
        DOCUMENT.write_text(fresh, encoding="utf-8")


async def followed(runbook, outside, run):
    """Answer what a run asks, abort it where that is the course, and return its report."""
    answered, aborts = set(), set()
    while True:
        now = await runbook.until(
            run,
            lambda now: (
                now.outcome
                or outside.died.is_set()
                or (now.checkpoint and now.checkpoint.plan_hash not in answered)
                or (not aborts and outside.is_held)
            ),
        )
        if now.outcome:
            return await runbook.end(run)
        if outside.died.is_set():
            return None
        if outside.is_held:
            abort = {"by": "alice", "reason": "it was not the release", "keep": False}
            aborts.add(await run.signal("abort", abort))
            continue
        answered.add(now.checkpoint.plan_hash)
        option = {"option": "hand-over"} if "how to continue" in now.checkpoint.question else {}
        await run.signal("approve", {"by": "bob", "plan_hash": now.checkpoint.plan_hash, **option})


async def played(temporal, outside, moment):
    """Roll back, on a second worker where the first one died."""
    runbook = Runbook(temporal.client, f"e{uuid.uuid4().hex[:12]}")
    if outside.course == "aborted with undo":
        outside.holds("await_steady_state" if moment == "rolling-back" else "observe")
    # A worker that keeps no runs in memory: none that died is asked afterwards.
    cached = 0 if outside.dies else 100
    async with working(temporal.client, runbook.environment, outside, cached=cached):
        run = await runbook.start(suspect=SUSPECT)
        report = await followed(runbook, outside, run)
    if report is None:
        outside.died.clear()
        async with working(temporal.client, runbook.environment, outside):
            report = await followed(runbook, outside, run)
    assert await wrong_of(temporal.client, runbook.runs) == []
    return report


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_rollback_ends_as_the_table_says(temporal, table, strategy, moment, course):
    outside = watched(strategy, moment, course)
    async with asyncio.timeout(PATIENCE):
        report = await played(temporal, outside, moment)
    if outside.waits_only:
        outside.at("ended")  # ECS continues without the run
    changes = [CHANGES.get(change, change) for change in outside.changes]
    assert len(changes) == len(set(changes)), changes
    parts = [str(report.outcome), ", then ".join(changes) or "no change"]
    if course != "somebody else deploys":
        parts.append(outside.back_after)
    cell = "; ".join(parts)
    table.seen[strategy, moment, course] = cell
    if not WRITES:
        assert table.said[strategy, moment, course] == cell, report.summary
