"""Which of two releases is the bad one, where both run and traffic is shifted from one to the other. Pure.

Where both answer requests at the same time, what is behind both (load, a database) is behind the figures of both; where all traffic
is shifted at once, one answers after the other. Only where one is
known to be bad and the other is known to be good is one of them named; everything else is a person's decision.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.measured.measurements import ROUNDING
from runbook_model.measured.readings import Quality
from runbook_model.measured.revisions import RevisionFigures, RevisionsRead

What = Literal["errors", "latency"]


class BadOne(StrEnum):
    """Which of the two is the bad one."""

    COMING = "coming"
    OLD = "old"
    NEITHER = "neither"
    """Both are good."""
    BOTH = "both"
    UNKNOWN = "unknown"
    """Too little is known of one of them, or the figures name both."""


NAMED = frozenset({BadOne.COMING, BadOne.OLD})


class Compared(Fact):
    """What the figures of two releases say."""

    bad: BadOne
    by: tuple[What, ...] = ()
    """What names it: failed requests, refused connections and sick targets, or the time of answers."""
    said: str
    """Which is bad, or why that is not known."""
    figures: str = ""
    """What it is concluded from."""

    @property
    def summary(self) -> str:
        """One sentence without its full stop."""
        return f"{self.said}: {self.figures}" if self.figures else self.said


def compare(target: Target, found: RevisionsRead | None) -> Compared:
    """Compare two releases that run at the same time.

    Failed requests come first; the time of answers counts where neither release fails. A release without production traffic is
    never named: what it does is not what users see.

    Args:
        target: whose thresholds hold.
        found: their figures; None where they were not read.
    """
    if found is None:
        return Compared(bad=BadOne.UNKNOWN, said="the figures of each release were not read")
    coming, old = found.coming, found.old
    if not found.has_traffic:
        return _nothing(f"{coming.revision.name} has no production traffic yet")
    if unread := [item.revision.name for item in (coming, old) if not item.known]:
        return _nothing(f"the figures of {' and '.join(unread)} are not known")
    errors = _bad_one(_of_errors(target, coming), _of_errors(target, old))
    latency = _bad_one(_of_latency(target, coming), _of_latency(target, old))
    bad = _together(errors, latency)
    judged: dict[What, BadOne] = {"errors": errors, "latency": latency}
    return Compared(
        bad=bad,
        by=tuple(what for what, which in judged.items() if which is bad),
        said=_said(bad, found),
        figures=f"{coming.summary}; {'at the same time' if found.together else 'before it'} {old.summary}",
    )


def _nothing(why: str) -> Compared:
    return Compared(bad=BadOne.UNKNOWN, said=f"nothing is concluded, as {why}")


def _together(errors: BadOne, latency: BadOne) -> BadOne:
    """Put both together; where they name different releases nobody is named."""
    if errors is BadOne.NEITHER:
        return latency
    return BadOne.UNKNOWN if {errors, latency} == NAMED else errors


def _bad_one(coming: Quality, old: Quality) -> BadOne:
    match coming, old:
        case Quality.BAD, Quality.GOOD:
            return BadOne.COMING
        case Quality.GOOD, Quality.BAD:
            return BadOne.OLD
        case Quality.BAD, Quality.BAD:
            return BadOne.BOTH
        case Quality.GOOD, Quality.GOOD:
            return BadOne.NEITHER
    return BadOne.UNKNOWN


def _said(bad: BadOne, found: RevisionsRead) -> str:
    coming, old = found.coming.revision.name, found.old.revision.name
    match bad:
        case BadOne.COMING:
            return f"{coming}, which is coming, is the bad one"
        case BadOne.OLD:
            return f"{old}, which ran before, is the bad one, and a stop would send all traffic to it"
        case BadOne.BOTH:
            return "both releases are bad"
        case BadOne.NEITHER:
            return "neither release is bad"
    doubts = "; ".join(
        f"{item.revision.name}: {item.unsure}" for item in (found.coming, found.old) if item.unsure
    )
    return f"which release is the bad one is not clear{f' ({doubts})' if doubts else ''}"


def _of_errors(target: Target, found: RevisionFigures) -> Quality:
    if found.share is None:
        return Quality.NO_DATA
    if found.bad or found.share > target.thresholds.error_rate + ROUNDING:
        return Quality.BAD
    return Quality.NO_DATA if found.unsure else Quality.GOOD


def _of_latency(target: Target, found: RevisionFigures) -> Quality:
    if found.p95 is None:
        return Quality.NO_DATA
    return Quality.BAD if found.p95 > target.thresholds.p95_seconds else Quality.GOOD
