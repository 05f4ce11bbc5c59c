"""The containers of a compose project hang; service-down sees that they are unhealthy, and restarts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starter.demo.scenes import BAD_SHARE, recovered
from starter.demo.stage import SANDBOX

if TYPE_CHECKING:
    from starter.demo.stage import Stage

UNHEALTHY_WITHIN = 30


async def play(stage: Stage) -> None:
    """Play the story."""
    telling = stage.telling
    with telling.part("A healthy compose project"):
        healthy = await stage.error_rate("requests are measured", lambda _: True, 40)
        telling.expect("its two containers answer well", healthy.share < BAD_SHARE, healthy)
    with telling.part("Both containers hang"):
        broken = await stage.succeeds("they hang", [*SANDBOX, "break-local", "--hang"])
        telling.need("their processes are there and do nothing", broken)

        async def down() -> bool | None:
            return None if await stage.healthy() else True

        down_after = await stage.until("it is down", down, UNHEALTHY_WITHIN)
        telling.need("soon nothing answers", down_after, "health 503")
    with telling.part("alice starts service-down"):
        run = await stage.start("service-down", "alice", "nothing answers")
        telling.say(f"runbook start service-down local/ai-processor --as alice  ->  {run.id}")
    with telling.part("Nobody has to approve in local: they are restarted, and it is verified"):
        ended = await recovered(stage)
    with telling.part("What was done"):
        for found in ended.report.findings:
            telling.say(f"it found: {found}")
        unhealthy = any(found.startswith("unhealthy-targets") for found in ended.report.findings)
        telling.expect("it found them unhealthy", unhealthy)
        changes = [change.after for change in ended.report.changes]
        telling.expect("they were restarted, once", changes == ["ai-processor restarted"], ", ".join(changes))
