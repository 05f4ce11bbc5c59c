"""What the figures of load balancers and of Service Connect in CloudWatch say of a service. Pure.

Of Service Connect two sides count. The proxies in the service's own tasks count the requests that reach them; the proxies of
callers count the answers by status, for a discovery name in all clusters of the account. So answers count only where they
match the requests.
"""

from __future__ import annotations

from datetime import datetime

from runbook_model.fact import Fact
from runbook_model.measured.evidence import Points
from runbook_model.measured.measurements import Measurement
from runbook_model.measured.publishing import Published
from runbook_model.measured.revisions import RevisionFigures
from runbook_model.text.sentences import count_of

FEW_REFUSED = 0.01
"""The share of connections that may fail while a service is good."""

NEAR = 0.05
"""The share by which answers and requests may differ: two sides count them, a moment apart."""


class TargetGroup(Fact):
    """A target group of a service, and the load balancer that sends it requests."""

    arn: str
    balancer: str = ""
    """Its ARN; empty where none uses the group."""

    @property
    def name(self) -> str:
        """What CloudWatch calls it: ``targetgroup/<name>/<id>``."""
        return self.arn.rpartition(":")[2]

    @property
    def balancer_name(self) -> str:
        """What CloudWatch calls its load balancer: ``app/<name>/<id>``."""
        return self.balancer.partition(":loadbalancer/")[2]


class GroupFigures(Fact):
    """One target group's figures, by period."""

    requests: Points = ()
    errors: Points = ()
    """Answers of its targets with a 5xx."""
    refused: Points = ()
    """Connections that its targets did not accept."""
    healthy: Points = ()
    unhealthy: Points = ()
    p95: Points = ()
    """Seconds, over the whole window: percentiles of parts cannot be averaged."""


class Figures(Fact):
    """What CloudWatch answered about a service's load balancers."""

    groups: tuple[GroupFigures, ...] = ()
    own_errors: Points = ()
    """Requests that the load balancers answered with 502, 503 or 504 themselves; of a shared one, for any service."""
    why: str = ""
    """Why it is not whole."""


def errors_of(asked: Measurement, found: Figures, window: Published, desired: int, least: int) -> Measurement:
    """Return the share of requests that failed; refused connections are failures, and no requests otherwise.

    A figure of failures that is missing is zero, since CloudWatch has none of zero; only with enough requests does that
    say something.

    Args:
        asked: the question.
        found: what CloudWatch answered.
        window: the time that counts.
        desired: how many healthy targets there must be.
        least: how many requests say something.
    """
    if found.why:
        return asked.unanswered(found.why)
    errors, refused, answered = (
        sum(sum(window.holds(getattr(group, name))) for group in found.groups)
        for name in ("errors", "refused", "requests")
    )
    requests, own = answered + refused, sum(window.holds(found.own_errors))
    note = window.words
    if own:
        note += f", the load balancer answered {count_of(round(own), 'request')} with 502, 503 or 504 itself"
    kinds = {"5xx": errors, "refused connections": refused}
    measured = asked.answered(
        value=(errors + refused) / requests if requests else None,
        requests=requests,
        failed=errors + refused,
        by_type={kind: count for kind, count in kinds.items() if count},
        note=note,
        bad=_bad(found, window, refused, requests),
        unsure=_unsure(found, window, desired),
    )
    return measured.if_enough(least)


def p95_of(
    asked: Measurement, found: Figures, window: Published, since: datetime | None, least: int
) -> Measurement:
    """Return in what time 95 % of the requests were answered; of several groups, the slowest's."""
    if found.why:
        return asked.unanswered(found.why)
    requests = sum(sum(window.holds(group.requests)) for group in found.groups)
    values = [window.newest_whole(group.p95, since) for group in found.groups if window.holds(group.requests)]
    return _slowest(asked, values, requests, window, least)


def _slowest(
    asked: Measurement, values: list[float | None], requests: float, window: Published, least: int
) -> Measurement:
    known = [value for value in values if value is not None]
    if requests and len(known) < len(values):
        return asked.unanswered("CloudWatch has no p95 of the whole window", requests=requests)
    value = max(known, default=None)
    return asked.answered(value=value, requests=requests, note=window.words).if_enough(least)


