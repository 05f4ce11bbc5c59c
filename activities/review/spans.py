"""Where the time went: spans of waiting and of working, and what they add up to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from activities.review.model import Cite, Shares, Wait
from activities.review.words import said, who
from runbook_model.ids import STATE

if TYPE_CHECKING:
    from activities.review.histories import Course, Json, Received

Span = tuple[datetime, datetime]
ANSWERS = frozenset({"approve", "decide", "abort", "abort_run"})
PAUSED = "paused"


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
    working = _union(((course.began, course.last) for course in courses if course.kind != "Incident"), whole)
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
    plan = gate.get("plan")
    asked = said(gate.get("question"))
    headline = said(plan.get("headline")) if isinstance(plan, dict) else ""
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
