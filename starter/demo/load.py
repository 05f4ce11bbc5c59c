"""Four times the usual requests are too many for two tasks; more are run while it lasts, and taken back after it."""

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

USUAL = 25.0
MANY = 100.0


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("An everyday release"):
        words = "whose tasks answer five requests at once, in 0.15 s"
        await deploy(stage, "1.1.0", words, FAULT_REQUESTS_AT_ONCE="5", FAULT_LATENCY_SECONDS="0.15")
        await everyday(stage)  # the first windows of the release are past then, too
    with story_log.part("Everybody comes at once"):
        await stage.load(MANY)
        bad = await stage.error_rate("requests are refused", lambda rate: rate.share > 2.8 * BAD_SHARE, 30)
        story_log.need(f"of {MANY:.0f} requests a second, many are refused", bad.share > BAD_SHARE, bad)
    with story_log.part("alice starts high-error-rate"):
        plan, gate = await ask(stage, "high-error-rate", "a third of the requests is refused")
        out = "out from 2 to 5 tasks"
        story_log.expect(
            "the cause is load, not the release: the plan adds tasks", out in plan.headline, plan.headline
        )
    with story_log.part("bob approves"):
        await approve(stage, gate)
    with story_log.part("More tasks run, and it is verified"):
        ended = await recovered(stage)
        story_log.expect("a hold keeps them for an hour", await stage.has_hold())
        evidence(stage, ended, "Read its load")
    with story_log.part("The rush is over, and alice ends the hold"):
        await stage.load(USUAL)
        hold = await stage.end_hold("alice", "the rush is over")
        undone = "; ".join(f"{change.after}: {change.undone}" for change in hold.report.changes)
        story_log.expect("the tasks are taken back", "undone" in undone or "wanted again" in undone, undone)
        await changed_exactly(stage, "UpdateService", "UpdateService")
