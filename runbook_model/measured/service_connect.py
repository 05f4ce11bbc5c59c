"""What the figures of Service Connect in CloudWatch say of a service. Pure.

Two sides count. The proxies in the service's own tasks count the requests that reach them; the proxies of callers count
the answers by status, for a discovery name in all clusters of the account. So answers count only where they match the
requests.
"""

from __future__ import annotations

from datetime import datetime

from runbook_model.fact import Fact
from runbook_model.measured.evidence import Points
from runbook_model.measured.measurements import Measurement
from runbook_model.measured.publishing import Published
from runbook_model.text.sentences import count_of

NEAR = 0.05
"""The share by which answers and requests may differ: two sides count them, a moment apart."""


class NameFigures(Fact):
    """One discovery name's figures, by period."""

    requests: Points = ()
    """Requests that reached this service's tasks, whoever sent them."""
    answers_2xx: Points = ()
    answers_3xx: Points = ()
    answers_4xx: Points = ()
    answers_5xx: Points = ()
    p95: Points = ()
    """Milliseconds, over the whole window: percentiles of parts cannot be averaged."""

    def answered(self, window: Published) -> float:
        """How many answers callers got in a window."""
        found = (self.answers_2xx, self.answers_3xx, self.answers_4xx, self.answers_5xx)
        return sum(sum(window.holds(points)) for points in found)


class ConnectFigures(Fact):
    """What CloudWatch answered about a service's discovery names."""

    names: tuple[NameFigures, ...] = ()
    why: str = ""
    """Why it is not whole."""


def errors_of_answers(
    asked: Measurement,
    found: ConnectFigures,
    window: Published,
    tasks: tuple[int, int],
    least: int,
    *,
    health: bool,
) -> Measurement:
    """Return the share of answers that failed.

    Refused connections are in no figure, so it is good only where nearly every request has an answer, all tasks run, and
    something else asks for the service's health.

    Args:
        asked: the question.
        found: what CloudWatch answered.
        window: the time that counts.
        tasks: how many run, and how many are wanted.
        least: how many answers say something.
        health: whether something asks for its health: at its address, or its targets'.
    """
    requests, answered = _counts(found, window)
    if why := found.why or _not_its_own(requests, answered):
        return asked.unanswered(why)
    failed = sum(sum(window.holds(name.answers_5xx)) for name in found.names)
    measured = asked.answered(
        value=failed / answered if answered else None,
        requests=answered,
        failed=failed,
        by_type={"5xx": failed} if failed else {},
        note=window.words,
        unsure=_unsure(requests, answered, tasks, health=health),
    )
    return measured.if_enough(least)


def p95_of_answers(
    asked: Measurement, found: ConnectFigures, window: Published, since: datetime | None, least: int
) -> Measurement:
    """Return in what time 95 % of the requests were answered; of several discovery names, the slowest's."""
    requests, answered = _counts(found, window)
    if why := found.why or _not_its_own(requests, answered):
        return asked.unanswered(why)
    values = [window.newest_whole(name.p95, since) for name in found.names if name.answered(window)]
    known = [value / 1000 for value in values if value is not None]
    if answered and len(known) < len(values):
        return asked.unanswered("CloudWatch has no p95 of the whole window", requests=answered)
    return asked.answered(value=max(known, default=None), requests=answered, note=window.words).if_enough(
        least
    )


def _counts(found: ConnectFigures, window: Published) -> tuple[float, float]:
    """Return how many requests there were, and how many answers."""
    requests = sum(sum(window.holds(name.requests)) for name in found.names)
    return requests, sum(name.answered(window) for name in found.names)


def _not_its_own(requests: float, answered: float) -> str:
    """Say why answers cannot be taken for this service's; nothing where they can."""
    if requests and not answered:
        return f"{count_of(round(requests), 'request')} reached the service, and no caller's proxy counted an answer"
    if answered > requests * (1 + NEAR):
        return (
            f"callers' proxies counted {count_of(round(answered), 'answer')}, and {count_of(round(requests), 'request')} "
            "reached the service: another service may have the same discovery name"
        )
    return ""


def _unsure(requests: float, answered: float, tasks: tuple[int, int], *, health: bool) -> str:
    """Say what keeps it from being good."""
    running, desired = tasks
    if answered < requests * (1 - NEAR):
        return f"{count_of(round(requests) - round(answered), 'more request')} with no answer that is known"
    if running < desired:
        return f"{running} of {count_of(desired, 'task')} run"
    return (
        "" if health else "refused connections are not counted, and nothing asks for its health: give its url"
    )
