"""Measure a service before anything is changed, and verify it afterwards, until it is known whether it recovered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from temporalio import workflow

from activities.measuring.activities import VerificationActivities
from runbook_model.measured.readings import Observation, Sample, latest_end
from runbook_model.releases.release import Release
from runbook_model.reports import Ending, Outcome, State, Verdict
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import sentence
from workflows.decisions.recovery import Judged, judge_recovery
from workflows.page.run import Run
from workflows.platforms.choice import platform_of
from workflows.platforms.platform import Running


async def measure(run: Run, release: Release) -> Sample:
    """Measure how things are before anything is changed; nothing is posted."""
    now = workflow.now()
    look = Observation(
        target=run.target, release=release, since=now, deadline=now, looks=run.looks, may_probe=False
    )
    words = "Measure health and error rate as they are"
    sample = await run.page.read(words, VerificationActivities.measure, look)
    run.page.record.read(sample.readings)
    return sample


async def verify(
    run: Run, release: Release, since: datetime, baseline: Sample, *, same_release_before: bool = False
) -> Judged:
    """Measure from a moment on until it is known whether the service recovered.

    Args:
        run: whose service is measured, by the run's looks.
        release: what runs.
        since: from when on, which is when nothing older ran any more.
        baseline: how it was measured before.
        same_release_before: whether the release also ran before that moment.
    """
    record, target = run.page.record, run.target
    before = record.enter(State.VERIFYING)
    look = Observation(
        target=target,
        release=release,
        since=since,
        deadline=latest_end(target, workflow.now()),
        same_release_before=same_release_before,
        looks=run.looks,
    )
    words = f"Measure until it has been good for {format_duration(target.verify.bake)}"
    observed = await run.page.watch(words, VerificationActivities.observe, look, remembers=True)
    for sample in observed.samples[-target.verify.consecutive :]:
        record.read(sample.readings)
    record.enter(before)
    return judge_recovery(observed, baseline, target)


async def verified_or_handed_over(
    run: Run,
    look: Callable[[], Awaitable[Judged]],
    headline: str,
    ways: Mapping[str, Callable[[], Awaitable[Ending]]] = MappingProxyType({}),
) -> Ending:
    """Verify; what is not verified is looked at again, put right in another way or handed over, as a person chooses."""
    while True:
        judged = await look()
        if judged.verdict is Verdict.RECOVERED:
            summary = f"{headline}: {judged.why}"
            return Ending(outcome=Outcome.RECOVERED, summary=summary, verdict=judged.verdict)
        question, options = "Recovery is not verified: how to continue?", ("verify-again", *ways, "hand-over")
        chosen = await run.page.choose(question, judged.why, run.target, options)
        if chosen and chosen in ways:
            return await ways[chosen]()
        if chosen != "verify-again":
            summary = f"{headline}: {sentence(judged.why)} A person must check now."
            return Ending(outcome=Outcome(judged.verdict), summary=summary, verdict=judged.verdict)


@dataclass(frozen=True)
class Before:
    """What ran before somebody else than the page puts it right, and how it was measured."""

    running: Running
    sample: Sample


async def as_it_is(run: Run) -> Before:
    """Read what runs, and measure it."""
    running = await platform_of(run).read_running("Read what runs")
    return Before(running, await measure(run, running.release))


async def verified_since(run: Run, before: Before, headline: str) -> Ending:
    """Verify what others did, on whatever runs by now."""
    now = await platform_of(run).read_running("Read what runs now")
    release, since = now.release, workflow.now()
    same = release.task_definition == before.running.release.task_definition
    return await verified_or_handed_over(
        run, lambda: verify(run, release, since, before.sample, same_release_before=same), headline
    )
