"""Histories in, a review out. Pure: no clock, no place, no chance; the same histories make the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.review import moments
from activities.review.conclusions import ALERTMANAGER, items_of, missed, owner_of, root_cause
from activities.review.evidence import changes_of, decisions_of, messages_of, readings_of, troubles_of
from activities.review.histories import object_of, received_by
from activities.review.model import Review, Source
from activities.review.moments import shares_of, waits_of
from activities.review.reading import read
from activities.review.timeline import INCIDENT, longest_of, name_of, timeline_of
from activities.review.words import NOBODY, objects, said
from runbook_model.catalog.trace_links import trace_link
from runbook_model.names.ids import SEVERITY

if TYPE_CHECKING:
    from activities.review.histories import Chronicle, Course

DUE_AFTER = timedelta(days=5)
"""Memories fade: the review is held within so many days after the end."""
SEVERITIES = ("critical", "warning", "info")


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
    return "an alert" if by == ALERTMANAGER else by


def _trace(courses: Sequence[Course]) -> str | None:
    """Return where the trace is seen, by the links of the catalog as it was looked up first."""
    results = (object_of(act.result) for course in courses for act in course.acts)
    links = (found for result in results if isinstance(found := result.get("links"), dict))
    known = {name: said(address) for name, address in next(links, {}).items()}
    return trace_link(known, said(courses[0].request.get("trace_id")))


def _severity(courses: Sequence[Course]) -> str:
    """Return the worst severity of the alerts, as they say it; the runs' own word counts more."""
    own = [said(note.values.get(SEVERITY.name)) for course in courses for note in course.attributes]
    said_so = [said(alert.get("severity")) for alert, _ in moments.alerts_of(courses)]
    for found in ([item for item in own if item], said_so):
        known = [severity for severity in SEVERITIES if severity in found]
        if known:
            return known[0]
    return NOBODY


def _impact(courses: Sequence[Course]) -> str:
    """Return what people last said of it, else what the first alert says."""
    notes = [said(received.message.get("impact")) for received in received_by(courses, "note")]
    asked = [said(course.request.get("impact")) for course in courses[:1]]
    annotations = [object_of(alert.get("annotations")) for alert, _ in moments.alerts_of(courses)]
    annotated = [said(words.get("impact")) for words in annotations]
    return next((text for text in (*reversed(notes), *asked, *annotated) if text), NOBODY)


def _rejected(courses: Sequence[Course]) -> Iterator[str]:
    for course in courses:
        for item in objects(course.result.get("rejected")):
            yield f"{said(item.get('message'))} was refused: {said(item.get('why'))}"
