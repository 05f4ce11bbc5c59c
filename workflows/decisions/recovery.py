"""Whether a target recovered, judged from what was observed."""

from __future__ import annotations

from runbook_model.catalog.target import Target
from runbook_model.measured.readings import (
    KNOWN,
    Observed,
    Quality,
    Reading,
    Sample,
    Streak,
    last_streak,
    longest_gap,
)
from runbook_model.messages import Message
from runbook_model.reports import Verdict
from runbook_model.text.durations import format_duration


class Judged(Message):
    """A verdict with the reason in one sentence."""

    verdict: Verdict
    why: str


def judge_recovery(observed: Observed, baseline: Sample | None, target: Target) -> Judged:
    """Judge what was observed after a change.

    Recovered takes as many good samples in a row as the catalog asks for, over the bake time. Bad samples in the
    last bake time mean not recovered, flapping included. Everything else is inconclusive: silence is not health.

    Args:
        observed: the samples after the change.
        baseline: one sample from before it, for the words only.
        target: whose bake time and thresholds hold.
    """
    streak = last_streak(observed.samples, longest_gap(target), observed.earlier)
    if streak is None:
        return Judged(verdict=Verdict.INCONCLUSIVE, why=_nothing_known(observed))
    silent = observed.until - streak.until
    if silent > longest_gap(target):
        since = _unknown(observed.samples) or "nothing was measured since"
        why = f"{since}; the last known sample, {streak.quality}, is {format_duration(silent)} old"
        return Judged(verdict=Verdict.INCONCLUSIVE, why=why)
    if streak.quality is Quality.BAD:
        return Judged(verdict=Verdict.NOT_RECOVERED, why=_bad(observed, streak, baseline))
    if streak.count >= target.verify.consecutive and streak.span >= target.verify.bake:
        return Judged(verdict=Verdict.RECOVERED, why=_good(observed, streak, baseline))
    return _judge_short(observed, streak, target)


def _judge_short(observed: Observed, streak: Streak, target: Target) -> Judged:
    """Judge an end that is good, but not for long enough."""
    lately = [sample for sample in observed.samples if sample.at > observed.until - target.verify.bake]
    known = [item for item in lately if item.quality in KNOWN]
    bad = [item for item in known if item.quality is Quality.BAD]
    if bad:
        why = (
            f"it flaps: {len(bad)} of the last {len(known)} samples were bad, "
            f"the newest of them {format_duration(observed.until - bad[-1].at)} before the end: "
            f"{_words(bad[-1], {Quality.BAD})}"
        )
        return Judged(verdict=Verdict.NOT_RECOVERED, why=why)
    why = (
        f"not good for long enough: {_counted(streak)} so far; "
        f"{target.verify.consecutive} over {format_duration(target.verify.bake)} are needed"
    )
    unknown = _unknown(observed.samples)
    return Judged(verdict=Verdict.INCONCLUSIVE, why=f"{why}; {unknown}" if unknown else why)


def _good(observed: Observed, streak: Streak, baseline: Sample | None) -> str:
    newest = _newest(observed.samples, Quality.GOOD)
    words = f"{_counted(streak)}: {_words(newest, {Quality.GOOD})}" if newest else _counted(streak)
    before = baseline.error_rate if baseline else None
    if before:
        return f"{words}; before the change {100 * before:.1f} % failed"
    kinds = {item.kind for item in _said(newest, {Quality.GOOD})} if newest else set()
    bad = [item.detail for item in _said(baseline, {Quality.BAD}) if item.kind in kinds] if baseline else []
    return f"{words}; before the change {', '.join(bad)}" if bad else words


def _bad(observed: Observed, streak: Streak, baseline: Sample | None) -> str:
    newest = _newest(observed.samples, Quality.BAD)
    if newest is None:
        return _counted(streak)
    fell = _fell(observed.samples, newest, baseline)
    others = [item for item in _said(newest, {Quality.BAD}) if not (fell and item.kind == "error-rate")]
    return "; ".join(
        part for part in (fell, ", ".join(other.detail for other in others), _counted(streak)) if part
    )


def _fell(samples: tuple[Sample, ...], newest: Sample, baseline: Sample | None) -> str:
    """Say how far errors fell, where they fell and are still too many."""
    now = next((item for item in _said(newest, {Quality.BAD}) if item.kind == "error-rate"), None)
    before = [rate for item in (baseline, *samples) if item and (rate := item.error_rate) is not None]
    if now is None or now.value is None or now.limit is None or before[0] <= now.value:
        return ""
    return f"errors fell from {100 * before[0]:.1f} % to {100 * now.value:.1f} % but are above {100 * now.limit:g} %"


def _nothing_known(observed: Observed) -> str:
    return _unknown(observed.samples) or "nothing was measured before the deadline"


def _unknown(samples: tuple[Sample, ...]) -> str:
    """Say what the newest unknown sample lacked."""
    newest = next((sample for sample in reversed(samples) if sample.quality not in KNOWN), None)
    if newest is None:
        return ""
    kind = "no data" if newest.quality is Quality.NO_DATA else "not measured"
    return f"{kind}: {_words(newest, {Quality.NO_DATA, Quality.ERROR}) or 'no reading decides'}"


def _counted(streak: Streak) -> str:
    samples = "sample" if streak.count == 1 else "samples"
    return f"{streak.count} {streak.quality} {samples} over {format_duration(streak.span)}"


def _newest(samples: tuple[Sample, ...], quality: Quality) -> Sample | None:
    return next((sample for sample in reversed(samples) if sample.quality is quality), None)


def _said(sample: Sample, qualities: set[Quality]) -> list[Reading]:
    return [reading for reading in sample.readings if reading.decides and reading.quality in qualities]


def _words(sample: Sample, qualities: set[Quality]) -> str:
    return ", ".join(item.detail for item in _said(sample, qualities))
