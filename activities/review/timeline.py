"""The timeline: what happened, a line each, with the event that says so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.review.histories import NOBODY, object_of, objects, said, who
from activities.review.model import ChangeLine, Line, Wait
from runbook_model.incident.messages import ALERTS
from runbook_model.text.durations import format_duration

if TYPE_CHECKING:
    from activities.review.histories import Act, Course, Json, Received

INCIDENT, HOLD = "Incident", "Hold"
"""The types of the workflows that are no procedures."""
WORTH_A_LINE = timedelta(seconds=1)
SLOWEST_STEPS = 3
BETWEEN_RUNS = frozenset(
    {"child_changes", "child_checkpoint", "extend", "joined", "procedure_progress", "procedure_ended"}
)
"""What runs tell each other; their own lines tell the same."""
GIVEN_UP = frozenset({"cancelled", "open"})
"""An incident looks out for much next to what it does, and gives it up when it need not know any more."""
TELLING = frozenset({"announce", "notify"})


def timeline_of(
    courses: Sequence[Course], waits: Iterable[Wait], changes: Iterable[ChangeLine]
) -> tuple[Line, ...]:
    """Tell everything in the order in which it happened."""
    lines = [line for course in courses for line in _course(course)]
    lines += [line for wait in waits for line in _wait(wait)]
    lines += [
        Line(
            at=change.at, text=f"Change: {change.action}, {change.before} → {change.after}", cite=change.cite
        )
        for change in changes
    ]
    order = {(course.workflow, course.recorded.run): place for place, course in enumerate(courses)}
    return tuple(
        sorted(
            lines,
            key=lambda line: (line.at, order[line.cite.workflow, line.cite.run], line.cite.event, line.text),
        )
    )


def _course(course: Course) -> Iterator[Line]:
    if not course.carried:
        yield Line(at=course.began, text=_beginning(course), cite=course.cite)
    # An incident's steps are its procedures; a procedure's are its activities.
    steps = objects(course.result.get("steps")) if course.kind != INCIDENT else []
    details = [said(step.get("detail")) for step in steps]
    for act in course.acts:
        if course.kind == INCIDENT and act.how in GIVEN_UP:
            continue
        yield Line(at=act.at, text=_act(act, details), cite=act.proof)
    yield from _received(course)
    for at, words, cite in course.fired:
        if words:
            yield Line(at=at, text=f"Time ran out: {said(words)}", cite=cite)
    for at, why, cite in course.stumbles:
        yield Line(at=at, text=f"A worker failed: {said(why)}", cite=cite)
    if course.ended and course.end and course.how != "continued":
        yield Line(at=course.ended, text=_ending(course), cite=course.end)


def name_of(course: Course) -> str:
    """Return what people call it: the procedure's name, or the incident."""
    if course.kind == INCIDENT:
        return "The incident"
    return said(course.result.get("procedure")) or "".join(
        f"-{letter.lower()}" if letter.isupper() else letter for letter in course.kind
    ).lstrip("-")


def _beginning(course: Course) -> str:
    by = said(course.asked_by) or NOBODY
    why = said(course.request.get("reason") or course.request.get("impact"))
    return f"{name_of(course)} started, for {by}" + (f": {why}" if why else "")


def _ending(course: Course) -> str:
    outcome, summary = said(course.result.get("outcome")), said(course.result.get("summary"))
    how = outcome or (f"{course.how}: {said(course.why)}" if course.why else course.how)
    return f"{name_of(course)} ended: {how}" + (f". {summary}" if summary else "")


def _act(act: Act, details: Sequence[str]) -> str:
    took = f" (took {format_duration(act.lasted)})" if act.lasted and act.lasted >= WORTH_A_LINE else ""
    tries = f", attempt {act.attempts}" if act.attempts > 1 else ""
    how = "no longer waited for" if act.how == "cancelled" else act.how
    state = "" if act.how == "done" else f": {how}{f', {said(act.why)}' if act.why else ''}"
    found = _found(act, details)
    return f"{said(act.words)}{state}{tries}{took}" + (f": {found}" if found else "")


def longest_of(courses: Sequence[Course]) -> tuple[Line, ...]:
    """List the steps that took longest, the longest first; what only looks out next to them does not count."""
    acts = [
        (act.lasted, act)
        for course in courses
        for act in course.acts
        if act.lasted and act.how == "done" and act.lasted >= WORTH_A_LINE
    ]
    found = sorted(
        acts, key=lambda item: (-item[0], item[1].started, item[1].cite.workflow, item[1].cite.event)
    )
    return tuple(
        Line(at=act.started, text=f"{said(act.words)}: {format_duration(lasted)}", cite=act.proof)
        for lasted, act in found[:SLOWEST_STEPS]
    )


def _found(act: Act, details: Sequence[str]) -> str:
    """Return what the step found, where the run's page says so."""
    if act.name in TELLING or act.how != "done" or act.step is None:
        return ""
    return details[act.step - 1] if 0 < act.step <= len(details) else ""


def _received(course: Course) -> Iterator[Line]:
    known: dict[str, tuple[str, str]] = {}
    for received in course.received:
        if received.name == ALERTS:
            for text in _alerts(received.given, known):
                yield Line(at=received.at, text=text, cite=received.cite)
        elif received.name not in BETWEEN_RUNS:
            yield Line(at=received.at, text=_message(received), cite=received.cite)


def _alerts(batch: Json, known: dict[str, tuple[str, str]]) -> Iterator[str]:
    """Say what is new in a batch; Alertmanager repeats itself."""
    for alert in objects(object_of(batch).get("alerts")):
        status, since = said(alert.get("status")), said(alert.get("starts_at"))
        name = said(alert.get("fingerprint"))
        if known.get(name) != (status, since):
            known[name] = (status, since)
            severity = said(alert.get("severity")) or NOBODY
            more = f", since {since}" if status == "firing" else ""
            yield f"Alert {said(alert.get('name'))} ({severity}) {status}{more}"


def _message(received: Received) -> str:
    given = received.message
    texts = (f"{key} {said(value)}" for key, value in given.items() if key not in _NOT_SHOWN and said(value))
    wording = "; ".join(texts)
    return f"{who(given)}: {received.name.replace('_', ' ')}" + (f" ({wording})" if wording else "")


_NOT_SHOWN = frozenset({"by", "decision_id"})


def _wait(wait: Wait) -> Iterator[Line]:
    yield Line(at=wait.opened, text=f"Waiting for a person: {wait.what}", cite=wait.cite)
    if wait.closed and wait.lasted is not None and wait.until:
        answer = f": {wait.answer}" if wait.answer else ""
        text = f"The wait is over after {format_duration(wait.lasted)}{answer}"
        yield Line(at=wait.closed, text=text, cite=wait.until)
