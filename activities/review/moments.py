"""When it started, was noticed, was taken up, got better and was over; and where the time went. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.review.evidence import time_of
from activities.review.histories import NOBODY, object_of, objects, received_by, said, who
from activities.review.model import Cite, Moment, ReadingLine, Shares, Wait, order_of
from activities.review.timeline import INCIDENT, name_of
from runbook_model.incident.messages import ALERTS
from runbook_model.names.ids import STATE

if TYPE_CHECKING:
    from activities.review.histories import Act, Course, Json, Received

OVER = frozenset({"recovered", "not-needed"})

LIMITS = {
    "share": ("error_rate", "the error rate"),
    "p95": ("p95_seconds", "latency"),
    "cpu_course": ("cpu", "CPU"),
}
"""A diagnosis's figure across a release -> the threshold that it is held against, and what people call it."""

Span = tuple[datetime, datetime]

ANSWERS = frozenset({"approve", "decide", "abort", "abort_run"})

PAUSED = "paused"


def alerts_of(courses: Sequence[Course]) -> Iterator[tuple[dict[str, Json], Moment]]:
    """Tell the alerts as they came in."""
    for received in received_by(courses, ALERTS):
        for alert in objects(received.message.get("alerts")):
            what = f"alert {said(alert.get('name'))} came in"
            yield alert, Moment(at=received.at, what=what, cite=received.cite)


def started(courses: Sequence[Course], readings: Sequence[ReadingLine]) -> Moment | None:
    """Find the first sign of trouble: a bad reading, an alert's own start, or errors that started with a release."""
    signs = [
        Moment(at=line.at, what=f"first bad reading, {line.what}: {line.detail}", cite=line.cite)
        for line in readings
        if line.quality == "bad"
    ]
    for alert, moment in alerts_of(courses):
        at = time_of(alert.get("starts_at"))
        if at is not None and alert.get("status") == "firing":
            signs.append(
                Moment(at=at, what=f"alert {said(alert.get('name'))} started to fire", cite=moment.cite)
            )
    signs += [sign for course in courses for act in course.acts for sign in _with_release(act)]
    return min(signs, key=order_of, default=None)


def detected(courses: Sequence[Course]) -> Moment:
    """Find when somebody, or something, first noticed."""
    first = courses[0]
    by = said(first.asked_by) or NOBODY
    began = Moment(at=first.began, what=f"{name_of(first)} started, for {by}", cite=first.cite)
    alarms = [moment for alert, moment in alerts_of(courses) if alert.get("status") == "firing"]
    return min([began, *alarms], key=order_of) if by != ALERTS else min(alarms or [began], key=order_of)


def acknowledged(courses: Sequence[Course]) -> Moment | None:
    """Find when a person had it."""
    acks = [
        Moment(at=received.at, what=f"acknowledged by {who(received.given)}", cite=received.cite)
        for received in received_by(courses, "acknowledge")
    ]
    return min(acks, key=order_of, default=None)


def taken_up(courses: Sequence[Course]) -> Moment | None:
    """Find when the first procedure was on it."""
    started = [
        Moment(at=course.began, what=f"procedure {name_of(course)} started", cite=course.cite)
        for course in courses
        if course.kind != INCIDENT and not course.carried
    ]
    return min(started, key=order_of, default=None)


def mitigated(courses: Sequence[Course]) -> Moment | None:
    """Find from when on everything that was measured was good, where a verification found it so."""
    good = [
        Moment(at=since, what="every reading was good from here on", cite=act.proof)
        for course in courses
        if course.result.get("outcome") in OVER
        for act in course.acts
        if act.how == "done" and (since := _good_since(act.result)) is not None
    ]
    return max(good, key=order_of, default=None)


def resolved(courses: Sequence[Course]) -> Moment | None:
    """Find when it was over: a person said so, or the run ended well."""
    first = courses[0]
    last = _last_of(first, courses)
    closes = [
        Moment(at=received.at, what=f"closed by {who(received.given)}", cite=received.cite)
        for received in received_by(courses, "close")
    ]
    if last.ended and last.end and last.result.get("outcome") in OVER:
        outcome = said(last.result.get("outcome"))
        closes.append(Moment(at=last.ended, what=f"{name_of(last)} ended: {outcome}", cite=last.end))
    return min(closes, key=order_of, default=None)


def ended(courses: Sequence[Course]) -> Moment | None:
    """Find when the subject ended, however it did."""
    last = _last_of(courses[0], courses)
    if last.ended is None or last.end is None or last.how == "continued":
        return None
    return Moment(at=last.ended, what=said(last.result.get("outcome")) or last.how, cite=last.end)


def _last_of(first: Course, courses: Sequence[Course]) -> Course:
    """Return the last of a subject's runs: a long one continues in further runs."""
    return [course for course in courses if course.workflow == first.workflow][-1]


def _with_release(act: Act) -> Iterator[Moment]:
    """Tell a release whose first window was bad already, and the one before it was not."""
    result, given = object_of(act.result), object_of(act.given)
    onset = result.get("onset")
    limits = object_of(given.get("target", given)).get("thresholds")
    if not isinstance(onset, dict) or not isinstance(limits, dict):
        return
    began = time_of(onset.get("began"))
    for name, (limit, words) in LIMITS.items():
        before, first, bound = (
            _figure(result, name, "before"),
            _figure(result, name, "first"),
            limits.get(limit),
        )
        if began is None or before is None or first is None or not isinstance(bound, int | float):
            continue
        if before <= bound < first:
            what = f"{said(onset.get('release'))} was deployed, and {words} was bad from its first window on"
            yield Moment(at=began, what=what, cite=act.proof)


