"""A release leaks memory; the slope gives it away long before it is full, and more tasks buy time."""

from __future__ import annotations

from starter.demo.outside import measure_memory
from starter.demo.scenes import (
    approve,
    ask,
    changed_exactly,
    deploy,
    evidence,
    healthy_release,
    recovered,
    tasks,
)
from starter.demo.stage import Stage

GROWN = 0.24
"""The share of its memory from which on a task has grown for long enough to speak of a slope."""


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    await healthy_release(stage)
    with story_log.part("A release that leaks is deployed"):
        words = "whose tasks take a megabyte of their 256 every second"
        await deploy(stage, "1.1.0", words, memory=256, FAULT_LEAK_MB_PER_SECOND="1")
        used = await stage.measured("memory grows", measure_memory, lambda share: share > GROWN, 60)
        story_log.need("and memory grows", used > GROWN, f"{used:.0%} of the limit")
    with story_log.part("alice starts resource-issues"):
        plan, gate = await ask(stage, "resource-issues", "memory grows")
        why = "; ".join(plan.because)
        story_log.expect("it found a leak, and when memory is full", "leak" in why and "full in" in why, why)
    with story_log.part("bob approves"):
        await approve(stage, gate)
    with story_log.part("More tasks share the load, and it is verified"):
        ended = await recovered(stage)
        story_log.expect("a hold keeps them for an hour", await stage.has_hold())
    with story_log.part("What is left"):
        evidence(stage, ended, "Read CPU, memory and restarts", most=6)
        tasks(stage, ended, "the leak itself is left to people, in writing")
        await changed_exactly(stage, "UpdateService")
