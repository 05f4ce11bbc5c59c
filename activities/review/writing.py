"""Histories in, a review out, with what follows from them: what monitoring missed, the cause to be confirmed, what is left to do.

Pure: no clock, no place, no chance; the same histories make the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

from activities.review import moments
from activities.review.evidence import changes_of, decisions_of, messages_of, readings_of, troubles_of
from activities.review.histories import NOBODY, object_of, objects, received_by, said, who
from activities.review.model import (
    ActionItem,
    ChangeLine,
    Cite,
    Class,
    Moment,
    ReadingLine,
    Review,
    RootCause,
    Source,
)
from activities.review.moments import alerts_of, shares_of, waits_of
from activities.review.reading import read
from activities.review.timeline import HOLD, INCIDENT, longest_of, name_of, timeline_of
from runbook_model.catalog.target import trace_link
from runbook_model.incident.alert_book import SEVERITIES
from runbook_model.incident.messages import ALERTS
from runbook_model.names.ids import SEVERITY
from runbook_model.names.procedures import PROCEDURES
from runbook_model.text.durations import format_duration

if TYPE_CHECKING:
    from activities.review.histories import Chronicle, Course

DUE_AFTER = timedelta(days=5)
"""Memories fade: the review is held within so many days after the end."""

LATE = timedelta(minutes=1)
"""Trouble that was there for longer before anybody was notified was caught late."""
KINDS: tuple[Class, ...] = get_args(Class)
BLIND = frozenset({"no-data", "error"})


class NothingRecordedError(Exception):
    """There is no history to write a review from."""


def write(chronicle: Chronicle) -> Review:
    """Write the review of an incident, or of a procedure that ran without one.

    Raises:
        NothingRecordedError: there is no history.
    """
    courses = [read(recorded) for recorded in chronicle.runs if recorded.events]
    if not courses:
        raise NothingRecordedError(f"there is no history of {chronicle.subject}")
    first = courses[0]
    own = [course for course in courses if course.workflow == first.workflow]
    readings, changes, waits = readings_of(courses), changes_of(courses), waits_of(courses)
    began, noticed = moments.started(courses, readings), moments.detected(courses)
    end = moments.ended(courses)
    gaps = missed(courses, readings, began, noticed)
    cause = root_cause(courses)
    whole = first.began, end.at if end else max(course.last for course in courses)
    return Review(
        subject=chronicle.subject,
        service=said(first.request.get("service")),
        environment=said(first.request.get("environment")),
        procedures=tuple(dict.fromkeys(name_of(item) for item in courses if item.kind != INCIDENT)),
        opened_by=_opener(first),
        reason=said(first.request.get("reason")) or None,
        severity=_severity(courses),
        impact=_impact(courses),
        outcome=end.what if end else None,
        summary=said(own[-1].result.get("summary")) or "It has not ended yet: this is a draft.",
        owner=owner_of(courses),
        due=(end.at + DUE_AFTER).date() if end else None,
        trace_id=said(first.request.get("trace_id")) or None,
        trace=_trace(courses),
        started=began,
        detected=noticed,
        acknowledged=moments.acknowledged(courses),
        taken_up=moments.taken_up(courses),
        mitigated=moments.mitigated(courses),
        resolved=moments.resolved(courses),
        ended=end,
        shares=shares_of(courses, waits, whole),
        timeline=timeline_of(courses, waits, changes),
        longest=longest_of(courses),
        waits=waits,
        readings=readings,
        decisions=decisions_of(courses),
        changes=changes,
        messages=messages_of(courses),
        troubles=troubles_of(courses),
        rejected=tuple(_rejected(courses)),
        missed=gaps,
        root_cause=cause,
        items=items_of(courses, changes, gaps, cause),
        sources=tuple(
            Source(workflow=item.workflow, run=item.recorded.run, kind=item.kind, events=item.events)
            for item in courses
        ),
        lost=chronicle.lost,
    )


def _opener(first: Course) -> str:
    by = said(first.asked_by) or NOBODY
    return "an alert" if by == ALERTS else by


def _trace(courses: Sequence[Course]) -> str | None:
    """Return where the trace is seen, by the links of the catalog as it was looked up first."""
    results = (object_of(act.result) for course in courses for act in course.acts)
    links = (found for result in results if isinstance(found := result.get("links"), dict))
    known = {name: said(address) for name, address in next(links, {}).items()}
    return trace_link(known, said(courses[0].request.get("trace_id")))


def _severity(courses: Sequence[Course]) -> str:
    """Return the worst severity of the alerts, as they say it; the runs' own word counts more."""
    own = [said(note.values.get(SEVERITY.name)) for course in courses for note in course.attributes]
    said_so = [said(alert.get("severity")) for alert, _ in alerts_of(courses)]
    for found in ([item for item in own if item], said_so):
        known = [severity for severity in SEVERITIES if severity in found]
        if known:
            return known[0]
    return NOBODY


def _impact(courses: Sequence[Course]) -> str:
    """Return what people last said of it, else what the first alert says."""
    notes = [said(received.message.get("impact")) for received in received_by(courses, "note")]
    asked = [said(course.request.get("impact")) for course in courses[:1]]
    annotations = [object_of(alert.get("annotations")) for alert, _ in alerts_of(courses)]
    annotated = [said(words.get("impact")) for words in annotations]
    return next((text for text in (*reversed(notes), *asked, *annotated) if text), NOBODY)


