"""The containers of a compose project hang; service-down sees that they are unhealthy, and restarts them."""

from __future__ import annotations

from starter.demo.scenes import BAD_SHARE, recovered
from starter.demo.stage import SANDBOX, Stage

UNHEALTHY_WITHIN = 30


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    with story_log.part("A healthy compose project"):
        healthy = await stage.error_rate("requests are measured", lambda _: True, 40)
        story_log.expect("its two containers answer well", healthy.share < BAD_SHARE, healthy)
    with story_log.part("Both containers hang"):
        broken = await stage.succeeds("they hang", [*SANDBOX, "break-local", "--hang"])
        story_log.need("their processes are there and do nothing", broken)

        async def down() -> bool | None:
            return None if await stage.healthy() else True

        down_after = await stage.until("it is down", down, UNHEALTHY_WITHIN)
        story_log.need("soon nothing answers", down_after, "health 503")
    with story_log.part("alice starts service-down"):
        run = await stage.start("service-down", "alice", "nothing answers")
        story_log.say(f"runbook start service-down local/ai-processor --as alice  ->  {run.id}")
    with story_log.part("Nobody has to approve in local: they are restarted, and it is verified"):
        ended = await recovered(stage)
    with story_log.part("What was done"):
        for found in ended.report.findings:
            story_log.say(f"it found: {found}")
        unhealthy = any(found.startswith("unhealthy-targets") for found in ended.report.findings)
        story_log.expect("it found them unhealthy", unhealthy)
        changes = [change.after for change in ended.report.changes]
        story_log.expect(
            "they were restarted, once", changes == ["ai-processor restarted"], ", ".join(changes)
        )
