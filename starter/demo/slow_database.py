"""Somebody leaves a table locked, and every answer is slow; high-latency finds the database, and has the lock ended."""

from __future__ import annotations

import asyncio

from starter.demo.outside import measure_p95
from starter.demo.scenes import approve, ask, changed_exactly, everyday, evidence, healthy_release, recovered
from starter.demo.stage import Stage

SLOW_SECONDS = 1.0
"""The runbook's threshold."""
WHO = "migration"
FORGOTTEN_SECONDS = 8.0
"""Longer than the catalog's ``leaked_after``: before that, somebody may still be at it."""


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    await everyday(stage)
    with stage.session(WHO, "LOCK TABLE settings IN ACCESS EXCLUSIVE MODE"):
        with story_log.part("A migration by hand is left half-way"):
            story_log.say(f"{WHO}: BEGIN; LOCK TABLE settings; and then a phone rings")
            await asyncio.sleep(FORGOTTEN_SECONDS)
            slow = await _p95(stage, "answers get slow", slow=True)
            story_log.need("every answer waits for the settings", slow > SLOW_SECONDS, f"p95 {slow:.2f} s")
        with story_log.part("alice starts high-latency"):
            plan, gate = await ask(stage, "high-latency", "p95 above 1 s")
            story_log.expect("it found who holds the lock", WHO in plan.headline, plan.headline)
        with story_log.part("bob approves"):
            await approve(stage, gate)
        with story_log.part("database-issues runs as its child, and latency is verified"):
            ended = await recovered(stage)
            quick = await _p95(stage, "answers are quick again", slow=False)
            story_log.expect("answers are quick again", quick < SLOW_SECONDS, f"p95 {quick:.2f} s")
    with story_log.part("What was done"):
        evidence(stage, ended, "Read what is slow")
        actions = [change.action for change in ended.report.changes]
        story_log.expect("one session was ended", actions == ["pg_terminate_backend"], ", ".join(actions))
        await changed_exactly(stage)


async def _p95(stage: Stage, what: str, *, slow: bool) -> float:
    return await stage.measured(what, measure_p95, lambda p95: (p95 > SLOW_SECONDS) is slow, 40)
