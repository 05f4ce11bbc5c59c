"""Requests fail since a release; high-error-rate distinguishes it from load and dependencies, and has it rolled back."""

from __future__ import annotations

from starter.demo.scenes import (
    BAD_SHARE,
    approve,
    ask,
    changed_exactly,
    deploy,
    everyday,
    evidence,
    healthy_release,
    recovered,
)
from starter.demo.stage import Stage


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    await everyday(stage)
    with story_log.part("A release that fails is deployed"):
        await deploy(stage, "1.1.0", "which fails 30 % of its requests", FAULT_ERROR_RATE="0.3")
        bad = await stage.error_rate("errors show", lambda rate: rate.share > 2.5 * BAD_SHARE, 30)
        story_log.need("but requests fail", bad.share > BAD_SHARE, bad)
    with story_log.part("alice starts high-error-rate, and does not know why requests fail"):
        plan, gate = await ask(stage, "high-error-rate", "30 % errors")
        wanted = plan.after.name if plan.after else "no release"
        story_log.expect("errors started with the release: it goes back to 1.0.0", "1.0.0" in wanted, wanted)
    with story_log.part("bob approves"):
        await approve(stage, gate)
    with story_log.part("A rollback runs as its child, and it is verified"):
        ended = await recovered(stage)
    with story_log.part("What was done"):
        evidence(stage, ended, "Read which requests fail, and since when")
        await changed_exactly(stage, "UpdateService")