def figures_of(
    asked: RevisionFigures,
    found: Figures,
    window: Published,
    since: datetime,
    least: int,
) -> RevisionFigures:
    """Return what was counted of one revision since it was made: before that its target groups were another's.

    Args:
        asked: the question.
        found: what CloudWatch answered about its target groups.
        window: the time that counts.
        since: when the revision was made.
        least: how many requests say something.
    """
    own = window.since(since)
    if own is None:
        return asked.unanswered(f"CloudWatch has published nothing since {since:%H:%M:%S} UTC yet")
    question = Measurement.of(asked, window=own.span)
    errors = errors_of(question, found, own, asked.wanted, least)
    # A percentile is of a whole window: what another revision answered in it may not be in there.
    others = any(moment < since.timestamp() for group in found.groups for moment, _ in group.requests)
    p95 = p95_of(question, found, window, since if others else None, least)
    counted: dict[str, object] = {
        name: getattr(errors, name) for name in ("requests", "failed", "by_type", "bad", "unsure")
    }
    counted |= {"begin": own.begin, "end": own.end}
    if not errors.known or errors.value is None:
        return asked.unanswered(errors.why or "there were no requests", **counted)
    return asked.answered(share=errors.value, healthy=_healthy(found, own), p95=p95.value, **counted)


def answer_together(coming: Figures, old: Figures, window: Published) -> bool:
    """Whether most requests to the one release came in minutes in which the other had some too."""
    begin, end = window.begin.timestamp(), window.end.timestamp()
    shared = {moment for group in old.groups for moment, count in group.requests if count}
    counted = [
        (moment in shared, count)
        for group in coming.groups
        for moment, count in group.requests
        if begin <= moment < end
    ]
    return 2 * sum(count for both, count in counted if both) >= sum(count for _, count in counted) > 0


def _bad(found: Figures, window: Published, refused: float, requests: float) -> str:
    """Say what is bad whatever share of the requests failed."""
    reached = _reached(found, window)
    sick = [values[-1] for group in reached if (values := window.holds(group.unhealthy)) and values[-1]]
    if sick:
        return f"{count_of(round(sum(sick)), 'target')} unhealthy"
    if requests and refused / requests > FEW_REFUSED:
        return f"{count_of(round(refused), 'connection')} refused"
    return ""


def _unsure(found: Figures, window: Published, desired: int) -> str:
    """Say what keeps it from being good."""
    healthy = _healthy(found, window)
    if healthy is None:
        return "CloudWatch does not say how many targets are healthy"
    return f"{healthy} of {count_of(desired, 'target')} healthy" if healthy < desired else ""


def _healthy(found: Figures, window: Published) -> int | None:
    """Return how many targets were healthy in the newest period, of several groups in the best; None where nothing says it."""
    known = [values[-1] for group in _reached(found, window) if (values := window.holds(group.healthy))]
    return round(max(known)) if known else None


def _reached(found: Figures, window: Published) -> tuple[GroupFigures, ...]:
    """Return the groups that got requests or refused them, all where none did: one of a pair may stand by."""
    asked = (
        group
        for group in found.groups
        if sum(window.holds(group.requests)) or sum(window.holds(group.refused))
    )
    return tuple(asked) or found.groups


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
        unsure=_unsure_of_answers(requests, answered, tasks, health=health),
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
    seconds = [None if value is None else value / 1000 for value in values]
    return _slowest(asked, seconds, answered, window, least)


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


def _unsure_of_answers(requests: float, answered: float, tasks: tuple[int, int], *, health: bool) -> str:
    """Say what keeps it from being good."""
    running, desired = tasks
    if answered < requests * (1 - NEAR):
        return f"{count_of(round(requests) - round(answered), 'more request')} with no answer that is known"
    if running < desired:
        return f"{running} of {count_of(desired, 'task')} run"
    return (
        "" if health else "refused connections are not counted, and nothing asks for its health: give its url"
    )