def _rejected(courses: Sequence[Course]) -> Iterator[str]:
    for course in courses:
        for item in objects(course.result.get("rejected")):
            yield f"{said(item.get('message'))} was refused: {said(item.get('why'))}"


def missed(
    courses: Sequence[Course], readings: Sequence[ReadingLine], first: Moment | None, noticed: Moment
) -> tuple[str, ...]:
    """Say what monitoring did not catch, caught late, or could not see."""
    found = []
    if first and noticed.at - first.at > LATE:
        late = format_duration(noticed.at - first.at)
        found.append(f"Trouble was there for {late} before anybody was notified: {first.what}.")
    alerts = list(alerts_of(courses))
    if not alerts and _has_incident(courses):
        found.append("No alert came in; a person noticed.")
    status: dict[str, tuple[str, str]] = {}
    for alert, _ in alerts:
        status[said(alert.get("fingerprint"))] = said(alert.get("name")), said(alert.get("status"))
    found += [
        f"Alert {name} had not been resolved when this was written."
        for name in sorted({name for name, state in status.values() if state == "firing"})
    ]
    return (*found, *_blind_spots(readings))


def _blind_spots(readings: Sequence[ReadingLine]) -> Iterator[str]:
    """Say what could never be measured; what was known at some time is no blind spot."""
    known = {line.what for line in readings if line.quality not in BLIND}
    wording: set[tuple[str, str]] = set()
    for line in readings:
        key = (line.what, line.detail)
        if line.quality in BLIND and line.what not in known and key not in wording:
            wording.add(key)
            yield f"{line.what} could not be measured ({line.source}): {line.detail}"


def root_cause(courses: Sequence[Course]) -> RootCause | None:
    """Return the cause as a person last said it, else as the first diagnosis named it."""
    from_people = [
        RootCause(text=text, said_by=who(received.given), cite=received.cite)
        for received in received_by(courses, "close", "note")
        if (text := said(received.message.get("root_cause")))
    ]
    if from_people:
        return from_people[-1]
    for course in courses:
        findings = course.result.get("findings")
        if course.kind != INCIDENT and course.end and isinstance(findings, list) and findings:
            return RootCause(
                text=said(findings[0]),
                said_by=f"procedure {name_of(course)}",
                cite=course.end,
                diagnosed=True,
            )
    return None


def items_of(
    courses: Sequence[Course], changes: Sequence[ChangeLine], gaps: Sequence[str], cause: RootCause | None
) -> tuple[ActionItem, ...]:
    """List what is left to do, and what was done by hand, in the page's classes."""
    # The procedures' own word first: an incident, or a parent, repeats it.
    found = [item for course in reversed(courses) for item in _tasks(course)]
    found += list(_from_changes(changes))
    last = courses[0].end or courses[0].cite
    found += [_item("monitoring", f"See to it that this is caught next time: {gap}", last) for gap in gaps]
    if cause is None or cause.diagnosed:
        found.append(
            _item("immediate", "Confirm the root cause, or name another one", cause.cite if cause else last)
        )
    for name in sorted({name_of(course) for course in courses if course.kind not in {INCIDENT, HOLD}}):
        where = f"docs/runbooks/{name}.md" if name in PROCEDURES else f"the page of {name}, in its package"
        page = f"Compare what was done with {where}, and fix the page where it did not help"
        found.append(_item("documentation", page, last))
    unique: dict[tuple[str, str], ActionItem] = {}
    for item in found:
        unique.setdefault((item.kind, item.what), item)
    return tuple(sorted(unique.values(), key=lambda item: KINDS.index(item.kind)))


def _tasks(course: Course) -> Iterator[ActionItem]:
    noted = [memo for memo in course.memos if "tasks" in memo.values]
    tasks = course.result.get("tasks") or (noted[-1].values["tasks"] if noted else [])
    cite = (
        course.end if course.result.get("tasks") and course.end else noted[-1].cite if noted else course.cite
    )
    for task in objects(tasks):
        kind = said(task.get("kind"))
        by, comment = said(task.get("by"), 100), said(task.get("comment"))
        state = said(task.get("state")) or "open"
        state += f" by {by}" if by else ""
        state += f": {comment}" if comment else ""
        yield ActionItem(
            kind=kind if kind in KINDS else "immediate",
            what=said(task.get("what")),
            why=said(task.get("why")),
            state=state,
            cite=cite,
        )


def _from_changes(changes: Sequence[ChangeLine]) -> Iterator[ActionItem]:
    for change in changes:
        what = f"{change.action}, {change.before} → {change.after}"
        if change.undo_failed:
            yield _item("immediate", f"Undo by hand: {what}", change.cite, change.state)
        elif change.made is None:
            yield _item("immediate", f"Find out whether this was done: {what}", change.cite, change.state)


def _item(kind: Class, what: str, cite: Cite, why: str = "") -> ActionItem:
    return ActionItem(kind=kind, what=what, why=why, cite=cite)


def owner_of(courses: Sequence[Course]) -> str:
    """Name the person who knows most: who acknowledged, closed, decided, or asked for it."""
    for names in (("acknowledge",), ("close",), ("approve", "decide")):
        for received in received_by(courses, *names):
            if who(received.given) != NOBODY:
                return who(received.given)
    by = said(courses[0].asked_by)
    return by if by and by not in {ALERTS, NOBODY} else "nobody yet: choose one"


def _has_incident(courses: Sequence[Course]) -> bool:
    return any(course.kind == INCIDENT for course in courses)
