"""What CloudWatch's figures of an SQS queue say of the service that takes its work from it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.measured.evidence import Points
from runbook_model.measured.publishing import Published
from runbook_model.measured.readings import Quality, Reading
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of

WORST = (Quality.BAD, Quality.ERROR, Quality.NO_DATA, Quality.GOOD)


class QueueFigures(Fact):
    """A queue's figures, by the minute."""

    age: Points = ()
    """Seconds, of the oldest message that waits."""
    waiting: Points = ()
    """Messages that may be taken."""
    sent: Points = ()
    deleted: Points = ()
    """Messages that whoever took them was done with."""
    why: str = ""
    """Why they are not whole."""

    def within(self, window: Published) -> QueueFigures:
        """Return the figures of a window alone."""
        return self.model_copy(
            update={
                name: tuple(
                    (moment, value)
                    for moment, value in getattr(self, name)
                    if window.begin.timestamp() <= moment < window.end.timestamp()
                )
                for name in ("age", "waiting", "sent", "deleted")
            }
        )


def queue_reading(found: QueueFigures, target: Target, query: str, now: datetime) -> Reading:
    """Hold a queue's figures against the limit of age.

    Good is work that was done while no message waits for too long. An old message is bad, unless its age falls: then
    what has piled up is being taken. A queue to which nothing came and from which nothing went says nothing.
    """
    limit = target.thresholds.queue_age
    quality, words, decides = _judge(found, limit)
    newest = found.age[-1][1] if found.age else None
    return Reading(
        kind="health",
        quality=quality,
        value=newest,
        limit=limit.total_seconds(),
        detail=f"queue {target.queue}: {words}",
        source="cloudwatch",
        query=query,
        decides=decides,
        at=now,
    )


def _judge(found: QueueFigures, limit: timedelta) -> tuple[Quality, str, bool]:
    if found.why:
        return Quality.NO_DATA, found.why, True
    if not found.age:
        return Quality.NO_DATA, "CloudWatch has published nothing of it for this time", True
    newest, oldest = found.age[-1][1], max(age for _, age in found.age)
    waiting = f", {count_of(round(found.waiting[-1][1]), 'message')} waiting" if found.waiting else ""
    age = f"the oldest message is {format_duration(timedelta(seconds=round(newest)))} old{waiting}"
    bound = f"(limit {format_duration(limit)})"
    if newest > limit.total_seconds():
        if newest < oldest:
            return Quality.NO_DATA, f"{age} {bound}, and its age falls", True
        return Quality.BAD, f"{age} {bound}", True
    done, sent = (round(sum(value for _, value in points)) for points in (found.deleted, found.sent))
    if done:
        return Quality.GOOD, f"{age} {bound}, {count_of(done, 'message')} done", True
    came = sent or (found.waiting and found.waiting[-1][1]) or newest
    return Quality.NO_DATA, f"{age} {bound}, no message was done", bool(came)


def with_queue(health: Reading, queue: Reading) -> Reading:
    """Put the queue's figures to what else is known of health: good needs all that decide."""
    deciding = [item for item in (health, queue) if item.decides]
    worst = min(deciding or [queue], key=lambda item: WORST.index(item.quality))
    shown = (health, queue) if health.decides else (queue,)
    return worst.model_copy(update={"detail": "; ".join(item.detail for item in shown)})