def _figure(result: dict[str, Json], name: str, which: str) -> float | None:
    value = object_of(object_of(result.get(name)).get(which)).get("value")
    return value if isinstance(value, int | float) else None


def _good_since(result: Json) -> datetime | None:
    """Find where the unbroken row of good samples starts that an observation ends with."""
    samples = object_of(result).get("samples")
    if not isinstance(samples, list):
        return None
    since: datetime | None = None
    earlier = object_of(result.get("earlier"))
    if earlier.get("quality") == "good":
        since = time_of(earlier.get("since"))
    for sample in objects(samples):
        qualities = {
            item.get("quality") for item in objects(sample.get("readings")) if item.get("decides", True)
        }
        if "bad" in qualities:
            since = None
        elif qualities == {"good"} and since is None:
            since = time_of(sample.get("at"))
    return since


def waits_of(courses: Sequence[Course]) -> tuple[Wait, ...]:
    """List the checkpoints and pauses, oldest first; a gate that a parent shows for its child counts once."""
    found: dict[str, Wait] = {}
    # A child's own gate says more than its parent's picture of it, and children started later.
    for course in sorted(courses, key=lambda item: item.began, reverse=True):
        for key, wait in _gates(course):
            found.setdefault(key, wait)
        found.update({f"{course.workflow} {wait.opened}": wait for wait in _pauses(course)})
    return tuple(sorted(found.values(), key=lambda wait: (wait.opened, wait.cite.event)))


def shares_of(courses: Sequence[Course], waits: Iterable[Wait], whole: Span) -> Shares:
    """Split the whole time into people's, the machine's, and neither's."""
    last = whole[1]
    waiting = _union(((wait.opened, wait.closed or last) for wait in waits), whole)
    working = _union(((course.began, course.last) for course in courses if course.kind != INCIDENT), whole)
    people = _length(waiting)
    busy = _length(_union([*waiting, *working], whole))
    return Shares(whole=last - whole[0], people=people, machine=busy - people, neither=last - whole[0] - busy)


def _gates(course: Course) -> Iterator[tuple[str, Wait]]:
    """Tell a course's gates, each by what it is known by in every memo that shows it."""
    gate: dict[str, Json] | None = None
    opened: tuple[datetime, Cite] | None = None
    for memo in course.memos:
        if "checkpoint" not in memo.values:
            continue
        now = memo.values["checkpoint"]
        if gate is not None and opened and not _same_gate(gate, now):
            yield str(gate.get("opened")), _wait(course, gate, opened, (memo.at, memo.cite))
            opened = None
        if isinstance(now, dict):
            opened = opened or (memo.at, memo.cite)
        gate = now if isinstance(now, dict) else None
    if gate is not None and opened:
        end = (course.ended, course.end) if course.ended and course.end else None
        yield str(gate.get("opened")), _wait(course, gate, opened, end)


def _same_gate(gate: dict[str, Json], now: Json) -> bool:
    return isinstance(now, dict) and gate.get("opened") == now.get("opened")


def _wait(
    course: Course, gate: dict[str, Json], opened: tuple[datetime, Cite], end: tuple[datetime, Cite] | None
) -> Wait:
    asked = said(gate.get("question"))
    headline = said(object_of(gate.get("plan")).get("headline"))
    until = end[0] if end else None
    return Wait(
        what=f"{asked} {headline}".strip(),
        opened=opened[0],
        closed=until,
        answer=_answer(course.received, gate, opened[0], until),
        cite=opened[1],
        until=end[1] if end else None,
    )


def _answer(
    received: Sequence[Received], gate: dict[str, Json], opened: datetime, closed: datetime | None
) -> str:
    approvals = gate.get("approvals")
    names = [who(approval) for approval in approvals] if isinstance(approvals, list) else []
    if not names:
        names = [
            f"{who(item.given)} ({item.name.removesuffix('_run')})"
            for item in received
            if item.name in ANSWERS and opened <= item.at and (closed is None or item.at <= closed)
        ]
    if names:
        return f"answered by {', '.join(dict.fromkeys(names))}"
    return "nobody answered" if closed else "it still waits"


def _pauses(course: Course) -> Iterator[Wait]:
    started: tuple[datetime, Cite] | None = None
    for noted in course.attributes:
        state = noted.values.get(STATE.name)
        if state == PAUSED and started is None:
            started = (noted.at, noted.cite)
        elif state is not None and state != PAUSED and started is not None:
            yield _pause(started, noted.at, noted.cite)
            started = None
    if started is not None:
        yield _pause(started, course.ended, course.end)


def _pause(started: tuple[datetime, Cite], closed: datetime | None, until: Cite | None) -> Wait:
    return Wait(what="Paused", opened=started[0], closed=closed, cite=started[1], until=until)


def _union(spans: Iterable[Span], whole: Span) -> list[Span]:
    """Join spans that overlap, within the whole."""
    joined: list[Span] = []
    for begin, end in sorted((max(begin, whole[0]), min(end, whole[1])) for begin, end in spans):
        if end <= begin:
            continue
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def _length(spans: Iterable[Span]) -> timedelta:
    return sum((end - begin for begin, end in spans), timedelta(0))
