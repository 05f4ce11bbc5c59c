"""A release crashes again and again; service-down finds that out, and has it rolled back."""

from __future__ import annotations

from starter.demo.scenes import approve, ask, changed_exactly, deploy, evidence, healthy_release, recovered
from starter.demo.stage import Stage


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A release that crashes is deployed"):
        words = "whose tasks crash six seconds after their start"
        await deploy(stage, "1.1.0", words, FAULT_CRASH_AFTER_SECONDS="6")

        async def down() -> bool | None:
            return None if await stage.healthy() else True

        story_log.need("but soon nothing answers", await stage.until("it is down", down, 30), "health 503")
    with story_log.part("alice starts service-down"):
        plan, gate = await ask(stage, "service-down", "nothing answers")
        wanted = plan.after.name if plan.after else "no release"
        story_log.expect("it found the release, and goes back to 1.0.0", "1.0.0" in wanted, wanted)
    with story_log.part("bob approves"):
        await approve(stage, gate)
    with story_log.part("A rollback runs as its child, and it is verified"):
        ended = await recovered(stage)
    with story_log.part("What was done"):
        evidence(stage, ended, "Read the tasks and why they stopped")
        await changed_exactly(stage, "UpdateService")
